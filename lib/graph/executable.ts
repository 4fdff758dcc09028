// The executable: a plan prepared on a device, run as often as one likes with one native call each.
import { Buffer } from '../runtime/buffer.js'
import { type Device, library, settled } from '../runtime/device.js'
import { native } from '../runtime/errors.js'
import { encodePlan } from '../schema/plan.js'
import type { Place } from './place.js'
import type { Plan } from './plan.js'

const abandoned = new FinalizationRegistry<number>((plan) => library().release(plan))

export class Executable {
  private readonly id: number
  private readonly handles: Uint32Array

  constructor(
    readonly device: Device,
    readonly plan: Plan,
    private readonly label: string,
  ) {
    const prepared = native(() => library().prepare(device.index, encodePlan(plan.layout), label))
    this.id = prepared.plan
    abandoned.register(this, this.id)
    const { offsets, arenaBytes } = plan.place(prepared.workspaceBytes)
    native(() => library().place(this.id, offsets, arenaBytes))
    this.handles = new Uint32Array(plan.external.length)
  }

  /**
   * Enqueues one run. `bufferOf` gives the memory of each input and cell; the results come back by position.
   * `done` settles when the run has; nobody has to listen to it. Its errors have the stack of `site`, or of this call.
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
    this.device.track(done)
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
