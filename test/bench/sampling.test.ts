// Sampling: what timings say of samples, and how often something is run for them.
import { expect, it } from 'vitest'
import { sample, timingOf } from '../../lib/bench/sampling.js'

it('a timing has the median, the tail and bounds of the median', () => {
  const seconds = Array.from({ length: 101 }, (_, i) => (i * 37) % 101)
  const timing = timingOf(seconds, 1)
  expect(timing).toMatchObject({ p50: 50, p99: 99, least: 0, samples: 101, cycles: 1 })
  // Ranks 50.5 -+ 1.96 sqrt(101) / 2.
  expect([timing.low, timing.high]).toEqual([40, 61])
  expect(timingOf([4, 2], 2)).toMatchObject({ p50: 1.5, least: 1, low: 1, high: 2 })
})

it('runs twice before it counts, and then until there are enough samples', async () => {
  const asked: number[] = []
  let before = 0
  const run = async (cycles: number): Promise<void> => {
    asked.push(cycles)
  }
  const timing = await sample(run, { seconds: 1e-9, minSamples: 5, cycles: 3, before: async () => void before++ })
  expect(asked).toEqual([1, 1, 3, 3, 3, 3, 3])
  expect(before).toBe(7)
  expect(timing).toMatchObject({ samples: 5, cycles: 3 })
  asked.length = 0
  // What takes next to nothing is run often per sample, so that the clock can tell.
  await sample(run, { seconds: 1e-9 })
  expect(asked[2]).toBeGreaterThan(10)
})

it('tells of each sample, and ends where what is done before them takes long', async () => {
  const told: number[] = []
  const wait = () => new Promise<void>((resolve) => setTimeout(resolve, 20))
  const timing = await sample(async () => {}, {
    seconds: 0.01,
    minSamples: 2,
    cycles: 1,
    before: wait,
    onSample: (seconds) => told.push(seconds),
  })
  expect(told).toHaveLength(timing.samples)
  // Eight times a hundredth of a second of 20 ms each, of what would be a thousand samples.
  expect(timing.samples).toBeLessThanOrEqual(5)
})
