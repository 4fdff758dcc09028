// The example of quantisation, run as people run it, at small size.
import { expect, it } from 'vitest'
import { figuresOf } from './run.js'

it('a network in int8 reads as well, at a quarter of the bytes', { timeout: 240_000 }, async () => {
  const figures = await figuresOf<Record<string, { mean: number }>>('quantize')
  const mean = (name: string): number => (figures[name] as { mean: number }).mean
  expect(mean('f32')).toBeGreaterThan(85)
  // Ten of a thousand test digits; the figures of --full are stricter.
  expect(mean('lostAfter')).toBeLessThan(1)
  expect(mean('lostAware')).toBeLessThan(1)
  expect(mean('bytesPercent')).toBeLessThan(30)
  for (const name of ['f32 µs at 1', 'int8 µs at 1', 'f32 µs at 64', 'int8 µs at 64'])
    expect(mean(name)).toBeGreaterThan(0)
})
