// Tables by column: from samples and back, and the statistics of each column.
import { ArgumentError, DataError } from '../runtime/errors.js'
import { describe } from '../schema/describe.js'
import { type DatasetLike, dataset, type IndexedDataset, streamOf } from './dataset.js'
import type { HostArray } from './sample.js'

/** Numbers with NaN where one is missing, or strings with '' where one is missing. */
export type Column = Float64Array | Float32Array | readonly string[]

/** Columns of one length by name. */
export type Columns = Readonly<Record<string, Column>>

export const isNumeric = (column: Column | undefined): column is Float64Array | Float32Array =>
  column instanceof Float64Array || column instanceof Float32Array

/** The rows of a table. Throws `ArgumentError` where columns differ in length. */
export function lengthOf(op: string, columns: Columns): number {
  const [first, ...rest] = Object.entries(columns)
  const other = rest.find(([, column]) => column.length !== first?.[1].length)
  if (other) {
    throw new ArgumentError(
      `${op}: the column '${first?.[0]}' has ${first?.[1].length} rows, '${other[0]}' has ${other[1].length}`,
    )
  }
  return first?.[1].length ?? 0
}

/**
 * The columns of samples: numbers and booleans as Float64Array (NaN for null), strings as they are ('' for null). Reads
 * every sample; `names` are the fields wanted, default those of the first that hold numbers or strings.
 * Throws `DataError` for a field that is neither, or another in another sample.
 */
export async function columnsOf(source: DatasetLike<object>, names?: readonly string[]): Promise<Columns> {
  const lists = new Map<string, unknown[]>()
  let sample = 0
  for await (const fields of streamOf(source) as AsyncIterable<Record<string, unknown>>) {
    if (sample === 0) {
      const fitting = Object.keys(fields).filter(
        (name) => fields[name] === null || ['number', 'boolean', 'bigint', 'string'].includes(typeof fields[name]),
      )
      for (const name of names ?? fitting) lists.set(name, [])
    }
    for (const [name, list] of lists) {
      if (!Object.hasOwn(fields, name))
        throw new DataError(`columnsOf: sample ${sample} has no field '${name}'`, 'value', { sample, field: name })
      list.push(fields[name])
    }
    sample++
  }
  return Object.fromEntries(Array.from(lists, ([name, list]) => [name, columnOf(name, list)]))
}

function columnOf(name: string, values: readonly unknown[]): Column {
  const strings = values.some((value) => typeof value === 'string')
  const wrong = values.findIndex(
    (value) =>
      value !== null &&
      value !== undefined &&
      !(strings ? typeof value === 'string' : ['number', 'boolean', 'bigint'].includes(typeof value)),
  )
  if (wrong !== -1) {
    throw new DataError(
      `columnsOf: '${name}' of sample ${wrong} is ${describe(values[wrong])}, ${strings ? 'and a string in others' : 'neither a number nor a string'}`,
      'value',
      { sample: wrong, field: name },
    )
  }
  if (strings) return values.map((value) => (value as string | null) ?? '')
  return Float64Array.from(values, (value) => (value === null || value === undefined ? Number.NaN : Number(value)))
}

/** The rows of a table as samples of numbers and strings. */
export function samplesOf(columns: Columns): IndexedDataset<Record<string, number | string>> {
  const entries = Object.entries(columns)
  return dataset({
    length: lengthOf('samplesOf', columns),
    get: (row) => Object.fromEntries(entries.map(([name, column]) => [name, column[row] as number | string])),
  })
}

/**
 * Columns of numbers side by side: [rows, names]; of a sample, its fields: [names]. Throws `ArgumentError` for what is no
 * number.
 *
 * @example const inputs = samples.map((sample) => ({ x: assemble(scaler.transform(sample), names), y: sample.price }))
 */
export function assemble(source: Columns | Readonly<Record<string, unknown>>, names: readonly string[]): HostArray {
  const fields = names.map((name) => {
    const field: unknown = source[name]
    if (typeof field === 'number' || typeof field === 'boolean' || isNumeric(field as Column))
      return field as number | Float64Array
    throw new ArgumentError(`assemble: '${name}' is ${describe(field)}, not numbers; encode it first`)
  })
  const rows = fields.map((field) => (typeof field === 'object' ? field.length : undefined))
  const count = rows[0]
  if (rows.some((other) => other !== count))
    throw new ArgumentError(`assemble: the columns ${names.join(', ')} differ in length`)
  const width = names.length
  const data = new Float32Array((count ?? 1) * width)
  fields.forEach((field, at) => {
    if (typeof field !== 'object') data[at] = Number(field)
    else for (let row = 0; row < field.length; row++) data[row * width + at] = field[row] as number
  })
  return { data, shape: count === undefined ? [width] : [count, width], dtype: 'f32' }
}

/** The present numbers of a column, ascending. */
export const sortedPresent = (column: Float64Array | Float32Array): Float64Array =>
  Float64Array.from(column)
    .filter((value) => !Number.isNaN(value))
    .sort()

/** The quantile `q` from 0 to 1 of ascending numbers, between neighbours in proportion (type 7 of Hyndman and Fan 1996). */
export function quantile(sorted: Float64Array, q: number): number {
  const position = q * (sorted.length - 1)
  const below = Math.floor(position)
  const [low, high] = [sorted[below] as number, sorted[Math.min(below + 1, sorted.length - 1)] as number]
  return low + (position - below) * (high - low)
}

/** Mean and variance (of the population) in two passes: the second corrects what the first rounded (Chan et al. 1983). */
export function moments(values: Float64Array): { readonly mean: number; readonly variance: number } {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length
  let squares = 0
  let rest = 0
  for (const value of values) {
    squares += (value - mean) ** 2
    rest += value - mean
  }
  return { mean, variance: Math.max(0, (squares - rest ** 2 / values.length) / values.length) }
}

export interface NumberStatistics {
  readonly kind: 'number'
  /** Present and missing values. */
  readonly count: number
  readonly missing: number
  readonly mean: number
  /** Of the population: the sum of squares is divided by `count`. */
  readonly std: number
  readonly min: number
  readonly lowerQuartile: number
  readonly median: number
  readonly upperQuartile: number
  readonly max: number
}

export interface StringStatistics {
  readonly kind: 'string'
  readonly count: number
  readonly missing: number
  readonly distinct: number
  /** The ten most frequent with their counts, most frequent first. */
  readonly top: readonly (readonly [string, number])[]
}

/** What is in each column; figures of a column without values are NaN. */
export function statistics(columns: Columns): Record<string, NumberStatistics | StringStatistics> {
  lengthOf('statistics', columns)
  return Object.fromEntries(
    Object.entries(columns).map(([name, column]) => [name, isNumeric(column) ? ofNumbers(column) : ofStrings(column)]),
  )
}

function ofNumbers(column: Float64Array | Float32Array): NumberStatistics {
  const sorted = sortedPresent(column)
  const { mean, variance } = moments(sorted)
  const at = (q: number): number => (sorted.length === 0 ? Number.NaN : quantile(sorted, q))
  return {
    kind: 'number',
    count: sorted.length,
    missing: column.length - sorted.length,
    mean,
    std: Math.sqrt(variance),
    min: at(0),
    lowerQuartile: at(0.25),
    median: at(0.5),
    upperQuartile: at(0.75),
    max: at(1),
  }
}

function ofStrings(column: readonly string[]): StringStatistics {
  const counts = countsOf(column)
  const present = [...counts.values()].reduce((sum, count) => sum + count, 0)
  return {
    kind: 'string',
    count: present,
    missing: column.length - present,
    distinct: counts.size,
    top: [...counts].slice(0, 10),
  }
}

/** How often each string that is not missing comes: most frequent first, equal ones by code units. */
export function countsOf<T extends string | number>(column: Iterable<T>): Map<T, number> {
  const counts = new Map<T, number>()
  for (const value of column) if (value !== '' && !Number.isNaN(value)) counts.set(value, (counts.get(value) ?? 0) + 1)
  return new Map([...counts].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1)))
}
