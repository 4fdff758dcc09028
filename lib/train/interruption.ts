// What ends a run from outside: an AbortSignal, or SIGINT and SIGTERM, at the next step.
import { isMainThread } from 'node:worker_threads'

const SIGNALS = ['SIGINT', 'SIGTERM'] as const
type ProcessSignal = (typeof SIGNALS)[number]

/** Why a run ended early from outside. */
export type InterruptionReason = 'aborted' | ProcessSignal

/** Listens until it is disposed. A second signal of the process ends it as if nobody listened. */
export class Interruption implements Disposable {
  private received: ProcessSignal | undefined
  private readonly ended = new AbortController()
  private readonly listeners: (readonly [ProcessSignal, () => void])[] = []

  constructor(
    private readonly signal: AbortSignal | undefined,
    /** Whether it listens to the process. */
    listens: boolean,
    onReceived: (reason: InterruptionReason) => void,
  ) {
    signal?.addEventListener(
      'abort',
      () => {
        onReceived('aborted')
        this.ended.abort()
      },
      { once: true, signal: this.ended.signal },
    )
    if (signal?.aborted) this.ended.abort()
    // Signals come to the main thread alone.
    if (!listens || !isMainThread) return
    for (const name of SIGNALS) {
      const listener = (): void => {
        this.received = name
        this.stopListening()
        onReceived(name)
        this.ended.abort()
      }
      process.on(name, listener)
      this.listeners.push([name, listener])
    }
  }

  /** Undefined while the run may go on. */
  get reason(): InterruptionReason | undefined {
    return this.received ?? (this.signal?.aborted ? 'aborted' : undefined)
  }

  /** Aborted with the first reason. */
  get abort(): AbortSignal {
    return this.ended.signal
  }

  private stopListening(): void {
    for (const [name, listener] of this.listeners.splice(0)) process.off(name, listener)
  }

  /** Ends the process as the signal that came would have, if one came; to be called when all is saved. */
  leave(): void {
    this.stopListening()
    if (this.received) process.kill(process.pid, this.received)
  }

  [Symbol.dispose](): void {
    this.stopListening()
    this.ended.abort()
  }
}
