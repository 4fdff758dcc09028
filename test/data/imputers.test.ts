// Imputers: hand-made figures, and what they save.
import { describe, expect, it } from 'vitest'
import { IterativeImputer, KNNImputer, MissingIndicator, Random, SimpleImputer } from '../../lib/data/index.js'
import { NaN_, near, saved, table } from './tables.js'

describe('imputers', () => {
  const holes = table([
    [7, 2, 3],
    [4, NaN_, 6],
    [10, 5, 9],
  ])

  it('fill the mean as scikit-learn does', () => {
    const imputer = new SimpleImputer().fit(holes)
    near(
      imputer.transform(
        table([
          [NaN_, 2, 3],
          [4, NaN_, 6],
          [10, NaN_, 9],
        ]),
      ),
      [
        [7, 2, 3],
        [4, 3.5, 6],
        [10, 3.5, 9],
      ],
    )
  })

  it('fill medians, the most frequent value and constants, and mark what was missing', () => {
    const data = { x: Float64Array.of(1, 9, NaN_, 2, 2), s: ['b', '', 'a', 'b', 'a'] }
    const filled = (imputer: SimpleImputer) => saved(imputer.fit(data)).transform(data)
    expect(filled(new SimpleImputer({ strategy: 'median' }))).toEqual({ ...data, x: Float64Array.of(1, 9, 2, 2, 2) })
    expect(filled(new SimpleImputer({ strategy: 'mostFrequent', indicator: true }))).toEqual({
      x: Float64Array.of(1, 9, 2, 2, 2),
      s: ['b', 'a', 'a', 'b', 'a'],
      x_missing: Float64Array.of(0, 0, 1, 0, 0),
      s_missing: Float64Array.of(0, 1, 0, 0, 0),
    })
    expect(filled(new SimpleImputer({ strategy: 'constant', value: 'none' }))).toEqual({
      ...data,
      s: ['b', 'none', 'a', 'b', 'a'],
    })
    expect(new SimpleImputer({ strategy: 'mostFrequent' }).fit(data).transform({ x: null, s: null })).toEqual({
      x: 2,
      s: 'a',
    })
    expect(new MissingIndicator().fit(data).transform({ x: NaN_, s: 'a' })).toEqual({
      x: NaN_,
      s: 'a',
      x_missing: 1,
      s_missing: 0,
    })
    expect(() => new SimpleImputer({ strategy: 'constant' })).toThrow("'constant' needs a value")
  })

  it('fill from the nearest rows as scikit-learn does', () => {
    const data = table([
      [1, 2, NaN_],
      [3, 4, 3],
      [NaN_, 6, 5],
      [8, 8, 7],
    ])
    const imputer = new KNNImputer({ neighbors: 2 }).fit(data)
    near(imputer.transform(data), [
      [1, 2, 4],
      [3, 4, 3],
      [5.5, 6, 5],
      [8, 8, 7],
    ])
    expect(saved(imputer).transform(data)).toEqual(imputer.transform(data))
    // By hand: [1, 2, NaN] is sqrt(3/2 * 8) from [3, 4, 3] and sqrt(3 * 16) from [NaN, 6, 5]: weights 2 to 1.
    near(new KNNImputer({ neighbors: 2, weights: 'distance' }).fit(data).transform(table([[1, 2, NaN_]])), [
      [1, 2, 11 / 3],
    ])
    near(new KNNImputer().fit(data).transform(table([[NaN_, NaN_, NaN_]])), [[4, 5, 5]])
    near(new KNNImputer({ weights: 'distance' }).fit(data).transform(table([[3, 4, NaN_]])), [[3, 4, 3]])
  })

  it('find a linear relation again, round after round', () => {
    const random = new Random(1)
    const rows = Array.from({ length: 60 }, () => {
      const [a, b] = [random.normal(), random.normal()]
      return [a, b, 2 * a - 3 * b + 1, a + b]
    })
    const torn = rows.map((row, i) => row.map((value, at) => (i % 5 === 0 && at === i % 4 ? NaN_ : value)))
    const imputer = new IterativeImputer({ rounds: 50, tolerance: 1e-9, penalty: 1e-12, indicator: true }).fit(
      table(torn),
    )
    const filled = imputer.transform(table(torn))
    expect(Object.keys(filled).slice(4)).toEqual(['a_missing', 'b_missing', 'c_missing', 'd_missing'])
    near(Object.fromEntries(Object.entries(filled).slice(0, 4)), rows, 6)
    expect(saved(imputer).transform(table(torn))).toEqual(filled)
    const [a, b] = [0.3, -1.2]
    const sample = imputer.transform({ a, b, c: null, d: a + b }) as Record<string, number>
    expect(sample['c']).toBeCloseTo(2 * a - 3 * b + 1, 6)
  })

  it('survive columns that say the same, and constant ones', () => {
    const data = table([
      [1, 1, 5],
      [2, 2, 5],
      [3, 3, 5],
      [NaN_, 4, 5],
      [5, NaN_, NaN_],
    ])
    near(
      new IterativeImputer({ rounds: 100, tolerance: 1e-9 }).fit(data).transform(data),
      [
        [1, 1, 5],
        [2, 2, 5],
        [3, 3, 5],
        [4, 4, 5],
        [5, 5, 5],
      ],
      2,
    )
  })
})
