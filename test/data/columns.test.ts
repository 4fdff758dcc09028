// Columns: from samples and back, and their statistics.
import { describe, expect, it } from 'vitest'
import { assemble, columnsOf, dataset, samplesOf, statistics } from '../../lib/data/index.js'
import { NaN_ } from './tables.js'

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
