// A run's report: one page of HTML with its curves, settings and notes, written anew while the run goes on.
import { readFileSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { replaceFile } from '../io/durable.js'
import { ArgumentError, LogError } from '../runtime/errors.js'
import { checkNote, checkStep, checkValues, type Log, type LogValues } from './log.js'
import { Curve } from './report/curve.js'
import { type ReportData, readReport, type Setting } from './report/data.js'
import { chartLibrary } from './report/library.js'
import { reportParts } from './report/render.js'

export interface HtmlReportOptions {
  /** Default: the file's name. */
  readonly title?: string
  /** Shown as a table: the model, the batch size, the learning rate. */
  readonly settings?: Readonly<Record<string, Setting>>
  /** The page is written no more often than this while the run goes on. Default 30. */
  readonly intervalSeconds?: number
}

/**
 * A report that any browser shows without a network: curves of all that was written, a chart for each measure (`loss`)
 * with a line for each group (`train/loss`, `validation/loss`), times and memory in units, what was noted, the best values
 * of validations. Long curves are thinned to 2,000 stretches of equally many values, of which the least, the greatest and
 * the mean are kept. The page is replaced as a whole, never half.
 *
 * Where the file is there already, the run goes on in it: call `rewind` with the step it goes on at. Throws `FormatError`
 * for a file that is no report of heddle, and leaves it as it is.
 *
 * @example const report = new HtmlReport('run.html', { title: 'digits', settings: { batchSize: 32 } })
 */
export class HtmlReport implements Log {
  private readonly data: ReportData
  private readonly interval: number
  /** Seconds the run had taken when this object was made, and when that was. */
  private readonly secondsBefore: number
  private readonly since = performance.now()
  private timer: NodeJS.Timeout | undefined
  private writing: Promise<void> | undefined
  /** When the page was written last. */
  private last = Number.NEGATIVE_INFINITY
  /** Changes so far, and how many of them the file has. */
  private changes = 0
  private saved = 0
  private failure: LogError | undefined

  constructor(
    readonly path: string,
    options: HtmlReportOptions = {},
  ) {
    if (typeof path !== 'string' || path === '') throw new ArgumentError('HtmlReport: it takes the path of a file')
    const { title, settings, intervalSeconds = 30 } = options
    if (!(Number.isFinite(intervalSeconds) && intervalSeconds > 0))
      throw new ArgumentError(`HtmlReport: intervalSeconds is a number above 0, not ${intervalSeconds}`)
    this.interval = intervalSeconds * 1000
    // The one look at the disk, before a job begins; a missing package is told now, and not after the first hour.
    chartLibrary()
    const before = readIfThere(path)
    this.secondsBefore = before?.seconds ?? 0
    const now = Date.now()
    this.data = {
      curves: new Map(),
      notes: [],
      started: now,
      updated: now,
      seconds: 0,
      step: -1,
      ...before,
      state: 'running',
      interval: intervalSeconds,
      title: title ?? before?.title ?? basename(path),
      settings: settings ? settingsOf(settings) : (before?.settings ?? []),
    }
  }

  write(step: number, values: LogValues): void {
    checkValues('HtmlReport', step, values)
    const { curves } = this.data
    for (const [name, value] of Object.entries(values)) {
      let curve = curves.get(name)
      if (!curve) curves.set(name, (curve = new Curve()))
      curve.add(step, value)
    }
    this.noted(step)
  }

  note(step: number, text: string): void {
    checkNote('HtmlReport', step, text)
    this.data.notes.push({ step, text, at: Date.now() })
    this.noted(step)
  }

  /** Of a thinned curve a stretch that reaches beyond `step` is forgotten as a whole. */
  async rewind(step: number): Promise<void> {
    checkStep('HtmlReport', step)
    const { data } = this
    for (const [name, curve] of data.curves) {
      curve.rewind(step)
      if (curve.stretches.length === 0) data.curves.delete(name)
    }
    data.notes = data.notes.filter((note) => note.step <= step)
    data.step = Math.min(data.step, step)
    this.changes++
    await this.flush()
  }

  async flush(): Promise<void> {
    const wanted = this.changes
    this.failure = undefined
    while (this.saved < wanted && !this.failure) await (this.writing ?? this.begin())
    if (this.failure) throw this.failure
  }

  /** `flush`; the page says that the run is over: that it got to its end, or, with 'stopped', that it did not. */
  async close(state: 'finished' | 'stopped' = 'finished'): Promise<void> {
    this.data.state = state
    this.changes++
    await this.flush()
  }

  private noted(step: number): void {
    this.data.step = Math.max(this.data.step, step)
    this.data.state = 'running'
    this.changes++
    this.schedule()
  }

  private schedule(): void {
    if (this.timer || this.writing) return
    const begin = (): void => void this.begin()
    this.timer = setTimeout(begin, Math.max(0, this.last + this.interval - performance.now()))
    // A run that is over does not wait for its report; `close` writes it.
    this.timer.unref()
  }

  /** Writes the page, one at a time; a failure is kept for `flush`, and what was not written is with the next time. */
  private begin(): Promise<void> {
    clearTimeout(this.timer)
    this.timer = undefined
    const { changes } = this
    this.writing = this.replace()
      .then(
        () => {
          this.saved = changes
        },
        (cause: unknown) => {
          this.failure = new LogError(`${this.path}: it can not be written: ${(cause as Error).message}`, { cause })
        },
      )
      .finally(() => {
        this.last = performance.now()
        this.writing = undefined
        if (this.saved < this.changes) this.schedule()
      })
    return this.writing
  }

  private async replace(): Promise<void> {
    this.data.updated = Date.now()
    this.data.seconds = this.secondsBefore + (performance.now() - this.since) / 1000
    await mkdir(dirname(this.path), { recursive: true })
    await replaceFile(this.path, this.parts())
  }

  private async *parts(): AsyncGenerator<Uint8Array> {
    for (const part of reportParts(this.data)) {
      yield Buffer.from(part)
      // The event loop runs between the curves.
      await nextTurn()
    }
  }
}

function readIfThere(path: string): ReportData | undefined {
  let page: string
  try {
    page = readFileSync(path, 'utf8')
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw new LogError(`HtmlReport: ${path} can not be read: ${(cause as Error).message}`, { cause })
  }
  return page === '' ? undefined : readReport(page, path)
}

function settingsOf(settings: Readonly<Record<string, Setting>>): [string, Setting][] {
  return Object.entries(settings).map(([name, value]) => {
    if (typeof value === 'number') return [name, Number.isFinite(value) ? value : String(value)]
    if (typeof value === 'string' || typeof value === 'boolean') return [name, value]
    throw new ArgumentError(`HtmlReport: the setting '${name}' is a ${typeof value}, no string, number or boolean`)
  })
}
