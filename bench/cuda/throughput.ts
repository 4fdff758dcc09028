// The device's time for a compiled function: many runs queued back to back, waited for once.
import type { Device } from '../../lib/index.js'
import { median } from '../median.js'

export interface Timing {
  /** Milliseconds of one run: the median of the samples, the least and the largest of them. */
  readonly ms: number
  readonly leastMs: number
  readonly mostMs: number
  /** Runs of one sample. */
  readonly runs: number
  readonly samples: number
  /** Whether every run was the replay of a recorded one. */
  readonly replayed: boolean
}

export interface TimingOptions {
  /** What a sample takes at least, so that its end, where the host waits, weighs little. Default 200. */
  readonly sampleMs?: number
  /** Default 5. */
  readonly samples?: number
}

/** Milliseconds of `runs` runs, from an idle device to an idle device. */
async function sample(device: Device, run: () => Promise<unknown>, runs: number): Promise<number> {
  await device.synchronize()
  const start = performance.now()
  for (let i = 0; i < runs; i++) await run()
  await device.synchronize()
  return performance.now() - start
}

/** Times `run`, which enqueues a run and resolves once it is accepted. */
export async function throughput(
  device: Device,
  run: () => Promise<unknown>,
  { sampleMs = 200, samples = 5 }: TimingOptions = {},
): Promise<Timing> {
  // The first run makes what is made lazily, the second one is recorded, later ones are replays.
  await sample(device, run, 4)
  let runs = 1
  for (let took = await sample(device, run, runs); took < sampleMs; took = await sample(device, run, runs)) {
    runs = Math.max(runs + 1, Math.min(runs * 8, Math.ceil((runs * sampleMs * 1.1) / Math.max(took, 1e-3))))
  }
  const replays = device.memory().replays
  const times: number[] = []
  for (let i = 0; i < samples; i++) times.push((await sample(device, run, runs)) / runs)
  return {
    ms: median(times),
    leastMs: Math.min(...times),
    mostMs: Math.max(...times),
    runs,
    samples,
    replayed: device.memory().replays - replays === samples * runs,
  }
}
