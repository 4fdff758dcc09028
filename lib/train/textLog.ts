// Logs as text: a table of comma-separated values, and a JSON object per line.
import { existsSync, statSync } from 'node:fs'
import { ArgumentError, LogError } from '../runtime/errors.js'
import { AppendedFile, type Rewrite, wholeLines } from './appendedFile.js'
import { checkNote, checkStep, checkValues, type Log, type LogValues } from './log.js'

abstract class TextLog implements Log {
  private readonly file: AppendedFile

  protected constructor(
    private readonly name: string,
    readonly path: string,
  ) {
    if (typeof path !== 'string' || path === '') throw new ArgumentError(`${name}: it takes the path of a file`)
    this.file = new AppendedFile(path)
  }

  /** A step as a line, without its end; undefined where there is nothing to write. */
  protected abstract line(step: number, values: LogValues): string | undefined

  /** What is left of the file when a run goes on at `step`. */
  protected abstract until(step: number): Rewrite

  protected append(line: string): void {
    this.file.append(Buffer.from(`${line}\n`))
  }

  write(step: number, values: LogValues): void {
    checkValues(this.name, step, values)
    const line = this.line(step, values)
    if (line !== undefined) this.append(line)
  }

  async rewind(step: number): Promise<void> {
    checkStep(this.name, step)
    await this.file.rewrite(this.until(step))
  }

  flush(): Promise<void> {
    return this.file.flush()
  }

  close(): Promise<void> {
    return this.file.close()
  }
}

/** A field as RFC 4180 has it. */
const quoted = (field: string): string => (/[",\r\n]/.test(field) ? `"${field.replaceAll('"', '""')}"` : field)

/**
 * A table with a column `step` and one for each of `columns`, appended to what is there; a column without a value in a
 * step is empty there. Values without a column are left out, and steps that have none with one.
 */
export class CsvLog extends TextLog {
  private readonly columns: readonly string[]
  private readonly head: string

  constructor(path: string, columns: readonly string[]) {
    super('CsvLog', path)
    if (!Array.isArray(columns) || columns.length === 0 || new Set(columns).size !== columns.length)
      throw new ArgumentError('CsvLog: the columns must be a list of names, none of them twice')
    this.columns = [...columns]
    this.head = ['step', ...columns].map(quoted).join(',')
    // The one look at the disk, before a job begins: whether there is a head already.
    if (!existsSync(path) || statSync(path).size === 0) this.append(this.head)
  }

  protected override line(step: number, values: LogValues): string | undefined {
    if (!this.columns.some((name) => name in values)) return undefined
    return [step, ...this.columns.map((name) => values[name] ?? '')].join(',')
  }

  protected override until(step: number): Rewrite {
    const { path } = this
    const head = Buffer.from(`${this.head}\n`)
    return async function* (chunks) {
      // Names may hold line ends: the head is compared byte by byte, over as many lines as it has. One that a process
      // did not write whole is written here.
      yield head
      let compared = 0
      for await (const line of wholeLines(chunks)) {
        if (compared < head.length) {
          if (!head.subarray(compared, compared + line.length).equals(line))
            throw new LogError(`${path}: it has other columns than this log, so it is left as it is`)
          compared += line.length
        } else if (!(Number.parseInt(String(Buffer.from(line.subarray(0, 20))), 10) > step)) yield line
      }
    }
  }
}

/**
 * One object per line, `{"step":0,"train/loss":2.3}` or `{"step":3,"note":"..."}`, appended to what is there. What JSON has
 * no number for is a string: "NaN", "Infinity", "-Infinity".
 */
export class JsonLinesLog extends TextLog {
  constructor(path: string) {
    super('JsonLinesLog', path)
  }

  note(step: number, text: string): void {
    checkNote('JsonLinesLog', step, text)
    this.append(JSON.stringify({ step, note: text }))
  }

  protected override line(step: number, values: LogValues): string {
    return JSON.stringify({ step, ...values }, (_, value: unknown) =>
      typeof value === 'number' && !Number.isFinite(value) ? String(value) : value,
    )
  }

  protected override until(step: number): Rewrite {
    return async function* (chunks) {
      for await (const line of wholeLines(chunks)) if (!(stepOf(line) > step)) yield line
    }
  }
}

/** The step of a line; NaN where it has none: such lines are somebody else's and stay. */
function stepOf(line: Uint8Array): number {
  try {
    const { step } = JSON.parse(new TextDecoder().decode(line)) as { step?: unknown }
    return typeof step === 'number' ? step : Number.NaN
  } catch {
    return Number.NaN
  }
}
