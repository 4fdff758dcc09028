// What the kernels of a run take by themselves, without the call around them, as the device's profile tells.
import { type Device, startProfile, stopProfile } from '../index.js'
import { timingOf } from './sampling.js'

/** Runs that are recorded at once. */
const RUNS = 20

/** The median, over runs for so many seconds, of the sum of a run's kernels. The device is one that is not recorded meanwhile. */
export async function kernelSeconds(
  device: Device,
  runs: (cycles: number) => Promise<void>,
  seconds: number,
): Promise<number> {
  // Kernels are made at the first run, memory comes from the pool from the second on.
  await runs(2)
  const found: number[] = []
  const end = performance.now() + 1000 * seconds
  do {
    startProfile(device)
    try {
      await runs(RUNS)
    } finally {
      const { events } = stopProfile(device)
      const jobs = events.filter(({ category }) => category === 'job')
      const kernels = events.filter(({ category }) => category === 'kernel')
      for (const job of jobs) {
        const within = kernels.filter((kernel) => kernel.start >= job.start && kernel.end <= job.end)
        if (within.length > 0) found.push(within.reduce((sum, kernel) => sum + kernel.end - kernel.start, 0) / 1e6)
      }
    }
    if (found.length === 0) throw new Error('a run that has kernels was recorded without one')
  } while (performance.now() < end)
  return timingOf(found, 1).p50
}
