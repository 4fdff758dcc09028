// Cells as people hold them: tensors with a next value. A parameter is one that is trained.
import { assignAll } from './graph/assign.js'
import { CellState } from './graph/cell.js'
import type { Value } from './graph/node.js'
import { copyNow, copyOf } from './graph/recording.js'
import { currentTrace, recording } from './graph/trace.js'
import type { Buffer } from './runtime/buffer.js'
import type { Device } from './runtime/device.js'
import { ArgumentError, DTypeError, TraceError } from './runtime/errors.js'
import { describe } from './schema/describe.js'
import type { DType } from './schema/dtype.js'
import { holds, storageName } from './schema/elements.js'
import type { Shape } from './schema/shape.js'
import { Tensor } from './tensor.js'

export interface CellOptions {
  /** Names it in errors and memory reports. */
  readonly name?: string
}

let deferred = false

/**
 * Runs `build` so that cells made in it have no memory: the first read, or a write of the whole, gives them some. For
 * models whose weights come from a file. Initial values are not drawn there (`nn/initialize.ts`).
 */
export function withoutMemory<T>(build: () => T): T {
  const before = deferred
  deferred = true
  try {
    return build()
  } finally {
    deferred = before
  }
}

/** Whether cells are made without memory now. */
export const isDeferred = (): boolean => deferred

/**
 * State that outlives a run. Reading it gives its present value; `assign` gives it the next one. Inside a compiled
 * function assignments take effect together, when the run does.
 */
export class Cell<D extends DType = DType, S extends Shape = Shape> extends Tensor<D, S> {
  /** @internal */
  readonly state: CellState

  /** Starts with a copy of `initial`. */
  constructor(initial: Tensor<D, S>, options: CellOptions = {}) {
    super(undefined)
    if (currentTrace()) throw new TraceError('cell: state can not be made inside a compiled function; make it before')
    if (!(initial instanceof Tensor)) throw new ArgumentError(`cell: it starts from a tensor, not ${describe(initial)}`)
    const { dtype, shape, value } = initial
    // A first read may stand in a compiled function; the memory is made outside of it.
    const make = (): Buffer => recording(undefined, () => copyNow(value))
    this.state = new CellState(deferred ? make : make(), dtype, shape, options.name ?? `cell ${dtype}[${shape}]`)
  }

  override get value(): Value {
    return this.state.read()
  }

  // Shape, dtype and device never change, so asking for them is no read.
  override get dtype(): D {
    return this.state.dtype as D
  }

  override get shape(): S {
    return this.state.shape as S
  }

  override get device(): Device {
    return this.state.device
  }

  override get disposed(): boolean {
    return false
  }

  /** Sets the next value: at once outside a compiled function, with the run inside one. */
  assign(next: Tensor<D>): void {
    assignAll([[this.state, valueOf(next)]])
  }

  /** Overwrites the contents with elements of the same dtype in row-major order. */
  write(data: ArrayBufferView): void {
    if (currentTrace())
      throw new TraceError('write: data can not be written inside a compiled function; assign a tensor')
    const { dtype, label } = this.state
    if (!holds(dtype, data)) {
      throw new DTypeError(`write: ${label} takes a ${storageName(dtype)} or raw bytes, not ${describe(data)}`)
    }
    if (data.byteLength !== this.state.bytes) {
      throw new ArgumentError(`write: ${label} takes ${this.state.bytes} bytes, not ${data.byteLength}`)
    }
    this.state.write(data, copyOf)
  }

  /** A cell's memory goes with the cell. */
  override dispose(): void {
    this.state.free()
  }
}

/** Assigns several cells at once: in one run, and all or none. */
export function assign(pairs: Iterable<readonly [Cell, Tensor]>): void {
  if (typeof (pairs as Iterable<unknown> | undefined)?.[Symbol.iterator] !== 'function') {
    throw new ArgumentError(`assign: it takes a list of [cell, tensor], not ${describe(pairs)}`)
  }
  const list = [...pairs].map((pair) => {
    if (!Array.isArray(pair) || !(pair[0] instanceof Cell)) {
      throw new ArgumentError(`assign: one of the pairs is ${describe(pair)}, not [cell, tensor]`)
    }
    return [pair[0].state, valueOf(pair[1])] as const
  })
  assignAll(list)
}

function valueOf(next: unknown): Value {
  if (next instanceof Tensor) return next.value
  throw new ArgumentError(`assign: the next value is ${describe(next)}, not a tensor`)
}

/** A cell that gradients are asked of. */
export class Parameter<D extends DType = DType, S extends Shape = Shape> extends Cell<D, S> {
  constructor(initial: Tensor<D, S>, options: CellOptions = {}) {
    super(initial, { name: options.name ?? `parameter ${initial.dtype}[${initial.shape}]` })
    this.state.trainable = true
  }

  /** Whether gradients reach it; set to false it is frozen. Compiled functions that use it are traced again. */
  get trainable(): boolean {
    const { state } = this
    currentTrace()?.relyOn(state, 'trainable', state.trainable, () => state.trainable)
    return state.trainable
  }

  set trainable(trainable: boolean) {
    this.state.trainable = trainable
  }
}
