// Runs batches: pads them to one of a few sizes, so that each is compiled once, and splits the results again.
import { type Compiled, compile } from '../compile.js'
import type { Lane } from '../runtime/device.js'
import { OutOfMemoryError } from '../runtime/errors.js'
import type { Shape } from '../schema/shape.js'
import { type Tensor, tensor } from '../tensor.js'
import type { InputFields, Inputs, Sample, TensorsOf } from './inputs.js'
import { checkOutputs, type Outputs, type RowsOf, readRows } from './outputs.js'

/** Batches above this are handed over without a copy on this thread; up to it they are copied at once. */
const TRANSFER_BYTES = 1 << 20

/** Batches that have to succeed before a size that ran out of memory is tried again. */
const BATCHES_BEFORE_GROWTH = 64

type Run<I extends Inputs, R extends Outputs> = Compiled<[TensorsOf<I>], R>

export class BatchRunner<I extends Inputs, R extends Outputs> {
  /** Compiled functions by the shape of the samples, the last used last, and by size and lane. */
  private readonly compiled = new Map<string, Map<string, Run<I, R>>>()
  /**
   * Lanes that no batch is in; those that wait longest first. Threads that share no kernel do not wait for one another, which
   * they do wherever the event loop takes a core from one of them.
   */
  private readonly lanes: Lane[]
  /** The most samples at once, as far as memory suffices. */
  limit: number
  private succeeded = 0

  constructor(
    private readonly owner: string,
    private readonly forward: (inputs: TensorsOf<I>) => R,
    private readonly fields: InputFields,
    /** Rising; the last is the largest batch. */
    readonly sizes: readonly number[],
    private readonly maxShapes: number,
    lanes: number,
  ) {
    this.limit = sizes.at(-1) as number
    this.lanes = lanes > 1 ? Array.from({ length: lanes }, (_, i) => ({ lane: i + 1, lanes })) : []
  }

  /** The size that a batch of so many samples is filled up to. */
  sizeFor(count: number): number {
    return this.sizes.find((size) => size >= count) as number
  }

  /**
   * A result for each sample; `given` is called when the device has all it needs for them. Rejects as a whole; out of
   * memory, later batches are smaller.
   */
  async run(samples: readonly Sample[], given?: () => void): Promise<RowsOf<R>[]> {
    const size = this.sizeFor(samples.length)
    // A batch of the largest size means that more are waiting, most likely.
    const lane = size === this.sizes.at(-1) ? this.lanes.shift() : undefined
    try {
      const run = this.functionFor((samples[0] as Sample).key, size, lane)
      const tensors: Tensor[] = []
      let outputs: R
      try {
        for (const { elements, shape, dtype } of this.fields.stack(samples, size, TRANSFER_BYTES))
          tensors.push(tensor(elements, { shape, dtype, transfer: elements.byteLength > TRANSFER_BYTES }))
        outputs = await run(this.fields.assemble(tensors) as TensorsOf<I>)
      } finally {
        for (const input of tensors) input.dispose()
      }
      const rows = readRows(this.owner, outputs, samples.length)
      given?.()
      const read = await rows
      this.grow()
      return read
    } catch (error) {
      if (error instanceof OutOfMemoryError) this.shrink(size)
      throw error
    } finally {
      if (lane) this.lanes.push(lane)
    }
  }

  private shrink(size: number): void {
    this.succeeded = 0
    this.limit = Math.min(this.limit, this.sizes.findLast((smaller) => smaller < size) ?? size)
  }

  private grow(): void {
    if (this.limit === this.sizes.at(-1) || ++this.succeeded < BATCHES_BEFORE_GROWTH) return
    this.succeeded = 0
    this.limit = this.sizes.find((size) => size > this.limit) as number
  }

  /** Compiles and runs every size once on zeros of these shapes. */
  async warmUp(shapes: readonly Shape[]): Promise<void> {
    const sample = this.fields.zeros(shapes)
    for (const size of this.sizes) await this.run(new Array(size).fill(sample))
    // Each run has taken the next lane.
    for (const _ of this.lanes.slice(1)) await this.run(new Array(this.sizes.at(-1) as number).fill(sample))
  }

  private functionFor(key: string, size: number, lane: Lane | undefined): Run<I, R> {
    const ofShape = this.compiled.get(key) ?? new Map<string, Run<I, R>>()
    this.compiled.delete(key)
    this.compiled.set(key, ofShape)
    if (this.compiled.size > this.maxShapes) this.compiled.delete(this.compiled.keys().next().value as string)
    const which = `${size} ${lane?.lane ?? 0}`
    let run = ofShape.get(which)
    if (!run) {
      run = compile(
        (inputs: TensorsOf<I>) => {
          const outputs = this.forward(inputs)
          checkOutputs(this.owner, outputs, size)
          return outputs
        },
        { name: `${this.owner} of ${size}`, priority: 'high', lane },
      )
      ofShape.set(which, run)
    }
    return run
  }
}
