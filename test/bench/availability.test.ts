// What a machine gives of its limits meanwhile: at most all, less where the limit is higher than what is reached.
import { expect, it } from 'vitest'
import { watchMachine } from '../../lib/bench/availability.js'
import { device, Generator } from '../../lib/index.js'
import { resultOf } from './result.js'

async function availableAt(limit: number) {
  const { machine } = resultOf([], {
    copyBytesPerSecond: limit,
    peaks: { f32: { flopsPerSecond: limit, by: 'multiply-adds in registers' } },
  })
  const watch = await watchMachine(device('cpu'), machine, new Generator(1))
  for (let i = 0; i < 3; i++) {
    await watch.copy()
    await watch.compute()
  }
  return { first: watch.available(), next: watch.available() }
}

it('a share of the limits is at most 1, and as much smaller as the limits are larger', async () => {
  const all = { memory: 1, arithmetic: 1 }
  expect(await availableAt(1)).toEqual({ first: all, next: all })
  // No machine copies or computes as much.
  const { first, next } = await availableAt(1e18)
  for (const share of [first.memory, first.arithmetic]) {
    expect(share).toBeGreaterThan(0)
    expect(share).toBeLessThan(0.01)
  }
  expect(next).toEqual(all)
})
