// Encoders: categories to columns of 0 and 1, to numbers from 0 up, or to hashed columns.
import { integerFrom, oneOf } from '../../ops/arguments.js'
import { DataError } from '../../runtime/errors.js'
import { type Column, type Columns, isNumeric } from '../columns.js'
import { murmur3 } from './murmur3.js'
import { type ColumnOptions, register, Transform } from './transform.js'

type Category = string | number

interface Categories {
  readonly names: readonly string[]
  /** Per column, ascending: numbers by value, strings by code units. */
  readonly categories: readonly (readonly Category[])[]
}

export interface EncoderOptions extends ColumnOptions {
  /** What a category that was not there when it was fitted gives. Default 'error'. */
  readonly unknown?: 'error' | 'ignore'
}

const isMissing = (value: Category): boolean => value === '' || Number.isNaN(value)
const valuesOf = (column: Column): readonly Category[] => Array.from<Category>(column as ArrayLike<Category>)

/** What both encoders of categories learn; a missing value is no category. */
abstract class CategoryEncoder extends Transform<EncoderOptions, Categories> {
  constructor(options: EncoderOptions = {}) {
    super(options)
    oneOf(new.target.name, 'unknown', options.unknown ?? 'error', ['error', 'ignore'])
  }

  protected learn(columns: Columns): Categories {
    const names = this.chosen(columns, 'strings', (column) => this.options.columns !== undefined || !isNumeric(column))
    const categories = names.map((name) => {
      const found = [...new Set(valuesOf(columns[name] as Column).filter((value) => !isMissing(value)))]
      return found.sort((a, b) => (a < b ? -1 : 1))
    })
    return { names, categories }
  }

  /** @internal */
  inputs({ names }: Categories): readonly string[] {
    return names
  }

  /** The places of a column's values among its categories; -1 for one that is missing or unknown. */
  protected places(columns: Columns, { names, categories }: Categories, at: number): number[] {
    const name = names[at] as string
    const known = categories[at] as readonly Category[]
    const place = new Map(known.map((category, i) => [category, i]))
    return valuesOf(columns[name] as Column).map((value, sample) => {
      const found = place.get(value)
      if (found !== undefined || isMissing(value) || this.options.unknown === 'ignore') return found ?? -1
      const shown = known
        .slice(0, 8)
        .map((category) => `'${category}'`)
        .join(', ')
      throw new DataError(
        `${this.type}: '${value}' in row ${sample} of '${name}' was not there when it was fitted (${shown}${known.length > 8 ? ', ...' : ''}); fit it on all categories or use unknown: 'ignore'`,
        'value',
        { field: name, sample },
      )
    })
  }
}

/** A column `name=category` of 0 and 1 for each category, in place of the column; missing and ignored ones are 0 in all. */
export class OneHotEncoder extends CategoryEncoder {
  readonly type = 'OneHotEncoder'

  /** The columns it makes, in order; for `assemble`. */
  get outputs(): string[] {
    const { names, categories } = this.fitted
    return names.flatMap((name, at) => (categories[at] as readonly Category[]).map((category) => `${name}=${category}`))
  }

  protected apply(columns: Columns, fitted: Categories): Columns {
    const made = fitted.names.flatMap((name, at) => {
      const places = this.places(columns, fitted, at)
      return (fitted.categories[at] as readonly Category[]).map((category, i): [string, Column] => [
        `${name}=${category}`,
        Float64Array.from(places, (place) => Number(place === i)),
      ])
    })
    return { ...without(columns, fitted.names), ...Object.fromEntries(made) }
  }
}

/** Each category's place among the categories, from 0: class numbers. Missing and ignored ones become NaN. */
export class OrdinalEncoder extends CategoryEncoder {
  readonly type = 'OrdinalEncoder'

  protected apply(columns: Columns, fitted: Categories): Columns {
    const made = fitted.names.map((name, at): [string, Column] => [
      name,
      Float64Array.from(this.places(columns, fitted, at), (place) => (place === -1 ? Number.NaN : place)),
    ])
    return { ...columns, ...Object.fromEntries(made) }
  }
}

export interface HashingEncoderOptions extends ColumnOptions {
  /** Columns it makes, `hash0` and on. Default 64. */
  readonly size?: number
}

/**
 * All categories of all its columns added into `size` columns, at a place and with a sign that their hash decides (Weinberger
 * et al. 2009): nothing is learnt but the names, and unknown categories need no care. The hash is that of scikit-learn's
 * FeatureHasher: murmur3 of `name=value`.
 */
export class HashingEncoder extends Transform<HashingEncoderOptions, { readonly names: readonly string[] }> {
  readonly type = 'HashingEncoder'

  /** Throws `ArgumentError` for a size that is no integer from 1 up. */
  constructor(options: HashingEncoderOptions = {}) {
    super(options)
    integerFrom('HashingEncoder', 'size', options.size ?? 64, 1)
  }

  /** The columns it makes, in order; for `assemble`. */
  get outputs(): string[] {
    return Array.from({ length: this.options.size ?? 64 }, (_, i) => `hash${i}`)
  }

  protected learn(columns: Columns): { readonly names: readonly string[] } {
    return {
      names: this.chosen(columns, 'strings', (column) => this.options.columns !== undefined || !isNumeric(column)),
    }
  }

  /** @internal */
  inputs({ names }: { readonly names: readonly string[] }): readonly string[] {
    return names
  }

  protected apply(columns: Columns, { names }: { readonly names: readonly string[] }): Columns {
    const made = this.outputs.map(() => new Float64Array(columns[names[0] as string]?.length ?? 0))
    for (const name of names) {
      valuesOf(columns[name] as Column).forEach((value, row) => {
        if (isMissing(value)) return
        const hash = murmur3(`${name}=${value}`)
        const column = made[Math.abs(hash) % made.length] as Float64Array
        column[row] = (column[row] as number) + (hash >= 0 ? 1 : -1)
      })
    }
    return {
      ...without(columns, names),
      ...Object.fromEntries(this.outputs.map((name, i) => [name, made[i] as Float64Array])),
    }
  }
}

const without = (columns: Columns, names: readonly string[]): Columns =>
  Object.fromEntries(Object.entries(columns).filter(([name]) => !names.includes(name)))

register('OneHotEncoder', (options: EncoderOptions) => new OneHotEncoder(options))
register('OrdinalEncoder', (options: EncoderOptions) => new OrdinalEncoder(options))
register('HashingEncoder', (options: HashingEncoderOptions) => new HashingEncoder(options))
