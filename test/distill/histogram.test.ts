// Ranges that are read off a histogram.
import { expect, it } from 'vitest'
import { Histogram } from '../../lib/distill/histogram.js'

const even = (count: number, low: number, high: number): Float32Array =>
  Float32Array.from({ length: count }, (_, i) => low + ((high - low) * (i + 0.5)) / count)

it('leaves the rarest elements out, at either end half of them', () => {
  const histogram = new Histogram(1)
  histogram.add(even(10_000, -1, 1))
  const [low, high] = histogram.percentile(90)
  expect(low).toBeCloseTo(-0.9, 2)
  expect(high).toBeCloseTo(0.9, 2)
})

it('widens for elements beyond its limit and forgets none', () => {
  const histogram = new Histogram(0.01)
  histogram.add(even(1000, -0.01, 0.01))
  histogram.add(even(3000, 2, 5))
  const [low, high] = histogram.percentile(100)
  expect(low).toBeLessThanOrEqual(-0.009)
  expect(high).toBeGreaterThanOrEqual(4.99)
  // A quarter is around 0: the middle half begins above the first eighth and ends below the last.
  expect(histogram.percentile(40)[0]).toBeGreaterThan(2)
})

it('cuts an outlier off where the rest gains more', () => {
  const histogram = new Histogram(100)
  histogram.add(even(1_000_000, 0, 1))
  histogram.add(Float32Array.of(8))
  const [low, high] = histogram.leastError([0, 8])
  expect(low).toBe(0)
  expect(high).toBeLessThan(8)
  expect(high).toBeGreaterThan(0.9)
})

it('keeps all of an even range', () => {
  const histogram = new Histogram(1)
  histogram.add(even(10_000, -0.5, 1))
  const [low, high] = histogram.leastError([-0.5, 1])
  expect(low).toBeCloseTo(-0.5, 1)
  expect(high).toBeCloseTo(1, 1)
})
