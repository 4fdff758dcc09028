// Progress of a long job: a bar with rate and time left in a terminal, a plain line now and then elsewhere.
import type { WriteStream } from 'node:tty'
import { ArgumentError } from '../runtime/errors.js'

export interface ProgressOptions {
  /** Steps in all. */
  readonly total: number
  /** Where it is drawn. Default: standard error, so that results can be piped. */
  readonly stream?: Pick<WriteStream, 'write'> & Partial<Pick<WriteStream, 'isTTY' | 'columns'>>
  /** Milliseconds between drawings; default 100 in a terminal, 10,000 elsewhere. */
  readonly intervalMs?: number
  /** The clock, in milliseconds. */
  readonly now?: () => number
}

const EIGHTHS = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉']

/** `seconds` as 59s, 3m05s or 2h04m. */
export function formatDuration(seconds: number): string {
  if (!Number.isFinite(seconds)) return '-'
  const whole = Math.round(seconds)
  const two = (n: number): string => String(n).padStart(2, '0')
  if (whole < 60) return `${whole}s`
  if (whole < 3600) return `${Math.floor(whole / 60)}m${two(whole % 60)}s`
  return `${Math.floor(whole / 3600)}h${two(Math.floor((whole % 3600) / 60))}m`
}

export class Progress {
  private readonly stream: NonNullable<ProgressOptions['stream']>
  private readonly terminal: boolean
  private readonly interval: number
  private readonly now: () => number
  private readonly start: number
  private drawn = Number.NEGATIVE_INFINITY
  private done = 0
  private total: number

  constructor(options: ProgressOptions) {
    if (!(Number.isInteger(options.total) && options.total > 0)) {
      throw new ArgumentError(`progress: the total ${options.total} is no integer above 0`)
    }
    this.total = options.total
    this.stream = options.stream ?? process.stderr
    this.terminal = this.stream.isTTY === true
    this.interval = options.intervalMs ?? (this.terminal ? 100 : 10_000)
    this.now = options.now ?? (() => performance.now())
    this.start = this.now()
  }

  /**
   * Tells how far the job is; `facts` (a loss, a rate) stand beside the bar, `total` is how many steps there are by what is
   * known now. Draws only when it is time to.
   */
  update(done: number, facts: Readonly<Record<string, string>> = {}, total = this.total): void {
    this.done = done
    this.total = total
    const now = this.now()
    if (now - this.drawn < this.interval && done < total) return
    this.drawn = now
    const line = this.line(facts)
    this.stream.write(this.terminal ? `\r\x1b[2K${line}` : `${line}\n`)
  }

  /** Ends the bar's line. */
  finish(): void {
    if (this.terminal) this.stream.write('\n')
  }

  private line(facts: Readonly<Record<string, string>>): string {
    const { total } = this
    const seconds = (this.now() - this.start) / 1000
    const left = this.done > 0 ? (seconds / this.done) * (total - this.done) : Number.POSITIVE_INFINITY
    const parts = [
      `${this.done}/${total}`,
      ...Object.entries(facts).map(([name, value]) => `${name} ${value}`),
      `${formatDuration(left)} left`,
    ]
    const text = parts.join('  ')
    if (!this.terminal) return text
    const width = Math.max(10, Math.min(40, (this.stream.columns ?? 80) - text.length - 4))
    return `${this.bar(width)} ${text}`
  }

  private bar(width: number): string {
    const eighths = Math.round((Math.min(1, this.done / this.total) || 0) * width * 8)
    const full = '█'.repeat(Math.floor(eighths / 8)) + (EIGHTHS[eighths % 8] as string)
    return `▕${full.padEnd(width)}▏`
  }
}
