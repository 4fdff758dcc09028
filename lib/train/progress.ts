// Progress of a long job: a bar with rate, time taken and time left in a terminal, a plain line now and then elsewhere.
import type { WriteStream } from 'node:tty'
import { ArgumentError } from '../runtime/errors.js'

export interface ProgressOptions {
  /** Steps in all. */
  readonly total: number
  /** Steps that were done before, by the run that this one goes on with. Default 0. */
  readonly start?: number
  /** What the rate counts, and how many of it a step has. Default: steps, 1. */
  readonly rate?: { readonly unit: string; readonly perStep: number }
  /** Where it is drawn. Default: standard error, so that results can be piped. */
  readonly stream?: Pick<WriteStream, 'write'> & Partial<Pick<WriteStream, 'isTTY' | 'columns' | 'on' | 'off'>>
  /** Milliseconds between drawings; default 100 in a terminal, 10,000 elsewhere. */
  readonly intervalMs?: number
  /** The clock, in milliseconds. */
  readonly now?: () => number
}

type Facts = Readonly<Record<string, string>>

const EIGHTHS = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉']
const LEAST_BAR = 10
const MOST_BAR = 40
/** Facts cut to fewer columns than this tell nothing. */
const LEAST_FACTS = 8
/** Drawings the rate is taken over: it follows what changes, and still stands still enough to be read. */
const RATE_DRAWINGS = 50

/** `seconds` as 59s, 3m05s or 2h04m. */
export function formatDuration(seconds: number): string {
  if (!Number.isFinite(seconds)) return '-'
  const whole = Math.round(seconds)
  const two = (n: number): string => String(n).padStart(2, '0')
  if (whole < 60) return `${whole}s`
  if (whole < 3600) return `${Math.floor(whole / 60)}m${two(whole % 60)}s`
  return `${Math.floor(whole / 3600)}h${two(Math.floor((whole % 3600) / 60))}m`
}

/** A rate in three digits: 0.52 steps/s, 41.7 steps/s, 2.82k samples/s; less than one in ten seconds by the minute or hour. */
export function formatRate(perSecond: number, unit: string): string {
  const digits = (value: number): string => String(Number(value.toPrecision(3)))
  if (!Number.isFinite(perSecond)) return `- ${unit}/s`
  if (perSecond >= 1e6) return `${digits(perSecond / 1e6)}M ${unit}/s`
  if (perSecond >= 1e3) return `${digits(perSecond / 1e3)}k ${unit}/s`
  if (perSecond >= 0.1 || perSecond === 0) return `${digits(perSecond)} ${unit}/s`
  return perSecond * 60 >= 0.1 ? `${digits(perSecond * 60)} ${unit}/min` : `${digits(perSecond * 3600)} ${unit}/h`
}

/** Columns of a terminal that a character takes (Unicode Standard Annex 11). */
const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|\p{Emoji_Presentation}|[\u{20000}-\u{3fffd}]/u
const NARROWLESS = /[\p{Mn}\p{Me}\p{Cf}]/u
const columnsOf = (character: string): number => (NARROWLESS.test(character) ? 0 : WIDE.test(character) ? 2 : 1)
const widthOf = (text: string): number => Array.from(text).reduce((sum, character) => sum + columnsOf(character), 0)

/** The beginning of a text, in at most `columns` columns, with a sign that it was cut. */
function cut(text: string, columns: number): string {
  if (widthOf(text) <= columns) return text
  let kept = ''
  let width = 1
  for (const character of text) {
    width += columnsOf(character)
    if (width > columns) break
    kept += character
  }
  return columns > 0 ? `${kept.trimEnd()}…` : ''
}

/** Without what would move the cursor or change the terminal. */
const plain = (text: string): string => text.replace(/\p{Cc}+/gu, ' ')

export class Progress {
  private readonly stream: NonNullable<ProgressOptions['stream']>
  private readonly terminal: boolean
  private readonly interval: number
  private readonly now: () => number
  private readonly begun: number
  private readonly start: number
  private readonly rate: NonNullable<ProgressOptions['rate']>
  private readonly resized = (): void => this.draw()
  private drawnAt = Number.NEGATIVE_INFINITY
  /** Columns of the line that stands in the terminal; 0 where there is none. */
  private drawnWidth = 0
  private done: number
  private total: number
  private facts: Facts = {}
  /** When the last drawings were, and how far the job was. */
  private readonly past: { readonly at: number; readonly done: number }[]

  constructor(options: ProgressOptions) {
    const { total, start = 0, rate = { unit: 'steps', perStep: 1 } } = options
    if (!(Number.isInteger(total) && total > 0)) {
      throw new ArgumentError(`progress: the total ${total} is no integer above 0`)
    }
    this.total = total
    this.start = start
    this.done = start
    this.rate = rate
    this.stream = options.stream ?? process.stderr
    this.terminal = this.stream.isTTY === true
    this.interval = options.intervalMs ?? (this.terminal ? 100 : 10_000)
    this.now = options.now ?? (() => performance.now())
    this.begun = this.now()
    this.past = [{ at: this.begun, done: start }]
    if (this.terminal) this.stream.on?.('resize', this.resized)
  }

  /**
   * Tells how far the job is; `facts` (a loss) stand beside the bar, `total` is how many steps there are by what is known
   * now. Draws only when it is time to.
   */
  update(done: number, facts: Facts = {}, total = this.total): void {
    this.done = done
    this.total = total
    this.facts = facts
    const now = this.now()
    if (now - this.drawnAt < this.interval && done < total) return
    this.drawnAt = now
    this.past.push({ at: now, done })
    if (this.past.length > RATE_DRAWINGS) this.past.shift()
    this.draw()
  }

  /** Prints lines of their own, above the bar. */
  note(text: string): void {
    const lines = text.split(/\r?\n/).map(plain).join('\n')
    const redraws = this.drawnWidth > 0
    this.stream.write(`${this.cleared()}${lines}\n`)
    if (redraws) this.draw()
  }

  /** Ends the bar's line. */
  finish(): void {
    if (!this.terminal) return
    this.stream.off?.('resize', this.resized)
    this.draw()
    this.stream.write('\n')
    this.drawnWidth = 0
  }

  private draw(): void {
    const line = this.terminal ? this.fitted() : this.parts().join('  ')
    this.stream.write(this.terminal ? `${this.cleared()}${line}` : `${line}\n`)
    if (this.terminal) this.drawnWidth = widthOf(line)
  }

  /** What takes the bar's line away, also where a window that became narrower has broken it over several. */
  private cleared(): string {
    if (!this.terminal) return ''
    const rows = Math.ceil(this.drawnWidth / this.columns)
    this.drawnWidth = 0
    return rows > 1 ? `\x1b[${rows - 1}A\r\x1b[J` : '\r\x1b[2K'
  }

  private get columns(): number {
    return Math.max(1, this.stream.columns || 80)
  }

  /** From the counter to the time left. */
  private parts(facts = this.factsText(), rate = true, taken = true, left = true): string[] {
    const { total, done, start } = this
    const seconds = (this.now() - this.begun) / 1000
    const remaining = done > start ? (seconds / (done - start)) * (total - done) : Number.POSITIVE_INFINITY
    return [
      `${done}/${total}`,
      facts,
      rate ? this.rateText() : '',
      [taken ? formatDuration(seconds) : '', left ? `${formatDuration(remaining)} left` : '']
        .filter(Boolean)
        .join(', '),
    ].filter((part) => part !== '')
  }

  private factsText(): string {
    return Object.entries(this.facts)
      .map(([name, value]) => plain(`${name} ${value}`))
      .join('  ')
  }

  private rateText(): string {
    const [first] = this.past as [{ at: number; done: number }]
    const seconds = (this.now() - first.at) / 1000
    return formatRate(((this.done - first.done) / seconds) * this.rate.perStep, this.rate.unit)
  }

  /** Bar and text in one line of the terminal, whose last column stays free: writing there begins the next line in some. */
  private fitted(): string {
    const room = this.columns - 1
    const least = LEAST_BAR + 3
    const facts = this.factsText()
    const length = (parts: readonly string[]): number => widthOf(parts.join('  '))
    // Facts are cut first; then rate, time taken and time left go, one after the other.
    const choices = [
      [true, true, true],
      [false, true, true],
      [false, false, true],
      [false, false, false],
    ] as const
    for (const choice of choices) {
      const free = room - least - length(this.parts('', ...choice)) - 2
      if (facts !== '' && free < Math.min(LEAST_FACTS, widthOf(facts))) continue
      if (facts === '' && free < -2) continue
      return this.joined(this.parts(cut(facts, free), ...choice), room)
    }
    for (const choice of choices)
      if (least + length(this.parts('', ...choice)) <= room) return this.joined(this.parts('', ...choice), room)
    return cut(`${this.done}/${this.total}`, room)
  }

  private joined(parts: readonly string[], room: number): string {
    const text = parts.join('  ')
    return `${this.bar(Math.max(LEAST_BAR, Math.min(MOST_BAR, room - widthOf(text) - 3)))} ${text}`
  }

  private bar(width: number): string {
    const eighths = Math.round(Math.max(0, Math.min(1, this.done / this.total) || 0) * width * 8)
    const full = '█'.repeat(Math.floor(eighths / 8)) + (EIGHTHS[eighths % 8] as string)
    return `▕${full.padEnd(width)}▏`
  }
}
