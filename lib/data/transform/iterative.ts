// Missing values predicted from the other columns by ridge regression, round after round.
import { integerFrom, numberIn } from '../../ops/arguments.js'
import { DataError } from '../../runtime/errors.js'
import { type Columns, isNumeric, moments } from '../columns.js'
import { incomplete, indicators } from './imputer.js'
import { type ColumnOptions, register, Transform } from './transform.js'

export interface IterativeImputerOptions extends ColumnOptions {
  /** At most. Default 10. */
  readonly rounds?: number
  /** Rounds end when no filled value changes by more than this share of the largest value. Default 1e-3. */
  readonly tolerance?: number
  /** Ridge penalty, in units of the variance of a column. Default 1e-6. */
  readonly penalty?: number
  /** Adds `name_missing` for each column that something was missing in when it was fitted. Default false. */
  readonly indicator?: boolean
}

interface Regression {
  readonly target: number
  readonly weights: readonly number[]
  readonly intercept: number
}

interface Chain {
  readonly names: readonly string[]
  readonly means: readonly number[]
  /** In the order they were fitted in; applied in that order to new data. */
  readonly regressions: readonly Regression[]
  readonly marked: readonly string[]
}

/**
 * Begins with each column's mean, then predicts the missing values of one column after the other from all others (van
 * Buuren 2007, with ridge regression and without draws). A column that was complete in the training data gets its mean.
 */
export class IterativeImputer extends Transform<IterativeImputerOptions, Chain> {
  readonly type = 'IterativeImputer'

  /** Throws `ArgumentError`. */
  constructor(options: IterativeImputerOptions = {}) {
    super(options)
    integerFrom('IterativeImputer', 'rounds', options.rounds ?? 10, 1)
    numberIn('IterativeImputer', 'tolerance', options.tolerance ?? 1e-3, 0)
    numberIn('IterativeImputer', 'penalty', options.penalty ?? 1e-6, 0)
  }

  protected learn(columns: Columns): Chain {
    const { rounds = 10, tolerance = 1e-3, penalty = 1e-6, indicator = false } = this.options
    const names = this.chosen(columns, 'numbers', isNumeric)
    const table = names.map((name) => this.numbers(columns, name))
    const absent = table.map((column) => Array.from(column.keys()).filter((row) => Number.isNaN(column[row])))
    const means = table.map((column, at) => {
      const present = column.filter((value) => !Number.isNaN(value))
      if (present.length > 0) return moments(present).mean
      throw new DataError(`IterativeImputer.fit: all values of '${names[at]}' are missing`, 'value', {
        field: names[at] as string,
      })
    })
    const largest = table.flatMap((column) => [...column]).reduce((max, x) => Math.max(max, Math.abs(x) || 0), 0)
    fillMeans(table, means)
    // Columns with the fewest missing values first.
    const order = [...names.keys()]
      .filter((at) => absent[at]?.length)
      .sort((a, b) => (absent[a]?.length ?? 0) - (absent[b]?.length ?? 0) || a - b)
    const regressions: Regression[] = []
    for (let round = 0; round < rounds; round++) {
      let change = 0
      for (const target of order) {
        const gone = new Set(absent[target])
        const rows = [...(table[target] as Float64Array).keys()].filter((row) => !gone.has(row))
        const regression = ridge(table, target, rows, penalty)
        regressions.push(regression)
        for (const row of gone) {
          const value = predict(table, regression, row)
          change = Math.max(change, Math.abs(value - (table[target]?.[row] as number)))
          ;(table[target] as Float64Array)[row] = value
        }
      }
      if (change <= tolerance * largest) break
    }
    return { names, means, regressions, marked: indicator ? incomplete(columns, names) : [] }
  }

  /** @internal */
  inputs({ names }: Chain): readonly string[] {
    return names
  }

  protected apply(columns: Columns, { names, means, regressions, marked }: Chain): Columns {
    const table = names.map((name) => this.numbers(columns, name))
    const absent = table.map((column) => Array.from(column.keys()).filter((row) => Number.isNaN(column[row])))
    fillMeans(table, means)
    for (const regression of regressions) {
      const column = table[regression.target] as Float64Array
      for (const row of absent[regression.target] ?? []) column[row] = predict(table, regression, row)
    }
    return {
      ...columns,
      ...Object.fromEntries(names.map((name, at) => [name, table[at] as Float64Array])),
      ...indicators(columns, marked),
    }
  }
}

function fillMeans(table: readonly Float64Array[], means: readonly number[]): void {
  table.forEach((column, at) => {
    for (let row = 0; row < column.length; row++) if (Number.isNaN(column[row])) column[row] = means[at] as number
  })
}

function predict(table: readonly Float64Array[], { target, weights, intercept }: Regression, row: number): number {
  let sum = intercept
  for (let at = 0; at < table.length; at++)
    if (at !== target) sum += (weights[at] as number) * (table[at]?.[row] as number)
  return sum
}

/** Column `target` from all others over `rows`; other columns are standardised for the penalty, weights are of them as given. */
function ridge(table: readonly Float64Array[], target: number, rows: readonly number[], penalty: number): Regression {
  const at = (column: number): Float64Array => Float64Array.from(rows, (row) => table[column]?.[row] as number)
  const y = at(target)
  const yMean = moments(y).mean
  const others = [...table.keys()].filter((column) => column !== target)
  const places = others.map((column) => moments(at(column)))
  // A constant column tells nothing.
  const used = others.filter((_, i) => (places[i]?.variance as number) > 0)
  const standard = used.map((column) => {
    const { mean, variance } = places[others.indexOf(column)] as { mean: number; variance: number }
    return { column, mean, std: Math.sqrt(variance), values: at(column).map((x) => (x - mean) / Math.sqrt(variance)) }
  })
  const dot = (a: Float64Array, b: (row: number) => number): number =>
    a.reduce((sum, value, row) => sum + value * b(row), 0)
  const gram = standard.map((a, i) =>
    standard.map((b, j) => dot(a.values, (row) => b.values[row] as number) + (i === j ? penalty * rows.length : 0)),
  )
  const solution = solve(
    gram,
    standard.map(({ values }) => dot(values, (row) => (y[row] as number) - yMean)),
  )
  const weights = new Array<number>(table.length).fill(0)
  let intercept = yMean
  standard.forEach(({ column, mean, std }, i) => {
    weights[column] = (solution[i] as number) / std
    intercept -= ((solution[i] as number) / std) * mean
  })
  return { target, weights, intercept }
}

/** A x = b for a symmetric matrix that is not negative, by Cholesky; directions without extent get 0. */
function solve(matrix: readonly (readonly number[])[], b: readonly number[]): number[] {
  const n = b.length
  const lower = matrix.map((row) => [...row])
  const at = (i: number, j: number): number => lower[i]?.[j] as number
  const flat = matrix.map((row, i) => (row[i] as number) * 1e-12)
  for (let j = 0; j < n; j++) {
    for (let i = j; i < n; i++) {
      let sum = at(i, j)
      for (let k = 0; k < j; k++) sum -= at(i, k) * at(j, k)
      const row = lower[i] as number[]
      if (i === j) row[j] = sum > (flat[j] as number) ? Math.sqrt(sum) : 0
      else row[j] = at(j, j) === 0 ? 0 : sum / at(j, j)
    }
  }
  const x = [...b]
  for (let i = 0; i < n; i++) {
    for (let k = 0; k < i; k++) x[i] = (x[i] as number) - at(i, k) * (x[k] as number)
    x[i] = at(i, i) === 0 ? 0 : (x[i] as number) / at(i, i)
  }
  for (let i = n - 1; i >= 0; i--) {
    for (let k = i + 1; k < n; k++) x[i] = (x[i] as number) - at(k, i) * (x[k] as number)
    x[i] = at(i, i) === 0 ? 0 : (x[i] as number) / at(i, i)
  }
  return x
}

register('IterativeImputer', (options: IterativeImputerOptions) => new IterativeImputer(options))
