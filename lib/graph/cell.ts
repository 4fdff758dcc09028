// The cell: state that outlives a run (a parameter, a moment, a step number), read and assigned inside and outside traces.
import { Buffer } from '../runtime/buffer.js'
import { type Device, defaultDevice } from '../runtime/device.js'
import { DTypeError, ShapeError } from '../runtime/errors.js'
import { bytesOf, type DType } from '../schema/dtype.js'
import type { Spec } from '../schema/op.js'
import { formatShape, type Shape, sameShape, sizeOf } from '../schema/shape.js'
import { cellLeaf, type Value } from './node.js'
import { currentTrace } from './trace.js'

/** A buffer that is being computed, and what the cell held before, for whom it was read. */
interface Replacement {
  readonly buffer: Buffer
  previous: Buffer
  reader: Value | undefined
  lost: Error | undefined
}

export class CellState implements Spec {
  version = 0
  /** Whether gradients reach it; a frozen parameter is not trainable. */
  trainable = false
  /** The error of the run that had already written here when it failed. */
  lost: Error | undefined
  /** How often all contents were replaced from outside a run. */
  mended = 0
  private leaf: WeakRef<Value> | undefined
  /** Replacements whose runs have not settled, oldest first. */
  private readonly replacements: Replacement[] = []
  private memory: Buffer | undefined
  /** Makes the memory, with the initial value in it, of a cell that has none yet. */
  private readonly make: (() => Buffer) | undefined

  constructor(
    initial: Buffer | (() => Buffer),
    readonly dtype: DType,
    readonly shape: Shape,
    readonly label: string,
  ) {
    if (typeof initial === 'function') this.make = initial
    else this.memory = initial
  }

  get buffer(): Buffer {
    return (this.memory ??= (this.make as () => Buffer)())
  }

  set buffer(buffer: Buffer) {
    this.memory = buffer
  }

  /** Bytes of its elements. */
  get bytes(): number {
    return sizeOf(this.shape) * bytesOf(this.dtype)
  }

  /** Gives its memory back, where it has some. */
  free(): void {
    this.memory?.free()
  }

  get device(): Device {
    return this.buffer.device
  }

  /** The cell's value at this point: of the trace being recorded, or of now. */
  read(): Value {
    const trace = currentTrace()
    if (trace) {
      const known = trace.cells.get(this)
      if (known) return known
      const leaf = cellLeaf(this, this.version, trace)
      trace.cells.set(this, leaf)
      trace.reads.set(this, leaf)
      trace.relyOn(this, 'trainable', this.trainable, () => this.trainable)
      return leaf
    }
    const known = this.leaf?.deref()
    if (known) return known
    const leaf = cellLeaf(this, this.version, undefined)
    leaf.buffer = this.buffer
    this.leaf = new WeakRef(leaf)
    return leaf
  }

  /** Throws where `value` is not what this cell holds. */
  check(value: Spec): void {
    if (value.dtype !== this.dtype) {
      throw new DTypeError(`assign: ${this.label} holds ${this.dtype}, the value is ${value.dtype}; cast it first`)
    }
    if (!sameShape(value.shape, this.shape)) {
      throw new ShapeError(
        `assign: ${this.label} has shape ${formatShape(this.shape)}, the value ${formatShape(value.shape)}`,
      )
    }
  }

  /**
   * Puts another buffer in place of the present one, which stays with those who read it before. Should the run that
   * computes it fail, the present one comes back.
   */
  replace(buffer: Buffer, done: Promise<void>): void {
    const replacement: Replacement = { buffer, previous: this.buffer, reader: this.leaf?.deref(), lost: this.lost }
    this.replacements.push(replacement)
    this.buffer = buffer
    this.mend()
    done.then(
      () => {
        this.settle(replacement)
        // Who has read it and holds it no more does not keep it until the collector comes.
        if (replacement.reader) replacement.reader.freeIfUnused()
        else replacement.previous.free()
      },
      () => this.takeBack(replacement),
    )
  }

  /** Forgets a replacement; gives its place among them, -1 where a write has ended it already. */
  private settle(replacement: Replacement): number {
    const position = this.replacements.indexOf(replacement)
    if (position >= 0) this.replacements.splice(position, 1)
    return position
  }

  /** Runs that used the failed buffer in between have failed with it and changed nothing. */
  private takeBack(replacement: Replacement): void {
    const position = this.settle(replacement)
    if (position < 0) return
    const { previous, reader, lost } = replacement
    const next = this.replacements[position]
    if (next) {
      Object.assign(next, { previous, reader, lost })
      return
    }
    this.buffer = previous
    this.lost = lost
    this.advance()
    this.leaf = reader && new WeakRef(reader)
  }

  /** Overwrites the contents from memory, which also mends a lost state. */
  write(data: ArrayBufferView, copy: (value: Value) => Buffer): void {
    this.detachReaders(copy)
    // What is written is not taken back with what was there before it.
    this.replacements.length = 0
    // All of it is overwritten: the initial value of a cell without memory is not needed.
    this.memory ??= Buffer.allocate(defaultDevice(), this.bytes, this.label)
    this.memory.write(data)
    this.mend()
  }

  /**
   * Before a run writes to the buffer in place: whoever read the present version keeps a copy of it.
   * `copy` enqueues one.
   */
  detachReaders(copy: (value: Value) => Buffer): void {
    const reader = this.leaf?.deref()
    if (reader) reader.buffer = copy(reader)
  }

  /** All contents are new: nothing is lost any more. */
  private mend(): void {
    this.lost = undefined
    this.mended++
    this.advance()
  }

  /** The contents change: later reads are of the next version. */
  advance(): void {
    this.version++
    this.leaf = undefined
  }
}
