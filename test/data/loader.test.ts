// The loader on this thread: batches, epochs, order, position, ownership, and what it refuses.
import { describe, expect, it } from 'vitest'
import { bucketSampler, collate, DataError, DataLoader, dataset, weightedSampler } from '../../lib/data/index.js'
import type { Tensor } from '../../lib/index.js'

interface Row {
  readonly x: number
  readonly name: string
}
const rows = (count: number) => dataset(Array.from({ length: count }, (_, i): Row => ({ x: i, name: `row ${i}` })))

/** The values of x of each batch of one epoch. */
async function epochOf(loader: DataLoader<Row>, most = Number.POSITIVE_INFINITY): Promise<number[][]> {
  const batches: number[][] = []
  if (most === 0) return batches
  for await (const { x } of loader) {
    batches.push([...(await x.data())] as number[])
    if (batches.length === most) break
  }
  return batches
}

describe('batches', () => {
  it('are tensors of numbers and arrays, and lists of everything else, under the same keys', async () => {
    const samples = Array.from({ length: 3 }, (_, i) => ({
      image: { data: new Uint8Array(6).fill(i), shape: [2, 3], dtype: 'u8' as const },
      label: i,
      big: BigInt(i),
      flag: i > 0,
      raw: Float64Array.of(i, -i),
      list: [i, i + 1],
      half: { data: Float32Array.of(i, 0.5), shape: [2], dtype: 'f16' as const },
      name: `sample ${i}`,
      tags: ['a', 'b'],
      nothing: null,
      nested: { depth: i, note: 'x' },
    }))
    for await (const batch of new DataLoader(samples, {
      batchSize: 3,
      dtypes: { label: 'i32', 'nested.depth': 'i64' },
    })) {
      const { image, label, big, flag, raw, list, half, nested } = batch
      expect([image, label, big, flag, raw, list, half, nested.depth].map(String)).toEqual(
        ['u8[3,2,3]', 'i32[3]', 'i64[3]', 'bool[3]', 'f64[3,2]', 'f32[3,2]', 'f16[3,2]', 'i64[3]'].map(
          (type) => `Tensor ${type} on ${image.device}`,
        ),
      )
      expect(await flag.array()).toEqual([false, true, true])
      expect(await half.array()).toEqual([
        [0, 0.5],
        [1, 0.5],
        [2, 0.5],
      ])
      expect(await raw.array()).toEqual([
        [0, -0],
        [1, -1],
        [2, -2],
      ])
      expect(await nested.depth.array()).toEqual([0n, 1n, 2n])
      expect(batch.name).toEqual(['sample 0', 'sample 1', 'sample 2'])
      expect(batch.tags).toEqual(new Array(3).fill(['a', 'b']))
      expect(batch.nothing).toEqual([null, null, null])
      expect(nested.note).toEqual(['x', 'x', 'x'])
    }
  })

  it('belong to the iterator: gone when the next is asked for, at the end, and when the loop is left', async () => {
    const loader = new DataLoader(rows(5), { batchSize: 2 })
    const seen: Tensor[] = []
    for await (const { x } of loader) {
      expect(seen.every(({ disposed }) => disposed)).toBe(true)
      expect(x.disposed).toBe(false)
      seen.push(x)
    }
    for await (const { x } of loader) {
      seen.push(x)
      break
    }
    await expect(async () => {
      for await (const { x } of loader) {
        seen.push(x)
        throw new Error('the step failed')
      }
    }).rejects.toThrow('the step failed')
    expect(seen).toHaveLength(5)
    expect(seen.every(({ disposed }) => disposed)).toBe(true)
  })

  it('may be made by a function, whose arrays stay its own', async () => {
    const shared = Float32Array.of(1, 2)
    const made = new DataLoader(rows(2), {
      batchSize: 2,
      collate: (samples, { random, epoch, batch }) => ({
        shared: { data: shared, shape: [2], dtype: 'f32' },
        names: samples.map(({ name }) => name),
        drawn: { data: Float64Array.of(random.uniform(), epoch, batch), shape: [3], dtype: 'f64' },
      }),
    })
    for (let epoch = 0; epoch < 2; epoch++) {
      for await (const batch of made as AsyncIterable<Record<string, unknown>>) {
        expect(await (batch['shared'] as Tensor).array()).toEqual([1, 2])
        expect(batch['names']).toEqual(['row 0', 'row 1'])
        expect((await (batch['drawn'] as Tensor).array()) as number[]).toEqual([expect.any(Number), epoch, 0])
      }
    }
    expect(shared).toHaveLength(2)
  })

  it('pad what differs in length', () => {
    const samples = [[1, 2, 3], [4], []].map((tokens) => ({ tokens: Int32Array.from(tokens) }))
    const { tokens, mask } = collate(samples, { pad: { tokens: { value: -1, multipleOf: 4, mask: 'mask' } } }) as never
    expect(tokens).toEqual({
      data: Int32Array.of(1, 2, 3, -1, 4, -1, -1, -1, -1, -1, -1, -1),
      shape: [3, 4],
      dtype: 'i32',
    })
    expect(mask).toEqual({ data: Uint8Array.of(1, 1, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0), shape: [3, 4], dtype: 'bool' })
    const left = collate(samples, { pad: { tokens: { left: true, length: 3 } } })
    expect(left['tokens']).toEqual({ data: Int32Array.of(1, 2, 3, 0, 0, 4, 0, 0, 0), shape: [3, 3], dtype: 'i32' })
    const planes = [
      [1, 2],
      [2, 1],
    ].map(([h, w], at) => ({
      plane: { data: new Float32Array(2).fill(at + 1), shape: [h as number, w as number], dtype: 'f32' as const },
    }))
    expect(collate(planes, { pad: { plane: {} } })['plane']).toEqual({
      data: Float32Array.of(1, 1, 0, 0, 2, 0, 2, 0),
      shape: [2, 2, 2],
      dtype: 'f32',
    })
    expect(collate(planes, { pad: { plane: { left: true } } })['plane']).toMatchObject({
      data: Float32Array.of(0, 0, 1, 1, 2, 0, 2, 0),
    })
  })

  it.each([
    [[{ x: 1 }, { y: 1 }], "sample 8 has no field 'x'"],
    [[{ x: 1 }, { x: 1, y: 1 }], "sample 8 has the field 'y'"],
    [[{ x: 1 }, { x: null }], "'x' of sample 8: it is null, where numbers are expected; fill missing values"],
    [[{ x: [1, 2] }, { x: [1] }], "'x' has shape [2] in sample 7 and [1] in sample 8; pad it (pad: { 'x': {} })"],
    [[{ x: [[1, 2], [1]] }], "'x' of sample 7: the nested arrays are ragged"],
    [[{ x: 1 }, { x: 1n }], "'x' is f32 in sample 7 and i64 in sample 8"],
    [[{ x: { a: 1 } }, { x: 1 }], "'x' of sample 8 is number 1, of others an object"],
    [[[1]], 'sample 7 is an array; a sample is a plain object of fields'],
    [[{ x: { data: new Float32Array(3), shape: [2], dtype: 'f32' } }], '3 elements do not fill the shape [2]'],
  ])('say what does not fit: %o', (samples, message) => {
    expect(() => collate(samples, {}, [7, 8])).toThrow(DataError)
    expect(() => collate(samples, {}, [7, 8])).toThrow(message)
  })
})

describe('epochs', () => {
  it('cover the dataset once each, in another order each, the same for the same seed', async () => {
    const make = (seed: number) => new DataLoader(rows(10), { batchSize: 3, shuffle: true, seed })
    const loader = make(1)
    expect(loader.length).toBe(4)
    const epochs = [await epochOf(loader), await epochOf(loader), await epochOf(loader)]
    for (const epoch of epochs) {
      expect(epoch.map((batch) => batch.length)).toEqual([3, 3, 3, 1])
      expect(epoch.flat().sort((a, b) => a - b)).toEqual(Array.from({ length: 10 }, (_, i) => i))
    }
    expect(new Set(epochs.map((epoch) => epoch.join())).size).toBe(3)
    const same = make(1)
    expect([await epochOf(same), await epochOf(same), await epochOf(same)]).toEqual(epochs)
    expect(await epochOf(make(2))).not.toEqual(epochs[0])
    expect(await epochOf(new DataLoader(rows(10), { batchSize: 3, shuffle: { seed: 1 } }))).toEqual(epochs[0])
  })

  it('drop the last batch, and read in order where nobody shuffles', async () => {
    const loader = new DataLoader(rows(7), { batchSize: 3, dropLast: true })
    expect(loader.length).toBe(2)
    expect(await epochOf(loader)).toEqual([
      [0, 1, 2],
      [3, 4, 5],
    ])
    expect(await epochOf(new DataLoader(dataset<Row>([])))).toEqual([])
  })

  it('draw for a sample by seed, epoch and index, whatever the batch size, prefetch and order', async () => {
    const draw = async (options: object): Promise<Map<number, number>[]> => {
      const loader = new DataLoader(
        rows(10).map(({ x }, { random }) => ({ x, drawn: random.uniform() })),
        { seed: 3, ...options },
      )
      const epochs: Map<number, number>[] = []
      for (let epoch = 0; epoch < 2; epoch++) {
        const found = new Map<number, number>()
        for await (const { x, drawn } of loader) {
          const [xs, values] = [await x.data(), await drawn.data()]
          xs.forEach((value, i) => found.set(Number(value), Number(values[i])))
        }
        epochs.push(found)
      }
      return epochs
    }
    const [first, second] = await draw({ batchSize: 1 })
    expect(first).not.toEqual(second)
    expect(new Set(first?.values()).size).toBe(10)
    expect(await draw({ batchSize: 4, prefetch: 0, shuffle: true })).toEqual([first, second])
  })
})

describe('samplers', () => {
  it('draw in proportion to weights, never what has none', async () => {
    const weights = [0, 1, 3, 0]
    const loader = new DataLoader(rows(4), { batchSize: 100, sampler: weightedSampler(weights, { count: 4000 }) })
    const drawn = (await epochOf(loader)).flat()
    expect(drawn).toHaveLength(4000)
    expect(new Set(drawn)).toEqual(new Set([1, 2]))
    // Five standard deviations.
    expect(Math.abs(drawn.filter((x) => x === 2).length - 3000)).toBeLessThan(5 * Math.sqrt(4000 * 0.75 * 0.25))
    const once = new DataLoader(rows(4), { sampler: weightedSampler([1, 2, 0, 4], { count: 3, replacement: false }) })
    expect((await epochOf(once)).flat().sort()).toEqual([0, 1, 3])
    expect(() => weightedSampler([1, -1])).toThrow('the weight -1 of sample 1')
    expect(() => weightedSampler([0, 1], { replacement: false })).toThrow('not enough for 2 draws')
  })

  it('draw other random numbers for each time that a sample comes', async () => {
    const samples = dataset([{ x: 0 }]).map((_, { random }) => ({ x: random.uniform() }))
    for await (const { x } of new DataLoader(samples, {
      batchSize: 50,
      sampler: weightedSampler([1], { count: 50 }),
    })) {
      expect(new Set((await x.array()) as number[]).size).toBe(50)
    }
  })

  it('put samples of like length into one batch', async () => {
    const lengths = Array.from({ length: 103 }, (_, i) => (i * 31) % 40)
    const sampler = bucketSampler(lengths, { batchSize: 5, batchesPerBucket: 10 })
    const loader = new DataLoader(rows(103), { batchSampler: sampler })
    expect(loader.length).toBe(21)
    const batches = await epochOf(loader)
    expect(batches).toHaveLength(21)
    expect(batches.flat().sort((a, b) => a - b)).toEqual(Array.from({ length: 103 }, (_, i) => i))
    const padded = batches.reduce(
      (sum, batch) => sum + batch.length * Math.max(...batch.map((i) => lengths[i] as number)),
      0,
    )
    const plain = await epochOf(new DataLoader(rows(103), { batchSize: 5, shuffle: true }))
    const unbucketed = plain.reduce(
      (sum, batch) => sum + batch.length * Math.max(...batch.map((i) => lengths[i] as number)),
      0,
    )
    expect(padded).toBeLessThan(0.8 * unbucketed)
    expect(await epochOf(loader)).not.toEqual(batches)
  })
})

describe('the position', () => {
  const make = () => new DataLoader(rows(10), { batchSize: 3, shuffle: true, seed: 4 })

  it.each([0, 1, 2, 3, 4])('after %i batches is gone on with exactly', async (taken) => {
    const straight = make()
    const expected = [...(await epochOf(straight)), ...(await epochOf(straight)), ...(await epochOf(straight))]
    const stopped = make()
    const before = [...(await epochOf(stopped)), ...(await epochOf(stopped, taken))]
    const state = JSON.parse(JSON.stringify(stopped.state()))
    expect(state).toMatchObject(taken === 0 ? { epoch: 0, position: 4 } : { epoch: 1, position: taken })
    const resumed = make()
    resumed.load(state)
    const rest = await epochOf(resumed)
    expect([...before, ...rest]).toEqual(expected.slice(0, before.length + rest.length))
    expect(before.length + rest.length).toBe(taken === 4 ? 12 : 8)
    expect(resumed.state().position).toBe(4)
  })

  it('of a stream is found again by reading it', async () => {
    const stream = () =>
      dataset(Array.from({ length: 10 }, (_, x) => ({ x, name: '' })))
        .stream()
        .shuffle({ seed: 1, buffer: 4 })
    const loader = new DataLoader(stream(), { batchSize: 3 })
    expect(loader.length).toBeUndefined()
    const whole = await epochOf(loader)
    const second = await epochOf(loader)
    expect(second).not.toEqual(whole)
    const stopped = new DataLoader(stream(), { batchSize: 3 })
    await epochOf(stopped, 2)
    const resumed = new DataLoader(stream(), { batchSize: 3 })
    resumed.load(stopped.state())
    expect(await epochOf(resumed)).toEqual(whole.slice(2))
    expect(await epochOf(resumed)).toEqual(second)
  })

  it('of a stream is read ahead, no further than asked for, and no more once its loop is left', async () => {
    let read = 0
    let returned = 0
    const source = {
      async *[Symbol.asyncIterator]() {
        try {
          for (;;) yield { x: read++, name: '' }
        } finally {
          returned++
        }
      },
    }
    const loader = new DataLoader(dataset(source), { batchSize: 2, prefetch: 3 })
    let batches = 0
    for await (const _ of loader) {
      await new Promise((resolve) => setTimeout(resolve, 5))
      expect(read).toBe(2 * (++batches + 3))
      if (batches === 4) break
    }
    const end = read
    await new Promise((resolve) => setTimeout(resolve, 5))
    expect([read, returned]).toEqual([end, 1])
  })

  it('starts the next epoch where a loop was left and nothing was loaded', async () => {
    const loader = make()
    await epochOf(loader, 1)
    expect(await epochOf(loader)).toHaveLength(4)
    expect(loader.state()).toMatchObject({ epoch: 1, position: 4 })
  })

  it('of another loader is refused', () => {
    const state = make().state()
    expect(() => new DataLoader(rows(9), { batchSize: 3 }).load(state)).toThrow(
      'the state is of 10 samples in batches of 3',
    )
    expect(() => make().load({ ...state, version: 2 as 1 })).toThrow('version 2')
    expect(() => make().load({ ...state, position: -1 })).toThrow('position')
  })
})

describe('a loader refuses', () => {
  it('options that do not go together', () => {
    const stream = dataset(rows(3).stream())
    const closure = rows(3).map((row) => row)
    expect(() => new DataLoader(stream, { shuffle: true })).toThrow('mix them with dataset.shuffle')
    expect(() => new DataLoader(stream, { workers: 1 })).toThrow('not a stream')
    expect(() => new DataLoader(closure, { workers: 1 })).toThrow('workers can not take closures')
    expect(() => new DataLoader(rows(3), { batchSize: 0 })).toThrow('batchSize')
    expect(() => new DataLoader(rows(3), { sampler: weightedSampler([1, 1, 1]), shuffle: true })).toThrow(
      'leave out shuffle',
    )
    expect(() => new DataLoader(rows(3), { batchSampler: bucketSampler([1], { batchSize: 1 }), batchSize: 2 })).toThrow(
      'leave out',
    )
    expect(() => new DataLoader(rows(3), { seed: 1.5 })).toThrow('seed')
  })

  it('a second loop while one is running', async () => {
    const loader = new DataLoader(rows(3))
    for await (const _ of loader) {
      await expect(epochOf(loader)).rejects.toThrow('an epoch is being read already')
      expect(() => loader.load(loader.state())).toThrow('end its loop first')
      break
    }
    expect(await epochOf(loader)).toHaveLength(3)
  })
})

describe('a sample that fails', () => {
  it.each([0, 2])('is named when its turn comes, with %i batches ahead', async (prefetch) => {
    const samples = rows(9).map((row) => {
      if (row.x === 7) throw new Error('no such file')
      return row
    })
    const loader = new DataLoader(samples, { batchSize: 3, prefetch })
    const seen: number[] = []
    const failure = await (async () => {
      for await (const { x } of loader) seen.push(x.size)
    })().catch((error) => error)
    expect(failure).toBeInstanceOf(DataError)
    expect(failure).toMatchObject({
      code: 'sampleFailed',
      sample: 7,
      message: 'loader: sample 7 could not be made: no such file',
    })
    expect(failure.cause.message).toBe('no such file')
    expect(seen).toEqual([3, 3])
  })
})
