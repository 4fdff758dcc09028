// Logs as text: a table of comma-separated values, and a JSON object per line.
import { existsSync, statSync } from 'node:fs'
import { ArgumentError } from '../runtime/errors.js'
import { AppendedFile, checkValues, type Log, type LogValues } from './log.js'

abstract class TextLog implements Log {
  private readonly file: AppendedFile

  protected constructor(
    private readonly name: string,
    path: string,
  ) {
    if (typeof path !== 'string' || path === '') throw new ArgumentError(`${name}: it takes the path of a file`)
    this.file = new AppendedFile(path)
  }

  /** A step as a line, without its end. */
  protected abstract line(step: number, values: LogValues): string

  protected append(line: string): void {
    this.file.append(Buffer.from(`${line}\n`))
  }

  write(step: number, values: LogValues): void {
    checkValues(this.name, step, values)
    this.append(this.line(step, values))
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
 * step is empty there. `write` throws `ArgumentError` for a value that has no column.
 */
export class CsvLog extends TextLog {
  private readonly columns: readonly string[]

  constructor(path: string, columns: readonly string[]) {
    super('CsvLog', path)
    if (!Array.isArray(columns) || columns.length === 0 || new Set(columns).size !== columns.length)
      throw new ArgumentError('CsvLog: the columns must be a list of names, none of them twice')
    this.columns = [...columns]
    // The one look at the disk, before a job begins: whether there is a head already.
    if (!existsSync(path) || statSync(path).size === 0) this.append(['step', ...columns].map(quoted).join(','))
  }

  protected override line(step: number, values: LogValues): string {
    for (const name of Object.keys(values)) {
      if (!this.columns.includes(name))
        throw new ArgumentError(`CsvLog: '${name}' is none of its columns: ${this.columns.join(', ')}`)
    }
    return [step, ...this.columns.map((name) => values[name] ?? '')].join(',')
  }
}

/**
 * One object per line, `{"step":0,"train/loss":2.3}`, appended to what is there. What JSON has no number for is a string:
 * "NaN", "Infinity", "-Infinity".
 */
export class JsonLinesLog extends TextLog {
  constructor(path: string) {
    super('JsonLinesLog', path)
  }

  protected override line(step: number, values: LogValues): string {
    return JSON.stringify({ step, ...values }, (_, value: unknown) =>
      typeof value === 'number' && !Number.isFinite(value) ? String(value) : value,
    )
  }
}
