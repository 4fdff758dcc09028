// What a machine gives of its limits while a case is timed: neighbours on the same processor take the rest.
import { readFileSync } from 'node:fs'
import type { Device, Generator } from '../index.js'
import { type Machine, peakOf } from './machine.js'
import { arithmeticProbe, copyProbe, type Probe } from './probes.js'
import { quantile } from './sampling.js'

/** The shares of the machine's limits that it gave, 1 being all. */
export interface Available {
  readonly memory: number
  readonly arithmetic: number
}

/** Watches a machine between the samples of a case. */
export interface Watch {
  /** Copies more than the largest cache holds, so that nothing else is left there. */
  readonly copy: () => Promise<void>
  /** Computes for a millisecond and leaves the caches as they are. */
  readonly compute: () => Promise<void>
  /** The medians since it was last asked. */
  readonly available: () => Available
}

const MEBI = 2 ** 20

/** Bytes of the largest cache, as Linux tells; 32 MiB where it does not. */
function cacheBytes(): number {
  try {
    const text = readFileSync('/sys/devices/system/cpu/cpu0/cache/index3/size', 'utf8')
    const [, count, unit] = /^(\d+)([KM])/.exec(text) ?? []
    if (count) return Number(count) * (unit === 'M' ? MEBI : 1024)
  } catch {
    // Not told: below.
  }
  return 32 * MEBI
}

/** Twice what the largest cache holds, at most 256 MiB. */
const sweepBytes = (): number => Math.min(256 * MEBI, Math.max(64 * MEBI, 2 * cacheBytes()))

/** Multiply-adds of about a millisecond. */
const REPEATS = 50_000

/** A probe, and the shares of `limit`, per second, that its runs reached. */
class Watched {
  #shares: number[] = []

  constructor(
    readonly device: Device,
    readonly probe: Probe,
    readonly limit: number,
  ) {}

  async run(): Promise<void> {
    const start = performance.now()
    ;(await this.probe.run()).dispose()
    await this.device.synchronize()
    this.#shares.push(this.probe.work / ((performance.now() - start) / 1000) / this.limit)
  }

  /** More than the limit that was measured is no more than that. */
  share(): number {
    const sorted = this.#shares.sort((a, b) => a - b)
    this.#shares = []
    return sorted.length === 0 ? 1 : Math.min(1, quantile(sorted, 0.5))
  }
}

/** A watch over a machine whose limits are known. A GPU is not shared: there only the copy is watched. */
export async function watchMachine(device: Device, machine: Machine, generator: Generator): Promise<Watch> {
  const memory = new Watched(device, await copyProbe(device, sweepBytes(), generator), machine.copyBytesPerSecond)
  const peak = device.kind === 'cpu' ? peakOf(machine, 'f32') : undefined
  const arithmetic =
    peak && new Watched(device, await arithmeticProbe(device, 'f32', REPEATS, generator), peak.flopsPerSecond)
  return {
    copy: () => memory.run(),
    compute: async () => arithmetic?.run(),
    available: () => ({ memory: memory.share(), arithmetic: arithmetic?.share() ?? 1 }),
  }
}
