// What a training step costs the JavaScript thread once it is compiled.
import { performance } from 'node:perf_hooks'
import type { Device, Tensor } from '../../lib/index.js'
import { crossings } from '../crossing.js'
import { median } from '../median.js'

export interface HostCost {
  /** From the call of the step until it gave its promise, the device being idle; median. */
  readonly callUs: number
  /** The native call in it; median. */
  readonly crossingUs: number
  /** All the thread did per step while steps were queued back to back, settling them and waking up included; mean. */
  readonly threadUs: number
}

/** Measures `calls` calls of a step that has run before. */
export async function hostCost(device: Device, step: () => Promise<Tensor>, calls: number): Promise<HostCost> {
  const times: number[] = []
  const crossingTimes = await crossings(async () => {
    for (let i = 0; i < calls; i++) {
      await device.synchronize()
      const start = performance.now()
      const loss = step()
      times.push((performance.now() - start) * 1000)
      ;(await loss).dispose()
    }
  })
  await device.synchronize()
  const before = performance.eventLoopUtilization()
  for (let i = 0; i < calls; i++) (await step()).dispose()
  await device.synchronize()
  const { active } = performance.eventLoopUtilization(before)
  return { callUs: median(times), crossingUs: median(crossingTimes), threadUs: (active * 1000) / calls }
}
