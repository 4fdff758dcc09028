// Missing values filled with the mean of the nearest rows of the training data.
import { integerFrom, oneOf } from '../../ops/arguments.js'
import { DataError } from '../../runtime/errors.js'
import { type Columns, isNumeric } from '../columns.js'
import { incomplete, indicators } from './imputer.js'
import { type ColumnOptions, register, Transform } from './transform.js'

export interface KNNImputerOptions extends ColumnOptions {
  /** Neighbours whose mean is taken. Default 5. */
  readonly neighbors?: number
  /** How they count: alike, or by the inverse of their distance. Default 'uniform'. */
  readonly weights?: 'uniform' | 'distance'
  /** Adds `name_missing` for each column that something was missing in when it was fitted. Default false. */
  readonly indicator?: boolean
}

interface Rows {
  readonly names: readonly string[]
  /** The training data by column; null where missing, for JSON has no NaN. */
  readonly columns: readonly (readonly (number | null)[])[]
  readonly means: readonly number[]
  readonly marked: readonly string[]
}

/**
 * Fills a missing value with the mean of that column over the k nearest training rows that have it (Troyanskaya et al.
 * 2001). Distances are Euclidean over what both rows have, in proportion to how much that is; scale columns first. Where no
 * row has anything in common, the column's mean is taken. Keeps the training columns, also in its JSON.
 */
export class KNNImputer extends Transform<KNNImputerOptions, Rows> {
  readonly type = 'KNNImputer'

  /** Throws `ArgumentError`. */
  constructor(options: KNNImputerOptions = {}) {
    super(options)
    integerFrom('KNNImputer', 'neighbors', options.neighbors ?? 5, 1)
    oneOf('KNNImputer', 'weights', options.weights ?? 'uniform', ['uniform', 'distance'])
  }

  protected learn(columns: Columns): Rows {
    const names = this.chosen(columns, 'numbers', isNumeric)
    const kept = names.map((name) =>
      Array.from(this.numbers(columns, name), (value) => (Number.isNaN(value) ? null : value)),
    )
    const means = kept.map((column, at) => {
      const present = column.filter((value) => value !== null)
      if (present.length > 0) return present.reduce((sum, value) => sum + value, 0) / present.length
      throw new DataError(`KNNImputer.fit: all values of '${names[at]}' are missing`, 'value', {
        field: names[at] as string,
      })
    })
    return { names, columns: kept, means, marked: this.options.indicator ? incomplete(columns, names) : [] }
  }

  /** @internal */
  inputs({ names }: Rows): readonly string[] {
    return names
  }

  protected apply(columns: Columns, fitted: Rows): Columns {
    const { names, marked } = fitted
    const given = names.map((name) => this.numbers(columns, name))
    const filled = given.map((column) => column.slice())
    for (let row = 0; row < (given[0]?.length ?? 0); row++) {
      const missing = given.flatMap((column, at) => (Number.isNaN(column[row]) ? [at] : []))
      if (missing.length === 0) continue
      const distances = distancesTo(
        given.map((column) => column[row] as number),
        fitted.columns,
      )
      for (const at of missing) (filled[at] as Float64Array)[row] = this.fillOf(at, distances, fitted)
    }
    return {
      ...columns,
      ...Object.fromEntries(names.map((name, at) => [name, filled[at] as Float64Array])),
      ...indicators(columns, marked),
    }
  }

  private fillOf(at: number, distances: Float64Array, { columns, means }: Rows): number {
    const { neighbors = 5, weights = 'uniform' } = this.options
    const donors: number[] = []
    const column = columns[at] as readonly (number | null)[]
    for (let row = 0; row < column.length; row++)
      if (column[row] !== null && !Number.isNaN(distances[row])) donors.push(row)
    if (donors.length === 0) return means[at] as number
    donors.sort((a, b) => (distances[a] as number) - (distances[b] as number) || a - b)
    let nearest = donors.slice(0, neighbors)
    // Rows at distance 0 count alone.
    if (weights === 'distance' && distances[nearest[0] as number] === 0)
      nearest = nearest.filter((row) => distances[row] === 0)
    let sum = 0
    let total = 0
    for (const row of nearest) {
      const distance = distances[row] as number
      const weight = weights === 'uniform' || distance === 0 ? 1 : 1 / distance
      sum += weight * (column[row] as number)
      total += weight
    }
    return sum / total
  }
}

/** Of one row to each training row; NaN where they have nothing in common. */
function distancesTo(row: readonly number[], columns: Rows['columns']): Float64Array {
  return Float64Array.from({ length: columns[0]?.length ?? 0 }, (_, other) => {
    let sum = 0
    let common = 0
    for (let at = 0; at < row.length; at++) {
      const value = columns[at]?.[other] ?? Number.NaN
      const difference = (row[at] as number) - value
      if (Number.isNaN(difference)) continue
      sum += difference * difference
      common++
    }
    return common === 0 ? Number.NaN : Math.sqrt((row.length / common) * sum)
  })
}

register('KNNImputer', (options: KNNImputerOptions) => new KNNImputer(options))
