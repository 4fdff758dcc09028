// Scalers, and all transforms whose figures are scikit-learn's.
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import {
  type Columns,
  HashingEncoder,
  IterativeImputer,
  KNNImputer,
  MinMaxScaler,
  RobustScaler,
  SimpleImputer,
  StandardScaler,
  samplesOf,
} from '../../lib/data/index.js'
import { NaN_, near, rowsOf, saved, table } from './tables.js'

describe('figures of scikit-learn', () => {
  // Of test/data/files/figures.py.
  const figures = JSON.parse(readFileSync(new URL('files/scikit-learn.json', import.meta.url), 'utf8'))
  const columns = (name: string): Columns =>
    table(figures[name].map((row: (number | null)[]) => row.map((value) => value ?? NaN_)))

  it.each([
    ['StandardScaler', new StandardScaler()],
    ['MinMaxScaler', new MinMaxScaler({ range: [-1, 2] })],
    ['RobustScaler', new RobustScaler({ quantiles: [0.1, 0.8] })],
    ['mean', new SimpleImputer()],
    ['median', new SimpleImputer({ strategy: 'median' })],
    ['uniform', new KNNImputer({ neighbors: 4 })],
    ['distance', new KNNImputer({ neighbors: 4, weights: 'distance' })],
    ['IterativeImputer', new IterativeImputer({ rounds: 6, tolerance: 0, penalty: 0 })],
  ])('are those of %s', (name, transform) => {
    // Sums are of another order. Their distances are roots of x^2 - 2xy + y^2, which cancels half of the digits.
    const tolerance = name === 'distance' ? 1e-7 : 1e-9
    const made = rowsOf(transform.fit(columns('table')).transform(columns('new')))
    const expected = rowsOf(columns(name))
    expect(made).toHaveLength(8)
    made.forEach((row, i) =>
      row.forEach((value, j) => {
        const wanted = expected[i]?.[j] as number
        if (Number.isNaN(wanted)) expect(value).toBeNaN()
        else expect(Math.abs(value - wanted)).toBeLessThanOrEqual(tolerance * Math.max(1, Math.abs(wanted)))
      }),
    )
  })

  it('are those of FeatureHasher', () => {
    const words = figures.words as { pet: string; town: string }[]
    const hashed = new HashingEncoder({ size: 16 }).fit({ pet: [], town: [] })
    expect(words.map((sample) => Object.values(hashed.transform(sample)))).toEqual(figures.hashed)
  })
})

describe('scalers', () => {
  // The examples of scikit-learn 1.5's reference pages.
  it('standardise as scikit-learn does', () => {
    const scaler = new StandardScaler().fit(
      table([
        [0, 0],
        [0, 0],
        [1, 1],
        [1, 1],
      ]),
    )
    near(
      scaler.transform(
        table([
          [0, 0],
          [1, 1],
          [2, 2],
        ]),
      ),
      [
        [-1, -1],
        [1, 1],
        [3, 3],
      ],
    )
  })

  it('scale to a range as scikit-learn does', () => {
    const data = table([
      [-1, 2],
      [-0.5, 6],
      [0, 10],
      [1, 18],
    ])
    const scaler = new MinMaxScaler().fit(data)
    near(scaler.transform(data), [
      [0, 0],
      [0.25, 0.25],
      [0.5, 0.5],
      [1, 1],
    ])
    near(scaler.transform(table([[2, 2]])), [[1.5, 0]])
    near(new MinMaxScaler({ range: [-1, 3] }).fit(data).transform(data), [
      [-1, -1],
      [0, 0],
      [1, 1],
      [3, 3],
    ])
  })

  it('scale by median and quartiles as scikit-learn does', () => {
    const data = table([
      [1, -2, 2],
      [-2, 1, 3],
      [4, 1, -2],
    ])
    near(new RobustScaler().fit(data).transform(data), [
      [0, -2, 0],
      [-1, 0, 0.4],
      [1, 0, -1.6],
    ])
  })

  it.each([
    new StandardScaler({ columns: ['a'] }),
    new MinMaxScaler({ columns: ['a'], range: [2, 5] }),
    new RobustScaler({ columns: ['a'] }),
  ])('learn from present values, keep missing ones, move constants, invert and save: $type', async (scaler) => {
    const data = {
      ...table([
        [1, 7],
        [NaN_, 7],
        [4, 7],
        [9, 7],
      ]),
      name: ['p', 'q', 'r', 's'],
    }
    const scaled = scaler.fit(data).transform(data) as typeof data
    expect(scaled['name']).toBe(data.name)
    expect((scaled as Columns)['b']).toBe((data as Columns)['b'])
    expect([...((scaled as Columns)['a'] as Float64Array)].map(Number.isNaN)).toEqual([false, true, false, false])
    near({ a: scaler.inverse(scaled)['a'] as Float64Array }, [[1], [NaN_], [4], [9]])
    expect(saved(scaler).transform(data)).toEqual(scaled)
    const sample = { a: 4, name: 'r' }
    expect(scaler.transform(sample)).toEqual({ name: 'r', a: ((scaled as Columns)['a'] as Float64Array)[2] })
    expect(sample).toEqual({ a: 4, name: 'r' })
    // Fitted on samples, the same; fitted again, anew.
    expect((await scaler.fit(samplesOf(data))).transform(data)).toEqual(scaled)
    expect(scaler.fit(table([[0], [1]])).transform(data)).not.toEqual(scaled)
    const constant = scaler.fit(table([[0.1], [0.1], [0.1]])).transform(table([[0.1], [1.1]]))
    near(constant, [[scaler.type === 'MinMaxScaler' ? 2 : 0], [scaler.type === 'MinMaxScaler' ? 3 : 1]])
  })

  it('say what is missing', () => {
    expect(() => new StandardScaler().transform(table([[1]]))).toThrow(
      'StandardScaler: it is not fitted; call fit(trainingData) first',
    )
    expect(() => new StandardScaler({ columns: ['z'] }).fit(table([[1]]))).toThrow("there is no column 'z'")
    expect(() => new StandardScaler().fit(table([[NaN_]]))).toThrow("all values of 'a' are missing")
    expect(() => new StandardScaler().fit(table([[1], [Number.POSITIVE_INFINITY]]))).toThrow("'a' is Infinity in row 1")
    expect(() => new StandardScaler().fit(table([[1]])).transform({ b: Float64Array.of(1) })).toThrow(
      "there is no column 'a', which it was fitted on",
    )
    expect(() => new StandardScaler({ columns: ['s'] }).fit({ s: ['x'] })).toThrow(
      "the column 's' does not hold numbers",
    )
    expect(() => new MinMaxScaler({ range: [1, 1] })).toThrow('does not ascend')
  })
})
