// The limits in turn with a case: before each of its samples their probes run, so that what neighbours on the machine take, or
// its clock, counts on both sides.
import type { Device, DType, Generator } from '../index.js'
import type { Machine } from './machine.js'
import { largestCacheBytes } from './operands.js'
import { arithmeticProbe, copyProbe, type Probe, readProbe } from './probes.js'
import { timingOf } from './sampling.js'

/** What the device gave while a case was timed, of what limits it: medians. */
export interface LimitsInTurn {
  readonly copyBytesPerSecond?: number
  readonly readBytesPerSecond?: number
  readonly flopsPerSecond?: Readonly<Partial<Record<DType, number>>>
}

/** Runs probes and keeps what they took. */
export interface Turn {
  /** To be run before each sample. */
  readonly before: () => Promise<void>
  /** Of all runs. */
  readonly limits: () => LimitsInTurn
  /** Of the last run. */
  readonly last: () => LimitsInTurn
}

const MEBI = 2 ** 20
/** Beyond the caches, and as long as a case takes or longer, beside which the call is nothing. */
const COPY_BYTES = { cpu: 64 * MEBI, cuda: 1024 * MEBI }

/** Reads more than the caches hold, at most 256 MiB, so that nothing else is left there. */
const sweptBytes = (device: Device): number =>
  device.kind === 'cuda' ? COPY_BYTES.cuda : Math.min(256 * MEBI, Math.max(64 * MEBI, 2 * largestCacheBytes()))

/** A probe that says after its runs what it did per second. */
class Timed {
  readonly #probe: Probe
  readonly #seconds: number[] = []

  constructor(probe: Probe) {
    this.#probe = probe
  }

  async run(): Promise<void> {
    const start = performance.now()
    await this.#probe.run(1)
    this.#seconds.push((performance.now() - start) / 1000)
  }

  get lastPerSecond(): number {
    return this.#probe.amount / (this.#seconds.at(-1) as number)
  }

  /** In the median. */
  get perSecond(): number {
    return this.#probe.amount / timingOf(this.#seconds, 1).p50
  }
}

export class Turns {
  readonly #device: Device
  readonly #machine: Machine
  readonly #generator: Generator
  readonly #copy: Probe
  readonly #read: Probe
  readonly #arithmetic = new Map<DType, Probe>()

  private constructor(device: Device, machine: Machine, generator: Generator, copy: Probe, read: Probe) {
    this.#device = device
    this.#machine = machine
    this.#generator = generator
    this.#copy = copy
    this.#read = read
  }

  static async on(device: Device, machine: Machine, generator: Generator): Promise<Turns> {
    const copy = await copyProbe(device, COPY_BYTES[device.kind], generator)
    const turns = new Turns(device, machine, generator, copy, await readProbe(device, sweptBytes(device), generator))
    // Until both are made and their memory is the pool's.
    for (let i = 0; i < 2; i++) await turns.memory().before()
    return turns
  }

  /** Reads what leaves nothing else in a cache. */
  readonly sweep = (): Promise<void> => this.#read.run(1)

  /** A copy, and reading, which leaves nothing else in a cache. */
  memory(): Turn {
    const [copy, read] = [new Timed(this.#copy), new Timed(this.#read)]
    return {
      before: async () => {
        await copy.run()
        await read.run()
      },
      limits: () => ({ copyBytesPerSecond: copy.perSecond, readBytesPerSecond: read.perSecond }),
      last: () => ({ copyBytesPerSecond: copy.lastPerSecond, readBytesPerSecond: read.lastPerSecond }),
    }
  }

  /** The arithmetic of dtypes, of those that the machine has a peak of. */
  async arithmetic(dtypes: Iterable<DType>): Promise<Turn> {
    const timed = new Map<DType, Timed>()
    for (const dtype of dtypes) {
      const peak = this.#machine.peaks[dtype]
      if (!peak) continue
      let probe = this.#arithmetic.get(dtype)
      if (!probe) {
        probe = await arithmeticProbe(this.#device, dtype, peak.by, this.#generator)
        await probe.run(2)
        this.#arithmetic.set(dtype, probe)
      }
      timed.set(dtype, new Timed(probe))
    }
    return {
      before: async () => {
        for (const probe of timed.values()) await probe.run()
      },
      limits: () => ({
        flopsPerSecond: Object.fromEntries([...timed].map(([dtype, { perSecond }]) => [dtype, perSecond])),
      }),
      last: () => ({
        flopsPerSecond: Object.fromEntries([...timed].map(([dtype, { lastPerSecond }]) => [dtype, lastPerSecond])),
      }),
    }
  }

  dispose(): void {
    for (const probe of [this.#copy, this.#read, ...this.#arithmetic.values()]) probe.dispose()
  }
}
