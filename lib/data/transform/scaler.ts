// Scalers: columns of numbers to mean 0 and variance 1, to a range, or to median 0 and quartiles a distance of 1 apart.
import { ArgumentError, DataError } from '../../runtime/errors.js'
import { type Columns, isNumeric, moments, quantile, sortedPresent } from '../columns.js'
import { type ColumnOptions, register, type Sample, Transform } from './transform.js'

/** y = (x - center) / scale + offset, per column. */
export interface Affine {
  readonly names: readonly string[]
  readonly center: readonly number[]
  readonly scale: readonly number[]
  readonly offset: number
}

/** Scales each column by what it learnt; missing values (NaN) are not learnt from and stay missing. */
abstract class Scaler<O extends ColumnOptions> extends Transform<O, Affine> {
  /** Where a column of ascending numbers is centered, and what is its scale. */
  protected abstract place(sorted: Float64Array): readonly [number, number]

  protected get offset(): number {
    return 0
  }

  protected learn(columns: Columns): Affine {
    const names = this.chosen(columns, 'numbers', isNumeric)
    const places = names.map((name) => {
      const sorted = sortedPresent(this.numbers(columns, name))
      if (sorted.length > 0) return this.place(sorted)
      throw new DataError(`${this.type}.fit: all values of '${name}' are missing`, 'value', { field: name })
    })
    // A constant column is only moved.
    const scale = places.map(([, width]) => (width === 0 ? 1 : width))
    return { names, center: places.map(([center]) => center), scale, offset: this.offset }
  }

  /** @internal */
  inputs({ names }: Affine): readonly string[] {
    return names
  }

  protected apply(columns: Columns, { names, center, scale, offset }: Affine): Columns {
    return this.each(columns, names, (x, at) => (x - (center[at] as number)) / (scale[at] as number) + offset)
  }

  /** Columns or a sample back as they were before `transform`; only those of its columns that are there. */
  inverse(columns: Columns): Columns
  inverse<S extends Sample>(sample: S): Sample
  inverse(source: Columns | Sample): Columns | Sample {
    const { names, center, scale, offset } = this.fitted
    const there = names.filter((name) => Object.hasOwn(source, name))
    return this.onColumns(source, there, (columns) =>
      this.each(columns, there, (y, i) => {
        const at = names.indexOf(there[i] as string)
        return (y - offset) * (scale[at] as number) + (center[at] as number)
      }),
    )
  }

  private each(columns: Columns, names: readonly string[], fn: (value: number, at: number) => number): Columns {
    return {
      ...columns,
      ...Object.fromEntries(names.map((name, at) => [name, this.numbers(columns, name).map((value) => fn(value, at))])),
    }
  }
}

/** Mean 0 and variance 1 (of the population, as scikit-learn's StandardScaler). */
export class StandardScaler extends Scaler<ColumnOptions> {
  readonly type = 'StandardScaler'

  constructor(options: ColumnOptions = {}) {
    super(options)
  }

  protected place(sorted: Float64Array): readonly [number, number] {
    const { mean, variance } = moments(sorted)
    // What rounding alone makes of a constant column.
    const noise = sorted.length * Number.EPSILON
    const constant = variance <= noise * variance + (noise * mean) ** 2
    return [mean, constant ? 0 : Math.sqrt(variance)]
  }
}

/** The smallest value to 0 and the largest to 1, or to another range. */
export class MinMaxScaler extends Scaler<ColumnOptions & { readonly range?: readonly [number, number] }> {
  readonly type = 'MinMaxScaler'

  /** Throws `ArgumentError` for a range that does not ascend. */
  constructor(options: ColumnOptions & { readonly range?: readonly [number, number] } = {}) {
    super(options)
    const [low, high] = this.range
    if (!(low < high && Number.isFinite(high - low)))
      throw new ArgumentError(`MinMaxScaler: the range [${low}, ${high}] does not ascend`)
  }

  private get range(): readonly [number, number] {
    return this.options.range ?? [0, 1]
  }

  protected override get offset(): number {
    return this.range[0]
  }

  protected place(sorted: Float64Array): readonly [number, number] {
    const [low, high] = this.range
    return [sorted[0] as number, ((sorted.at(-1) as number) - (sorted[0] as number)) / (high - low)]
  }
}

/** Median 0, and the quantiles (default the quartiles) 1 apart: what lies far out does not matter. */
export class RobustScaler extends Scaler<ColumnOptions & { readonly quantiles?: readonly [number, number] }> {
  readonly type = 'RobustScaler'

  /** Throws `ArgumentError` for quantiles that do not ascend from 0 to 1. */
  constructor(options: ColumnOptions & { readonly quantiles?: readonly [number, number] } = {}) {
    super(options)
    const [low, high] = options.quantiles ?? [0.25, 0.75]
    if (!(low >= 0 && low < high && high <= 1))
      throw new ArgumentError(`RobustScaler: the quantiles [${low}, ${high}] do not ascend from 0 to 1`)
  }

  protected place(sorted: Float64Array): readonly [number, number] {
    const [low, high] = this.options.quantiles ?? [0.25, 0.75]
    return [quantile(sorted, 0.5), quantile(sorted, high) - quantile(sorted, low)]
  }
}

register('StandardScaler', (options: ColumnOptions) => new StandardScaler(options))
register('MinMaxScaler', (options: ColumnOptions) => new MinMaxScaler(options))
register('RobustScaler', (options: ColumnOptions) => new RobustScaler(options))
