// Datasets and what is made of them: order, laziness, randomness, splits.
import { describe, expect, it } from 'vitest'
import { dataset, IndexedDataset, kFold, split, splitByGroup, splitByTime } from '../../lib/data/index.js'

const numbers = (count: number): number[] => Array.from({ length: count }, (_, i) => i)
async function* counting(count: number): AsyncGenerator<number> {
  for (let i = 0; i < count; i++) yield i
}
const restartable = (count: number): AsyncIterable<number> => ({ [Symbol.asyncIterator]: () => counting(count) })

describe.each([
  ['by index', () => dataset(numbers(10))],
  ['a stream', () => dataset(restartable(10))],
])('a dataset %s', (_, make) => {
  it('maps, filters, takes, skips, batches and concatenates in order', async () => {
    const samples = make()
    const even = samples.filter((x) => x % 2 === 0)
    expect(await even.map((x) => x * 10).toArray()).toEqual([0, 20, 40, 60, 80])
    expect(await even.take(2).toArray()).toEqual([0, 2])
    expect(await samples.skip(7).concat([100, 101]).toArray()).toEqual([7, 8, 9, 100, 101])
    expect(await samples.batch(4).toArray()).toEqual([
      [0, 1, 2, 3],
      [4, 5, 6, 7],
      [8, 9],
    ])
    expect(await samples.batch(4, { dropLast: true }).toArray()).toHaveLength(2)
    expect(await samples.toArray()).toEqual(numbers(10))
    expect(await samples.take(0).toArray()).toEqual([])
  })

  it('shuffles by the seed, losing and doubling nothing', async () => {
    const shuffled = await make().shuffle({ seed: 1, buffer: 4 }).toArray()
    expect(shuffled).not.toEqual(numbers(10))
    expect([...shuffled].sort((a, b) => a - b)).toEqual(numbers(10))
    expect(await make().shuffle({ seed: 1, buffer: 4 }).toArray()).toEqual(shuffled)
    expect(await make().shuffle({ seed: 2, buffer: 4 }).toArray()).not.toEqual(shuffled)
  })

  it('gives a map the random numbers of its sample, shared by maps that follow one another', async () => {
    const drawn = await make()
      .map((x, { random }) => [x, random.uint32()])
      .map(([x, first], { random }) => [x, first, random.uint32()])
      .toArray()
    expect(new Set(drawn.flatMap(([, first, second]) => [first, second])).size).toBe(20)
    const again = await make()
      .map((x, { random }) => [x, random.uint32(), random.uint32()])
      .toArray()
    expect(again).toEqual(drawn)
  })
})

describe('an indexed dataset', () => {
  it('computes nothing before it is asked', async () => {
    let calls = 0
    const mapped = dataset(numbers(10)).map((x) => {
      calls++
      return x
    })
    expect(await mapped.select([5, 5, 2]).get(1)).toBe(5)
    expect(calls).toBe(1)
    expect(await mapped.indicesWhere((x) => x > 7)).toEqual([8, 9])
  })

  it('takes an object with length and get, and says what it does not take', () => {
    const squares = dataset({ length: 4, get: (i: number) => i * i })
    expect(squares).toBeInstanceOf(IndexedDataset)
    expect(squares.get(3)).toBe(9)
    expect(() => squares.get(4)).toThrow('the index 4 is no integer from 0 to 3')
    expect(() => squares.select([0, -1])).toThrow('the index -1')
    expect(() => dataset(3 as never)).toThrow('not number 3')
  })
})

describe('a stream', () => {
  it('from a function is new for each epoch, from a generator it is read once', async () => {
    const fresh = dataset(() => counting(3))
    expect([await fresh.toArray(), await fresh.toArray()]).toEqual([numbers(3), numbers(3)])
    const once = dataset(counting(3))
    expect(await once.toArray()).toEqual(numbers(3))
    await expect(once.toArray()).rejects.toThrow('can be read only once; for several epochs give a function')
    expect(
      await dataset(new Set([1, 2]))
        .map((x) => x * 2)
        .toArray(),
    ).toEqual([2, 4])
  })
})

describe('splits', () => {
  const samples = dataset(numbers(100))
  it('are disjoint, of the right sizes and the same for the same seed', async () => {
    const make = (seed: number) => split(samples, { train: 0.7, validation: 0.2, test: 0.1 }, { seed })
    const parts = make(1)
    const all = await Promise.all([parts.train, parts.validation, parts.test].map((part) => part.toArray()))
    expect(all.map((part) => part.length)).toEqual([70, 20, 10])
    expect(all.flat().sort((a, b) => a - b)).toEqual(numbers(100))
    expect(await make(1).test.toArray()).toEqual(await parts.test.toArray())
    expect(await make(2).test.toArray()).not.toEqual(await parts.test.toArray())
  })

  it('keep labels in proportion', async () => {
    const labels = numbers(100).map((i) => (i < 80 ? 'common' : 'rare'))
    const { test } = split(samples, { train: 0.8, test: 0.2 }, { stratify: labels })
    expect((await test.toArray()).filter((i) => i >= 80)).toHaveLength(4)
  })

  it('never divide a group', async () => {
    const groups = numbers(100).map((i) => `patient ${i % 7}`)
    const parts = splitByGroup(samples, groups, { train: 0.7, test: 0.3 }, { seed: 3 })
    const [train, test] = await Promise.all([parts.train.toArray(), parts.test.toArray()])
    expect(train.length + test.length).toBe(100)
    expect(Math.abs(train.length - 70)).toBeLessThan(15)
    const seen = new Set(train.map((i) => i % 7))
    expect(test.some((i) => seen.has(i % 7))).toBe(false)
  })

  it('by time put nothing older into a later part, keep equal times together and leave a gap', async () => {
    const times = numbers(100).map((i) => (i * 37) % 50)
    const parts = splitByTime(samples, times, { train: 0.61, test: 0.39 }, { gap: 2 })
    const of = async (part: IndexedDataset<number>) => (await part.toArray()).map((i) => times[i] as number)
    const [train, test] = [await of(parts.train), await of(parts.test)]
    expect(Math.max(...train)).toBe(30)
    expect(Math.min(...test)).toBe(33)
    expect(train).toHaveLength(62)
    expect(test).toHaveLength(34)
  })

  it('in folds validate every sample once, and every group in one fold', async () => {
    const groups = numbers(100).map((i) => i % 9)
    const folds = kFold(samples, 3, { groups })
    const held = await Promise.all(folds.map(({ validation }) => validation.toArray()))
    expect(held.flat().sort((a, b) => a - b)).toEqual(numbers(100))
    const owners = held.map((fold) => new Set(fold.map((i) => i % 9)))
    expect(owners.reduce((sum, { size }) => sum + size, 0)).toBe(9)
    expect(await folds[0]?.train.toArray()).toHaveLength(100 - (held[0]?.length as number))
  })

  it('refuse fractions above 1 and lists that do not fit', () => {
    expect(() => split(samples, { a: 0.7, b: 0.7 })).toThrow('sum to at most 1')
    expect(() => splitByGroup(samples, [1, 2], { a: 1 })).toThrow('there are 2 groups for 100 samples')
    expect(() => splitByTime(dataset(['x']), ['never'], { a: 1 })).toThrow('the time never of sample 0')
  })
})
