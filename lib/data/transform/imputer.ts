// Missing values: filled with one value per column, and marked by columns of their own.

import { oneOf } from '../../ops/arguments.js'
import { ArgumentError, DataError } from '../../runtime/errors.js'
import { type Column, type Columns, countsOf, isNumeric, moments, quantile, sortedPresent } from '../columns.js'
import { type ColumnOptions, register, Transform } from './transform.js'

/** `name_missing` of the columns named: 1 where the value is missing, 0 elsewhere. */
export function indicators(columns: Columns, names: readonly string[]): Columns {
  return Object.fromEntries(
    names.map((name) => [
      `${name}_missing`,
      Float64Array.from(columns[name] as ArrayLike<unknown>, (value) => Number(value === '' || Number.isNaN(value))),
    ]),
  )
}

/** Those of the columns named that something is missing in. */
export const incomplete = (columns: Columns, names: readonly string[]): string[] =>
  names.filter((name) => (columns[name] as readonly unknown[]).some((value) => value === '' || Number.isNaN(value)))

export interface SimpleImputerOptions extends ColumnOptions {
  /** Default 'mean'. Strings can only be filled with the most frequent one or a constant. */
  readonly strategy?: 'mean' | 'median' | 'mostFrequent' | 'constant'
  /** For 'constant'. */
  readonly value?: number | string
  /** Adds `name_missing` for each column that something was missing in when it was fitted. Default false. */
  readonly indicator?: boolean
}

interface Fill {
  readonly names: readonly string[]
  readonly values: readonly (number | string)[]
  readonly marked: readonly string[]
}

/** Fills each column with its mean, its median, its most frequent value (the smallest of equally frequent ones) or a constant. */
export class SimpleImputer extends Transform<SimpleImputerOptions, Fill> {
  readonly type = 'SimpleImputer'

  /** Throws `ArgumentError` for a strategy that is none, or 'constant' without a value. */
  constructor(options: SimpleImputerOptions = {}) {
    super(options)
    oneOf('SimpleImputer', 'strategy', this.strategy, ['mean', 'median', 'mostFrequent', 'constant'])
    if (this.strategy === 'constant' && options.value === undefined)
      throw new ArgumentError("SimpleImputer: 'constant' needs a value")
  }

  private get strategy(): NonNullable<SimpleImputerOptions['strategy']> {
    return this.options.strategy ?? 'mean'
  }

  protected learn(columns: Columns): Fill {
    const { strategy } = this
    const { value } = this.options
    const fits = (column: Column): boolean => {
      if (strategy === 'constant') return isNumeric(column) === (typeof value === 'number')
      return strategy === 'mostFrequent' || isNumeric(column)
    }
    const names = this.chosen(columns, strategy === 'constant' ? `${typeof value}s` : 'numbers', fits)
    const values = names.map((name) =>
      strategy === 'constant' ? (value as number | string) : this.fillOf(columns, name),
    )
    return { names, values, marked: this.options.indicator ? incomplete(columns, names) : [] }
  }

  private fillOf(columns: Columns, name: string): number | string {
    const column = columns[name] as Column
    const present = isNumeric(column)
      ? sortedPresent(this.numbers(columns, name))
      : column.filter((text) => text !== '')
    if (present.length === 0) {
      throw new DataError(
        `SimpleImputer.fit: all values of '${name}' are missing; leave the column out or fill a constant`,
        'value',
        { field: name },
      )
    }
    if (this.strategy === 'mostFrequent') return [...countsOf<number | string>(present).keys()][0] as number | string
    return this.strategy === 'mean' ? moments(present as Float64Array).mean : quantile(present as Float64Array, 0.5)
  }

  /** @internal */
  inputs({ names }: Fill): readonly string[] {
    return names
  }

  protected apply(columns: Columns, { names, values, marked }: Fill): Columns {
    const filled = names.map((name, at): [string, Column] => {
      const value = values[at] as number | string
      if (typeof value === 'number')
        return [name, this.numbers(columns, name).map((x) => (Number.isNaN(x) ? value : x))]
      // A missing string of a sample may be null.
      return [
        name,
        Array.from(columns[name] as ArrayLike<unknown>, (x) => (x === '' || Number.isNaN(x) ? value : String(x))),
      ]
    })
    return { ...columns, ...Object.fromEntries(filled), ...indicators(columns, marked) }
  }
}

/** Adds `name_missing` (1 where missing) for each column named, or that something was missing in when it was fitted. */
export class MissingIndicator extends Transform<ColumnOptions, { readonly names: readonly string[] }> {
  readonly type = 'MissingIndicator'

  constructor(options: ColumnOptions = {}) {
    super(options)
  }

  protected learn(columns: Columns): { readonly names: readonly string[] } {
    const names = this.chosen(columns, 'anything', () => true)
    return { names: this.options.columns ? names : incomplete(columns, names) }
  }

  /** @internal */
  inputs({ names }: { readonly names: readonly string[] }): readonly string[] {
    return names
  }

  protected apply(columns: Columns, { names }: { readonly names: readonly string[] }): Columns {
    return { ...columns, ...indicators(columns, names) }
  }
}

register('SimpleImputer', (options: SimpleImputerOptions) => new SimpleImputer(options))
register('MissingIndicator', (options: ColumnOptions) => new MissingIndicator(options))
