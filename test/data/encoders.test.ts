// Encoders and pipelines of transforms.
import { describe, expect, it } from 'vitest'
import {
  type Columns,
  HashingEncoder,
  OneHotEncoder,
  OrdinalEncoder,
  Pipeline,
  SimpleImputer,
  StandardScaler,
  samplesOf,
  transformFromJSON,
} from '../../lib/data/index.js'
import { murmur3 } from '../../lib/data/transform/murmur3.js'
import { NaN_, rowsOf, saved } from './tables.js'

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
