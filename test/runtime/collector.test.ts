// What the garbage collector is told of the device's memory: that it is held, and not that it comes and goes.
import { constants, type PerformanceEntry, PerformanceObserver } from 'node:perf_hooks'
import { setImmediate } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import * as h from '../../lib/index.js'

/** 68 MiB, more than V8 lets pile up beside its heap before it collects. */
const LARGE = [17 << 20]
const BYTES = 68 * 2 ** 20
const RUNS = 12

const device = h.defaultDevice()
const negated = h.compile((x: h.Tensor) => x.neg())

/** How often all of the heap was looked at meanwhile. */
async function collections(during: () => Promise<void>): Promise<number> {
  let count = 0
  const observer = new PerformanceObserver((list) => {
    for (const entry of list.getEntries())
      if (
        (entry as PerformanceEntry & { detail: { kind: number } }).detail.kind !== constants.NODE_PERFORMANCE_GC_MINOR
      )
        count++
  })
  observer.observe({ entryTypes: ['gc'] })
  await during()
  await setImmediate()
  observer.disconnect()
  return count
}

describe('the garbage collector', () => {
  it('is not asked to collect for large results that come and go', async () => {
    using x = h.zeros(LARGE)
    const runs = async (count: number): Promise<void> => {
      for (let i = 0; i < count; i++) {
        using y = await negated(x)
        expect(y.shape).toEqual(LARGE)
        await device.synchronize()
      }
    }
    await runs(2)
    // Two a run it would be, as each is more than V8 lets pile up.
    expect(await collections(() => runs(RUNS))).toBeLessThan(RUNS)
  })

  it('frees large results that nobody disposes of, before they are many', async () => {
    using x = h.zeros(LARGE)
    const before = device.memory().allocated
    let most = 0
    for (let i = 0; i < RUNS; i++) {
      await negated(x)
      await device.synchronize()
      // Finalizers are tasks of the event loop.
      await setImmediate()
      most = Math.max(most, device.memory().allocated - before)
    }
    expect(most).toBeGreaterThan(0)
    expect(most).toBeLessThan(4 * BYTES)
  })
})
