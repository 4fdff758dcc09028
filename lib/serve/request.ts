// A request: one sample and one promise, settled exactly once, by a result, an error, its signal or its deadline.
import { DeadlineError } from '../runtime/errors.js'
import type { Sample } from './inputs.js'

export const PRIORITIES = ['high', 'normal', 'low'] as const
export type Priority = (typeof PRIORITIES)[number]

/** How a request ended. */
export type RequestOutcome = 'ok' | 'error' | 'overloaded' | 'deadline' | 'aborted' | 'closed'

export interface RequestSettings {
  readonly sample: Sample
  readonly priority: Priority
  readonly signal: AbortSignal | undefined
  /** Milliseconds from now. */
  readonly deadlineMs: number | undefined
  /** The batcher's name, for errors. */
  readonly owner: string
  /** Called once, when it has ended. */
  onEnd(request: PendingRequest<unknown>, outcome: RequestOutcome): void
}

export class PendingRequest<T> {
  readonly result: Promise<T>
  readonly sample: Sample
  readonly priority: Priority
  /** When it came, on the clock of `performance.now()`. */
  readonly cameAt = performance.now()
  /** When its batch began. */
  startedAt: number | undefined
  private ended = false
  private resolve!: (value: T) => void
  private reject!: (error: unknown) => void
  private readonly timer: NodeJS.Timeout | undefined
  private readonly aborted = (): void => this.fail(this.settings.signal?.reason, 'aborted')

  constructor(private readonly settings: RequestSettings) {
    const { sample, priority, signal, deadlineMs, owner } = settings
    this.sample = sample
    this.priority = priority
    this.result = new Promise((resolve, reject) => {
      this.resolve = resolve
      this.reject = reject
    })
    signal?.addEventListener('abort', this.aborted, { once: true })
    if (deadlineMs === undefined) return
    this.timer = setTimeout(() => {
      const where = this.startedAt === undefined ? 'it still waited in the queue' : 'its batch was running'
      this.fail(new DeadlineError(`${owner}: the request's ${deadlineMs} ms were up while ${where}`), 'deadline')
    }, deadlineMs)
  }

  /** Whether somebody still waits for it. */
  get pending(): boolean {
    return !this.ended
  }

  succeed(value: T): void {
    if (this.end('ok')) this.resolve(value)
  }

  fail(error: unknown, outcome: RequestOutcome): void {
    if (this.end(outcome)) this.reject(error)
  }

  private end(outcome: RequestOutcome): boolean {
    if (this.ended) return false
    this.ended = true
    clearTimeout(this.timer)
    this.settings.signal?.removeEventListener('abort', this.aborted)
    this.settings.onEnd(this as PendingRequest<unknown>, outcome)
    return true
  }
}
