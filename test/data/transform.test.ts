// Column statistics, scalers, imputers and encoders: scikit-learn's documented figures, hand-made ones, and what they save.
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import {
  assemble,
  type Columns,
  columnsOf,
  dataset,
  HashingEncoder,
  IterativeImputer,
  KNNImputer,
  MinMaxScaler,
  MissingIndicator,
  OneHotEncoder,
  OrdinalEncoder,
  Pipeline,
  Random,
  RobustScaler,
  SimpleImputer,
  StandardScaler,
  samplesOf,
  statistics,
  type Transform,
  transformFromJSON,
} from '../../lib/data/index.js'
import { murmur3 } from '../../lib/data/transform/murmur3.js'

const NaN_ = Number.NaN
/** A table of rows as columns a, b, c, ... */
const table = (rows: readonly (readonly number[])[]): Columns =>
  Object.fromEntries(
    [...(rows[0] as number[]).keys()].map((at) => ['abcdef'[at], Float64Array.from(rows, (row) => row[at] as number)]),
  )
const rowsOf = (columns: Columns): number[][] =>
  Array.from({ length: Object.values(columns)[0]?.length ?? 0 }, (_, row) =>
    Object.values(columns).map((column) => column[row] as number),
  )
const near = (columns: Columns, expected: readonly (readonly number[])[], digits = 12): void => {
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
const saved = <T extends Transform>(one: T): Transform => transformFromJSON(JSON.parse(JSON.stringify(one)))

describe('columns', () => {
  it('come from samples and go back', async () => {
    const samples = dataset([
      { x: 1, flag: true, name: 'a', image: new Uint8Array(2) },
      { x: null, flag: false, name: null, image: new Uint8Array(2) },
    ])
    const columns = await columnsOf(samples)
    expect(columns).toEqual({ x: Float64Array.of(1, NaN_), flag: Float64Array.of(1, 0), name: ['a', ''] })
    expect(await samplesOf(columns).toArray()).toEqual([
      { x: 1, flag: 1, name: 'a' },
      { x: NaN_, flag: 0, name: '' },
    ])
    expect(await columnsOf(samples, ['name'])).toEqual({ name: ['a', ''] })
    await expect(columnsOf([{ x: 1 }, { x: 'a' }])).rejects.toThrow(
      "'x' of sample 0 is number 1, and a string in others",
    )
    await expect(columnsOf([{ x: 1 }, {}])).rejects.toThrow("sample 1 has no field 'x'")
  })

  it('have statistics', () => {
    const { a, s, none } = statistics({
      a: Float64Array.of(4, NaN_, 1, 3, 2),
      s: ['x', 'y', '', 'y', 'z'],
      none: new Float32Array(5).fill(NaN_),
    })
    expect(a).toEqual({
      kind: 'number',
      count: 4,
      missing: 1,
      mean: 2.5,
      std: Math.sqrt(1.25),
      min: 1,
      lowerQuartile: 1.75,
      median: 2.5,
      upperQuartile: 3.25,
      max: 4,
    })
    expect(s).toEqual({
      kind: 'string',
      count: 4,
      missing: 1,
      distinct: 3,
      top: [
        ['y', 2],
        ['x', 1],
        ['z', 1],
      ],
    })
    expect(none).toMatchObject({ count: 0, missing: 5, mean: NaN_, median: NaN_ })
    expect(() => statistics({ a: new Float64Array(2), b: [] })).toThrow("'a' has 2 rows, 'b' has 0")
  })

  it('are put side by side', () => {
    expect(assemble({ b: Float64Array.of(3, 4), a: Float64Array.of(1, 2) }, ['a', 'b'])).toEqual({
      data: Float32Array.of(1, 3, 2, 4),
      shape: [2, 2],
      dtype: 'f32',
    })
    expect(assemble({ a: 1, b: true }, ['b', 'a'])).toEqual({ data: Float32Array.of(1, 1), shape: [2], dtype: 'f32' })
    expect(() => assemble({ a: 'x' }, ['a'])).toThrow("'a' is string 'x', not numbers; encode it first")
  })
})

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

describe('encoders', () => {
  const pets = { pet: ['dog', 'cat', '', 'dog'], size: Float64Array.of(3, 1, 2, 3) }

  it('make a column for each category', () => {
    const encoder = new OneHotEncoder().fit(pets)
    const expected = { size: pets.size, 'pet=cat': Float64Array.of(0, 1, 0, 0), 'pet=dog': Float64Array.of(1, 0, 0, 1) }
    expect(encoder.transform(pets)).toEqual(expected)
    expect(saved(encoder).transform(pets)).toEqual(expected)
    expect(encoder.outputs).toEqual(['pet=cat', 'pet=dog'])
    expect(encoder.transform({ pet: 'cat', other: 1 })).toEqual({ other: 1, 'pet=cat': 1, 'pet=dog': 0 })
    expect(() => encoder.transform({ pet: 'cow' })).toThrow(
      "'cow' in row 0 of 'pet' was not there when it was fitted ('cat', 'dog')",
    )
    expect(new OneHotEncoder({ unknown: 'ignore' }).fit(pets).transform({ pet: 'cow' })).toEqual({
      'pet=cat': 0,
      'pet=dog': 0,
    })
    expect(new OneHotEncoder({ columns: ['size'] }).fit(pets).outputs).toEqual(['size=1', 'size=2', 'size=3'])
  })

  it('number categories', () => {
    const encoder = saved(new OrdinalEncoder().fit(pets))
    expect(encoder.transform(pets)).toEqual({ ...pets, pet: Float64Array.of(1, 0, NaN_, 1) })
    expect(encoder.transform({ pet: 'dog' })).toEqual({ pet: 1 })
  })

  it('hash as scikit-learn does', () => {
    // The first four are the reference implementation's; the words come from FeatureHasher's page: columns 3, 9, 2 and 4 of
    // 10, with the signs -, +, - and -.
    expect([murmur3(''), murmur3('', 1), murmur3('test'), murmur3('Hello, world!')].map((hash) => hash >>> 0)).toEqual([
      0, 0x514e28b7, 0xba6bd213, 0xc0363e43,
    ])
    expect(
      ['dog', 'cat', 'elephant', 'run'].map((word) => [Math.abs(murmur3(word)) % 10, Math.sign(murmur3(word))]),
    ).toEqual([
      [3, -1],
      [9, 1],
      [2, -1],
      [4, -1],
    ])
    const encoder = new HashingEncoder({ size: 8 }).fit(pets)
    const hashed = saved(encoder).transform(pets) as Columns
    expect(Object.keys(hashed)).toEqual(['size', ...encoder.outputs])
    const rows = rowsOf(hashed).map((row) => row.slice(1))
    expect(rows[0]).toEqual(rows[3])
    expect(rows[2]).toEqual(new Array(8).fill(0))
    expect(rows[0]?.filter((value) => value !== 0)).toHaveLength(1)
  })
})

describe('a pipeline', () => {
  const train = { age: Float64Array.of(20, NaN_, 40), city: ['x', 'y', ''], price: Float64Array.of(1, 2, 3) }
  const make = () =>
    new Pipeline([
      new SimpleImputer({ columns: ['age'], indicator: true }),
      new SimpleImputer({ columns: ['city'], strategy: 'constant', value: 'none' }),
      new StandardScaler({ columns: ['age'] }),
      new OneHotEncoder({ columns: ['city'], unknown: 'ignore' }),
    ])

  it('fits each on what those before it made, and is one when saved', async () => {
    const pipeline = await make().fit(samplesOf(train))
    const again = saved(saved(pipeline))
    const made = pipeline.transform(train)
    expect(made).toEqual({
      age: Float64Array.of(-Math.sqrt(1.5), 0, Math.sqrt(1.5)),
      price: train.price,
      age_missing: Float64Array.of(0, 1, 0),
      'city=none': Float64Array.of(0, 0, 1),
      'city=x': Float64Array.of(1, 0, 0),
      'city=y': Float64Array.of(0, 1, 0),
    })
    expect(again.transform(train)).toEqual(made)
    // What comes later changes nothing that was learnt.
    const late = { age: 1000, city: 'z', id: 'new' }
    expect(again.transform(late)).toEqual({
      id: 'new',
      age: (1000 - 30) / Math.sqrt(200 / 3),
      age_missing: 0,
      'city=none': 0,
      'city=x': 0,
      'city=y': 0,
    })
    expect(again.transform(train)).toEqual(made)
  })

  it('says what it can not make again', () => {
    expect(() => transformFromJSON({ type: 'Nothing', options: {}, fitted: null })).toThrow(
      "string 'Nothing' is no transform; there are OneHotEncoder,",
    )
    expect(() => saved(make()).transform({ age: 1 })).toThrow('it is not fitted')
  })
})
