// CSV as a stream of samples, by csv-parse: rows as objects, numbers as numbers, missing ones as NaN.
import { pipeline, Readable } from 'node:stream'
import { integerFrom, optionsOf } from '../ops/arguments.js'
import { ArgumentError, DataError } from '../runtime/errors.js'
import { StreamDataset } from './dataset.js'
import { load } from './optional.js'
import { SamplePlace } from './sample.js'
import { nameOf, type TextSource, textOf } from './source.js'

export type CsvType = 'number' | 'string' | 'boolean'

/** A row: numbers (NaN where missing), strings, booleans (null where missing). */
export type CsvRow = Record<string, number | string | boolean | null>

export interface CsvOptions {
  /** Whether the first record names the columns (default true), or their names. */
  readonly header?: boolean | readonly string[]
  /** Default ','. */
  readonly delimiter?: string
  /** Default '"'; null where nothing is quoted. */
  readonly quote?: string | null
  /** Lines that begin with this are no data. Default none. */
  readonly comment?: string
  /** What columns hold. Those not named are numbers where all of the first `inferRows` rows are, else strings. */
  readonly types?: Readonly<Record<string, CsvType>>
  /** Default 100. */
  readonly inferRows?: number
  /** What stands for a missing number or boolean. Default '', 'NA', 'N/A', 'NaN', 'nan', 'null', 'NULL', '?'. */
  readonly missing?: readonly string[]
  /** A longer record is an error, so that a quote that is never closed does not fill the memory. Default 2^20 characters. */
  readonly maxRecord?: number
}

const inFile = (source: TextSource): string => {
  const { file } = nameOf(source)
  return file === undefined ? '' : ` of ${file}`
}
const shortened = (text: string): string => (text.length > 40 ? `${text.slice(0, 40)}...` : text)

const MOST_NAMES = 20
const shownNames = (names: readonly string[]): string =>
  names
    .slice(0, MOST_NAMES)
    .map((name) => `'${shortened(name)}'`)
    .join(', ') + (names.length > MOST_NAMES ? ` and ${names.length - MOST_NAMES} more` : '')

const MISSING = ['', 'NA', 'N/A', 'NaN', 'nan', 'null', 'NULL', '?']
/** Every digit has one place in it, so that a long text is no long search. */
const NUMBER = /^[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?$/
/** Zeros in front belong to codes, which are no numbers. */
const CODE = /^[+-]?0\d/

interface Parsed {
  readonly record: string[]
  readonly info: { readonly lines: number }
}

/**
 * The rows of a CSV file, read as they are asked for. Strings come as they are; the type of a column stays what it was
 * found to be, and a value that does not fit it is a `DataError` with its row, line and column.
 *
 * @example const rows = readCsv('iris.csv', { types: { species: 'string' } })
 */
export function readCsv(source: TextSource, options: CsvOptions = {}): StreamDataset<CsvRow> {
  const { inferRows = 100, maxRecord = 2 ** 20 } = optionsOf('readCsv', options)
  integerFrom('readCsv', 'inferRows', inferRows, 1)
  integerFrom('readCsv', 'maxRecord', maxRecord, 1)
  for (const [name, type] of Object.entries(options.types ?? {})) {
    if (type !== 'number' && type !== 'string' && type !== 'boolean') {
      throw new ArgumentError(
        `readCsv: the type of '${name}' must be 'number', 'string' or 'boolean', not ${String(type)}`,
      )
    }
  }
  return new StreamDataset(async function* ({ seed, epoch }) {
    let index = 0
    for await (const row of rowsOf(source, options, inferRows, maxRecord))
      yield [row, new SamplePlace(seed, epoch, index++)]
  })
}

async function* recordsOf(source: TextSource, options: CsvOptions, maxRecord: number): AsyncGenerator<Parsed> {
  const { parse } = (await load('readCsv', 'csv-parse')) as typeof import('csv-parse')
  const { delimiter = ',', quote = '"', comment } = options
  const text = Readable.from(textOf('readCsv', source), { objectMode: true })
  const parser = parse({
    delimiter,
    quote,
    bom: true,
    info: true,
    max_record_size: maxRecord,
    skip_empty_lines: true,
    ...(comment === undefined ? {} : { comment }),
  })
  // Errors reach whoever iterates; leaving the loop destroys the parser, and with it the source.
  pipeline(text, parser, () => undefined)
  try {
    yield* parser as AsyncIterable<Parsed>
  } catch (cause) {
    throw cause instanceof DataError ? cause : parseError(cause, source, options)
  } finally {
    text.destroy()
  }
}

function parseError(cause: unknown, source: TextSource, { header = true }: CsvOptions): DataError {
  const { message, code, lines, records } = cause as Error & { code?: string; lines?: number; records?: number }
  if (lines === undefined) {
    return new DataError(
      `readCsv: the rows${inFile(source)} can not be read: ${message}`,
      'malformed',
      nameOf(source),
      { cause },
    )
  }
  const row = (records ?? 0) + (header === true ? 0 : 1)
  return new DataError(
    `readCsv: row ${row}, line ${lines}${inFile(source)}: ${message}`,
    code === 'CSV_MAX_RECORD_SIZE' ? 'tooLarge' : 'malformed',
    {
      ...nameOf(source),
      row,
      line: lines,
    },
    { cause },
  )
}

async function* rowsOf(
  source: TextSource,
  options: CsvOptions,
  inferRows: number,
  maxRecord: number,
): AsyncGenerator<CsvRow> {
  const missing = new Set(options.missing ?? MISSING)
  const { header = true } = options
  let names = Array.isArray(header) ? namesOf(header, source) : undefined
  let columns: readonly Column[] | undefined
  let row = 0
  const held: Parsed[] = []
  const decide = (): readonly Column[] => columnsOf(names as readonly string[], held, options, missing, source)
  for await (const parsed of recordsOf(source, options, maxRecord)) {
    if (!names) {
      names = header === true ? namesOf(parsed.record, source) : parsed.record.map((_, i) => `column${i + 1}`)
      if (header === true) continue
    }
    if (columns) {
      yield convert(parsed, columns, missing, source, ++row)
      continue
    }
    held.push(parsed)
    if (held.length < inferRows) continue
    columns = decide()
    for (const one of held) yield convert(one, columns, missing, source, ++row)
  }
  if (columns || !names) return
  columns = decide()
  for (const one of held) yield convert(one, columns, missing, source, ++row)
}

function namesOf(names: readonly string[], source: TextSource): readonly string[] {
  const seen = new Set<string>()
  for (const name of names) {
    if (!seen.has(name)) seen.add(name)
    else
      throw new DataError(
        `readCsv: two columns${inFile(source)} are called '${shortened(name)}'; name them with header`,
        'malformed',
        { ...nameOf(source), field: name },
      )
  }
  return names
}

interface Column {
  readonly name: string
  readonly type: CsvType
}

function columnsOf(
  names: readonly string[],
  rows: readonly Parsed[],
  { types = {} }: CsvOptions,
  missing: ReadonlySet<string>,
  source: TextSource,
): Column[] {
  const unknown = Object.keys(types).find((name) => !names.includes(name))
  if (unknown !== undefined) {
    throw new DataError(
      `readCsv: there is no column '${unknown}'${inFile(source)}; there are ${shownNames(names)}`,
      'malformed',
      { ...nameOf(source), field: unknown },
    )
  }
  return names.map((name, at) => {
    const declared = Object.hasOwn(types, name) ? types[name] : undefined
    if (declared) return { name, type: declared }
    const texts = rows.map(({ record }) => (record[at] ?? '').trim()).filter((text) => !missing.has(text))
    const numbers = texts.length > 0 && texts.every((text) => NUMBER.test(text) && !CODE.test(text))
    return { name, type: numbers ? 'number' : 'string' }
  })
}

function convert(
  { record, info }: Parsed,
  columns: readonly Column[],
  missing: ReadonlySet<string>,
  source: TextSource,
  row: number,
): CsvRow {
  const place = { ...nameOf(source), row, line: info.lines }
  if (record.length !== columns.length) {
    throw new DataError(
      `readCsv: row ${row}, line ${info.lines}${inFile(source)} has ${record.length} values for ${columns.length} columns`,
      'malformed',
      place,
    )
  }
  return Object.fromEntries(
    columns.map(({ name, type }, at) => {
      const text = record[at] as string
      if (type === 'string') return [name, text]
      const trimmed = text.trim()
      if (missing.has(trimmed)) return [name, type === 'number' ? Number.NaN : null]
      if (type === 'number' && NUMBER.test(trimmed)) return [name, Number(trimmed)]
      if (type === 'boolean' && /^(true|false|0|1)$/i.test(trimmed)) return [name, /^(true|1)$/i.test(trimmed)]
      throw new DataError(
        `readCsv: '${shortened(text)}' in row ${row}, line ${info.lines}${inFile(source)} is no ${type}, which the column '${shortened(name)}' holds; give its type in types, or what stands for missing values in missing`,
        'value',
        { ...place, field: name },
      )
    }),
  )
}
