// Small tables for the tests of columns and transforms.
import { expect } from 'vitest'
import { type Columns, type Transform, transformFromJSON } from '../../lib/data/index.js'

export const NaN_ = Number.NaN
/** A table of rows as columns a, b, c, ... */
export const table = (rows: readonly (readonly number[])[]): Columns =>
  Object.fromEntries(
    [...(rows[0] as number[]).keys()].map((at) => ['abcdef'[at], Float64Array.from(rows, (row) => row[at] as number)]),
  )
export const rowsOf = (columns: Columns): number[][] =>
  Array.from({ length: Object.values(columns)[0]?.length ?? 0 }, (_, row) =>
    Object.values(columns).map((column) => column[row] as number),
  )
export const near = (columns: Columns, expected: readonly (readonly number[])[], digits = 12): void => {
  const rows = rowsOf(columns)
  expect(rows.length).toBe(expected.length)
  rows.forEach((row, i) =>
    row.forEach((value, j) => {
      const wanted = expected[i]?.[j] as number
      if (Number.isNaN(wanted)) expect(value).toBeNaN()
      else expect(value, `row ${i}, column ${j}`).toBeCloseTo(wanted, digits)
    }),
  )
}
export const saved = <T extends Transform>(one: T): Transform => transformFromJSON(JSON.parse(JSON.stringify(one)))
