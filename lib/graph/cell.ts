// The cell: state that outlives a run (a parameter, a moment, a step number), read and assigned inside and outside traces.
import type { Buffer } from '../runtime/buffer.js'
import type { Device } from '../runtime/device.js'
import { DTypeError, ShapeError } from '../runtime/errors.js'
import type { DType } from '../schema/dtype.js'
import type { Spec } from '../schema/op.js'
import { formatShape, type Shape, sameShape } from '../schema/shape.js'
import { cellLeaf, type Value } from './node.js'
import { currentTrace } from './trace.js'

export class CellState implements Spec {
  version = 0
  /** Whether gradients reach it; a frozen parameter is not trainable. */
  trainable = false
  /** The error of the run that had already written here when it failed. */
  lost: Error | undefined
  private leaf: WeakRef<Value> | undefined

  constructor(
    public buffer: Buffer,
    readonly dtype: DType,
    readonly shape: Shape,
    readonly label: string,
  ) {}

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
    const previous = this.buffer
    const reader = this.leaf?.deref()
    this.buffer = buffer
    this.lost = undefined
    this.advance()
    const version = this.version
    done.then(
      () => {
        if (!reader) previous.free()
      },
      () => {
        if (this.buffer !== buffer || this.version !== version) return
        this.buffer = previous
        this.advance()
      },
    )
  }

  /** Overwrites the contents from memory, which also mends a lost state. */
  write(data: ArrayBufferView, copy: (value: Value) => Buffer): void {
    this.detachReaders(copy)
    this.buffer.write(data)
    this.lost = undefined
    this.advance()
  }

  /**
   * Before a run writes to the buffer in place: whoever read the present version keeps a copy of it.
   * `copy` enqueues one.
   */
  detachReaders(copy: (value: Value) => Buffer): void {
    const reader = this.leaf?.deref()
    if (reader) reader.buffer = copy(reader)
  }

  /** The contents change: later reads are of the next version. */
  advance(): void {
    this.version++
    this.leaf = undefined
  }
}
