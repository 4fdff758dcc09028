// The executable: a plan on a device, prepared on the device's thread, run as often as one likes with one native call each.
import { Buffer } from '../runtime/buffer.js'
import { type Device, type Lane, library, type Priority, settled } from '../runtime/device.js'
import { native } from '../runtime/errors.js'
import { encodePlan } from '../schema/plan.js'
import type { Place } from './place.js'
import type { Plan, PlanMemory } from './plan.js'

const abandoned = new FinalizationRegistry<number>((plan) => library().release(plan))

export class Executable {
  /** Settles once the kernels are made, or with why they can not be, with the stack of `site`. Nobody has to listen. */
  readonly prepared: Promise<void>
  /** Whether that is still to come. */
  pending = true
  /** Whether the kernels could not be made: every run fails. */
  failed = false
  private readonly id: number
  private readonly handles: Uint32Array

  /** `site` is where it was asked for; the default is this call. */
  constructor(
    readonly device: Device,
    readonly plan: Plan,
    private readonly label: string,
    site = new Error(),
    private readonly priority: Priority = 'normal',
    lane?: Lane,
  ) {
    const { plan: id, ticket } = native(() =>
      library().prepare(device.index, encodePlan(plan.layout), label, priority === 'high', lane),
    )
    this.id = id
    abandoned.register(this, id)
    this.handles = new Uint32Array(plan.external.length)
    const end = (failed: boolean): void => {
      this.pending = false
      this.failed = failed
    }
    this.prepared = settled(ticket, site).then(
      () => {
        plan.memory = memoryOf(id)
        end(false)
      },
      (error) => {
        end(true)
        throw error
      },
    )
    this.prepared.catch(() => undefined)
  }

  /** Waits on this thread until the kernels are made, and throws why they can not be. */
  wait(): void {
    if (!this.pending && !this.failed) return
    try {
      native(() => library().waitFor(this.id))
    } catch (error) {
      this.failed = true
      throw error
    }
  }

  /**
   * Enqueues one run, which waits for the kernels on the device. `bufferOf` gives the memory of each input and cell; the
   * results come back by position. `done` settles when the run has; nobody has to listen to it. Its errors have the stack
   * of `site`, or of this call.
   */
  run(
    bufferOf: (place: Place) => Buffer,
    site = new Error(),
  ): { results: Buffer[]; done: Promise<void>; ticket: number } {
    const { external } = this.plan
    const { storages } = this.plan.layout
    external.forEach((place, i) => {
      const written = storages[i]?.written
      this.handles[i] = place.kind === 'output' ? 0 : written ? bufferOf(place).handleToWrite : bufferOf(place).handle
    })
    const ticket = native(() => library().run(this.id, this.handles))
    const done = settled(ticket, site)
    done.catch(() => undefined)
    this.device.track(done, this.priority)
    const results: Buffer[] = []
    external.forEach((place, i) => {
      if (place.kind !== 'output') return
      results[place.position] = Buffer.adopt(
        this.device,
        place.bytes,
        this.handles[i] as number,
        `result of ${this.label}`,
      )
    })
    return { results, done, ticket }
  }
}

function memoryOf(id: number): PlanMemory {
  const { arenaBytes, liveBytes, blocks } = native(() => library().memory(id))
  const numbers = Array.from({ length: blocks.length / 4 }, (_, i) => [...blocks.subarray(4 * i, 4 * i + 4)])
  return {
    arena: arenaBytes,
    live: liveBytes,
    blocks: (numbers as [number, number, number, number][]).map(([offset, bytes, first, last]) => ({
      offset,
      bytes,
      first,
      last,
    })),
  }
}
