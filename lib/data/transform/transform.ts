// What all transforms of columns share: fitted on training data, applied to columns or samples, saved as JSON.
import { ArgumentError, DataError } from '../../runtime/errors.js'
import { describe } from '../../schema/describe.js'
import { type Column, type Columns, columnsOf, isNumeric, lengthOf } from '../columns.js'
import { type DatasetLike, IndexedDataset, StreamDataset } from '../dataset.js'

export type Sample = Readonly<Record<string, unknown>>

/** A transform as plain JSON. */
export interface TransformJSON {
  readonly type: string
  readonly options: object
  /** What was learnt; null before `fit`. */
  readonly fitted: object | null
}

/** What the transform `type` is made again by. */
const makers = new Map<string, (options: never) => Transform>()

/** Makes a transform known to `transformFromJSON`. */
export function register(type: string, make: (options: never) => Transform): void {
  makers.set(type, make)
}

/** The transform that `toJSON` was called on, fitted as it was. Throws `ArgumentError` for anything else. */
export function transformFromJSON(json: TransformJSON): Transform {
  const make = typeof json === 'object' && json !== null ? makers.get(json.type) : undefined
  if (!make) {
    throw new ArgumentError(
      `transformFromJSON: ${describe((json as TransformJSON | null)?.type)} is no transform; there are ${[...makers.keys()].join(', ')}`,
    )
  }
  return make(json.options as never).restore(json.fitted)
}

export interface ColumnOptions {
  /** The columns it is about. Default: all that fit when it is fitted. */
  readonly columns?: readonly string[]
}

/** A dataset rather than columns: columns are arrays by name. */
const isDataset = (source: unknown): source is DatasetLike<object> =>
  Array.isArray(source) ||
  source instanceof IndexedDataset ||
  source instanceof StreamDataset ||
  (typeof source === 'object' &&
    source !== null &&
    (Symbol.asyncIterator in source || typeof (source as { get?: unknown }).get === 'function'))

/** Learns from the columns it is fitted on, and treats all later data by that alone. Fitting again learns anew. */
export abstract class Transform<O extends object = object, F extends object = object> {
  private learnt: F | undefined

  constructor(readonly options: O) {}

  /** Its class, in JSON and in errors. */
  abstract readonly type: string
  protected abstract learn(columns: Columns): F
  protected abstract apply(columns: Columns, fitted: F): Columns
  /** @internal The columns that have to be there to be transformed. */
  abstract inputs(fitted: F): readonly string[]

  /** Learns from columns, or from every sample of a dataset. Throws `ArgumentError`, `DataError`. */
  fit(columns: Columns): this
  fit(source: DatasetLike<object>): Promise<this>
  fit(source: Columns | DatasetLike<object>): this | Promise<this> {
    if (isDataset(source)) return columnsOf(source, this.needed).then((columns) => this.fit(columns))
    lengthOf(`${this.type}.fit`, source)
    this.learnt = this.learn(source)
    return this
  }

  /** Columns with those it is about transformed, or one sample; what it is given stays as it is. Throws `ArgumentError`. */
  transform(columns: Columns): Columns
  transform<S extends Sample>(sample: S): Sample
  transform(source: Columns | Sample): Columns | Sample {
    const { fitted } = this
    return this.onColumns(source, this.inputs(fitted), (columns) => this.apply(columns, fitted))
  }

  toJSON(): TransformJSON {
    return { type: this.type, options: this.options, fitted: this.learnt ?? null }
  }

  /** @internal */
  restore(fitted: object | null): this {
    this.learnt = (fitted ?? undefined) as F | undefined
    return this
  }

  /** What it learnt. Throws `ArgumentError` before `fit`. */
  get fitted(): F {
    if (this.learnt) return this.learnt
    throw new ArgumentError(`${this.type}: it is not fitted; call fit(trainingData) first`)
  }

  /** The fields that are read of a dataset to be fitted on; undefined for all. */
  protected get needed(): readonly string[] | undefined {
    return (this.options as ColumnOptions).columns
  }

  /** Runs `apply` on columns, or on the fields of a sample as columns of one row. */
  protected onColumns(
    source: Columns | Sample,
    names: readonly string[],
    apply: (columns: Columns) => Columns,
  ): Columns | Sample {
    const missing = names.find((name) => !Object.hasOwn(source, name))
    if (missing !== undefined)
      throw new ArgumentError(`${this.type}: there is no column '${missing}', which it was fitted on`)
    const first = source[names[0] as string]
    if (names.length === 0 || Array.isArray(first) || ArrayBuffer.isView(first)) {
      lengthOf(this.type, source as Columns)
      return apply(source as Columns)
    }
    const columns = Object.fromEntries(names.map((name) => [name, cell(this.type, name, source[name])]))
    const changed = Object.entries(apply(columns)).map(([name, column]) => [name, column[0]])
    return {
      ...Object.fromEntries(Object.entries(source).filter(([name]) => !names.includes(name))),
      ...Object.fromEntries(changed),
    }
  }

  /** The columns meant, of those that `fits`. Throws `ArgumentError` for one that is not there or does not fit. */
  protected chosen(columns: Columns, what: string, fits: (column: Column) => boolean): string[] {
    const wanted = (this.options as ColumnOptions).columns
    for (const name of wanted ?? []) {
      const column = columns[name]
      if (column === undefined || !Object.hasOwn(columns, name))
        throw new ArgumentError(`${this.type}.fit: there is no column '${name}'`)
      if (!fits(column)) throw new ArgumentError(`${this.type}.fit: the column '${name}' does not hold ${what}`)
    }
    return [...(wanted ?? Object.keys(columns).filter((name) => fits(columns[name] as Column)))]
  }

  /** A column of numbers, none of them infinite. Throws `ArgumentError`, `DataError`. */
  protected numbers(columns: Columns, name: string): Float64Array {
    const column = columns[name]
    if (!isNumeric(column))
      throw new ArgumentError(`${this.type}: the column '${name}' holds ${describe(column?.[0])}, not numbers`)
    const infinite = column.findIndex((value) => Math.abs(value) === Number.POSITIVE_INFINITY)
    if (infinite !== -1) {
      throw new DataError(
        `${this.type}: '${name}' is ${column[infinite]} in row ${infinite}; remove it or mark it as missing (NaN)`,
        'value',
        { field: name, sample: infinite },
      )
    }
    return Float64Array.from(column)
  }
}

function cell(type: string, name: string, value: unknown): Column {
  if (typeof value === 'string') return [value]
  if (value === null || value === undefined) return Float64Array.of(Number.NaN)
  if (typeof value === 'number' || typeof value === 'boolean' || typeof value === 'bigint')
    return Float64Array.of(Number(value))
  throw new ArgumentError(`${type}: '${name}' is ${describe(value)}, neither a number nor a string`)
}
