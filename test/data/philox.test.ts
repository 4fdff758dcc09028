// The host's generator: against Random123's vectors and the tests' own Philox, and what is drawn from it.
import { describe, expect, it } from 'vitest'
import { philox as reference } from '../../lib/cases/philox.js'
import { Random } from '../../lib/data/index.js'
import { philox } from '../../lib/data/philox.js'

const block = (counter: readonly number[], key: readonly number[]): number[] => {
  const out = new Uint32Array(4)
  philox(counter, key, out)
  return [...out]
}

describe('philox', () => {
  // Random123 1.14, tests/kat_vectors, philox4x32 10.
  it.each([
    [
      [0, 0, 0, 0],
      [0, 0],
      [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8],
    ],
    [new Array(4).fill(0xffffffff), new Array(2).fill(0xffffffff), [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd]],
    [
      [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
      [0xa4093822, 0x299f31d0],
      [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
    ],
  ])('is that of Random123: %j', (counter, key, expected) => {
    expect(block(counter, key)).toEqual(expected)
  })

  it('is that of the big integers', () => {
    const random = new Random(3)
    for (let i = 0; i < 200; i++) {
      const words = Array.from({ length: 6 }, () => random.uint32())
      const [counter, key] = [words.slice(0, 4), words.slice(4)]
      expect(block(counter, key)).toEqual(reference(counter, key))
    }
  })
})

const draws = (random: Random, count = 8): number[] => Array.from({ length: count }, () => random.uint32())

describe('Random', () => {
  it('gives the same numbers for the same place and others for any other', () => {
    const places = [
      () => new Random(1, 'sample', { epoch: 0, index: 0 }),
      () => new Random(1, 'sample', { epoch: 1, index: 0 }),
      () => new Random(1, 'sample', { epoch: 0, index: 1 }),
      () => new Random(1, 'sample', { epoch: 0, index: 2 ** 32 }),
      () => new Random(1, 'sample', { epoch: 0, index: 0, repeat: 1 }),
      () => new Random(1, 'order'),
      () => new Random(1, 'batch'),
      () => new Random(1),
      () => new Random(2, 'sample'),
      () => new Random(1 + 2 ** 32, 'sample'),
    ]
    const seen = places.map((make) => draws(make()).join())
    expect(new Set(seen).size).toBe(places.length)
    expect(places.map((make) => draws(make()).join())).toEqual(seen)
  })

  it('draws uniforms, integers, normals and betas of the right moments', () => {
    const random = new Random(7)
    const moments = (draw: () => number, count = 20_000) => {
      const all = Array.from({ length: count }, draw)
      const mean = all.reduce((a, b) => a + b) / count
      return [mean, all.reduce((sum, x) => sum + (x - mean) ** 2, 0) / count] as const
    }
    // Five standard errors of each.
    const near = ([mean, variance]: readonly [number, number], m: number, v: number): void => {
      expect(Math.abs(mean - m)).toBeLessThan(5 * Math.sqrt(v / 20_000))
      expect(Math.abs(variance / v - 1)).toBeLessThan(0.1)
    }
    near(
      moments(() => random.uniform(2, 5)),
      3.5,
      9 / 12,
    )
    near(
      moments(() => random.integer(10)),
      4.5,
      99 / 12,
    )
    near(
      moments(() => random.normal(1, 2)),
      1,
      4,
    )
    near(
      moments(() => random.beta(0.4, 0.4)),
      0.5,
      0.25 / 1.8,
    )
    near(
      moments(() => Number(random.bernoulli(0.3))),
      0.3,
      0.21,
    )
  })

  it('permutes: each integer once, each order as likely', () => {
    const random = new Random(5)
    expect([...random.permutation(1000)].sort((a, b) => a - b)).toEqual(Array.from({ length: 1000 }, (_, i) => i))
    const counts = new Map<string, number>()
    for (let i = 0; i < 6000; i++) {
      const order = random.permutation(3).join('')
      counts.set(order, (counts.get(order) ?? 0) + 1)
    }
    expect(counts.size).toBe(6)
    // Chi-squared with 5 degrees of freedom: above 25.7 in one of 10,000.
    expect([...counts.values()].reduce((sum, n) => sum + (n - 1000) ** 2 / 1000, 0)).toBeLessThan(25.7)
  })

  it('refuses seeds and counts that are none', () => {
    expect(() => new Random(-1)).toThrow('the seed must be an integer from 0 to 2^53 - 1, not -1')
    expect(() => new Random(0.5)).toThrow(/seed/)
    expect(() => new Random(0).integer(0)).toThrow(/count/)
  })
})
