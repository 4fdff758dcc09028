// The tensor: the handle people hold. Ops are methods of it, added by the rooms that own them.
import { AsyncLocalStorage } from 'node:async_hooks'
import { dataLeaf, type Value } from './graph/node.js'
import { realize } from './graph/realize.js'
import { currentTrace } from './graph/trace.js'
import { Buffer } from './runtime/buffer.js'
import { Device, defaultDevice, device as deviceNamed } from './runtime/device.js'
import { ArgumentError, DisposedError, DTypeError, ShapeError, TraceError } from './runtime/errors.js'
import { describe } from './schema/describe.js'
import { type DType, isDType, type StorageArrays } from './schema/dtype.js'
import {
  decode,
  type Elements,
  encode,
  flattenNested,
  type Nested,
  nestedShape,
  type Scalar,
  type Stored,
  storageName,
  stored,
} from './schema/elements.js'
import { formatShape, type Shape, sizeOf } from './schema/shape.js'

/** Where and as what a tensor is made. */
export interface TensorOptions<D extends DType = DType, S extends Shape = Shape> {
  /** Default: `f32` for numbers, `bool` for booleans, `i64` for bigints, the array's own type for typed arrays. */
  readonly dtype?: D
  /** Default: that of the nested arrays, or one axis. */
  readonly shape?: S
  /** Default: the default device. */
  readonly device?: Device | string
  /**
   * Takes the memory of a typed array instead of copying it: the array is empty afterwards, its ArrayBuffer detached, and
   * the bytes go to the device when work there first needs them. The array must span its whole ArrayBuffer and be memory
   * of the dtype. Default false.
   */
  readonly transfer?: boolean
}

/** The tensors made in the scope around the running code, across its awaits. */
const scopes = new AsyncLocalStorage<Tensor[]>()

function tensorsIn(value: unknown, found: Set<Tensor>): Set<Tensor> {
  if (value instanceof Tensor) found.add(value)
  else if (Array.isArray(value)) for (const item of value) tensorsIn(item, found)
  else if (value !== null && typeof value === 'object') for (const item of Object.values(value)) tensorsIn(item, found)
  return found
}

/**
 * Runs `fn` and disposes every tensor that was made meanwhile, in it or in what it calls and awaits, but those in its
 * result (a tensor, or arrays and objects of them). Cells and parameters stay. Scopes nest.
 *
 * @example const accuracy = await scope(async () => (await (await evaluate(x, y)).item()))
 */
export async function scope<T>(fn: () => T | Promise<T>): Promise<T> {
  if (typeof fn !== 'function') throw new ArgumentError(`scope: expected a function, got ${describe(fn)}.`)
  const outer = scopes.getStore()
  const made: Tensor[] = []
  try {
    const result = await scopes.run(made, fn)
    const kept = tensorsIn(result, new Set())
    for (const tensor of kept) if (made.includes(tensor)) outer?.push(tensor)
    for (const tensor of made) if (!kept.has(tensor)) tensor.dispose()
    return result
  } catch (error) {
    for (const tensor of made) tensor.dispose()
    throw error
  }
}

/** @internal Runs `fn` outside of every scope: for work that is not that of the code which happens to start it. */
export const unscoped = <T>(fn: () => T): T => scopes.exit(fn)

export class Tensor<D extends DType = DType, S extends Shape = Shape> {
  #value: Value | undefined
  /** Carries the type parameters; never set. */
  declare readonly __types: { readonly dtype: D; readonly shape: S }

  /** @internal Tensors come from `tensor`, from ops and from compiled functions. */
  constructor(value: Value | undefined) {
    this.#value = value
    if (!value) return
    value.handles++
    scopes.getStore()?.push(this)
  }

  /** @internal The graph value behind the handle. */
  get value(): Value {
    if (!this.#value) throw new DisposedError('tensor: it was used after dispose()')
    return this.#value
  }

  get dtype(): D {
    return this.value.dtype as D
  }

  /** Extents, outermost axis first; `[]` for a scalar. */
  get shape(): S {
    return this.value.shape as S
  }

  get rank(): S['length'] {
    return this.shape.length
  }

  /** Number of elements. */
  get size(): number {
    return sizeOf(this.shape)
  }

  get device(): Device {
    return this.value.node.device ?? defaultDevice()
  }

  get disposed(): boolean {
    return this.#value === undefined
  }

  /**
   * Every element in row-major order, once all work enqueued so far is done. f16 and bf16 come as `Float32Array`, i64 as
   * `BigInt64Array`, bool as `Uint8Array` of 0 and 1. Rejects with the error of the run that failed to compute it.
   */
  async data(): Promise<Elements<D>> {
    return decode(this.dtype, await this.memory('data')) as Elements<D>
  }

  /** Every element as it lies in memory: like `data`, but f16 and bf16 as the 16 bits of each, in a `Uint16Array`. */
  async bits(): Promise<Stored<D>> {
    return stored(this.dtype, await this.memory('bits'))
  }

  private memory(op: string): Promise<ArrayBuffer> {
    const { value } = this
    if (currentTrace() || value.node.trace) {
      throw new TraceError(`${op}: a tensor inside a compiled function has no data yet; return it and read the result`)
    }
    realize([value])
    return (value.buffer as Buffer).read()
  }

  /** The only element of a tensor of size 1: a number, a bigint for i64, a boolean for bool. */
  async item(): Promise<Scalar<D>> {
    if (this.size !== 1) {
      throw new ShapeError(
        `item: the tensor has ${this.size} elements, shape ${formatShape(this.shape)}; it takes exactly one`,
      )
    }
    const [element] = await this.data()
    return (this.dtype === 'bool' ? element === 1 : element) as Scalar<D>
  }

  /** The elements as nested arrays. */
  async array(): Promise<Nested<Scalar<D>>> {
    const { shape, dtype } = this
    const data = await this.data()
    let position = 0
    const build = (axis: number): Nested<unknown> => {
      if (axis === shape.length) {
        const element = data[position++]
        return dtype === 'bool' ? element === 1 : element
      }
      return Array.from({ length: shape[axis] as number }, () => build(axis + 1))
    }
    return build(0) as Nested<Scalar<D>>
  }

  /** Enqueues the computation without waiting for it, and gives the same tensor. */
  realize(): this {
    if (!currentTrace()) realize([this.value])
    return this
  }

  /**
   * Drops this handle; using it afterwards throws `DisposedError`. Memory that queued work or another tensor's history
   * needs stays until they are done.
   */
  dispose(): void {
    const value = this.#value
    if (!value) return
    this.#value = undefined
    value.handles--
    value.freeIfUnused()
  }

  [Symbol.dispose](): void {
    this.dispose()
  }

  toString(): string {
    return this.disposed ? 'Tensor(disposed)' : `Tensor ${this.dtype}${formatShape(this.shape)} on ${this.device}`
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return this.toString()
  }
}

/** Numbers, booleans and bigints, alone or nested, or a typed array. */
export type TensorData = Nested<number | bigint | boolean> | ArrayBufferView

/** The dtype that data has where none is asked for: what `tensor` finds, as types. */
export type NaturalDType<T> = [T] extends [readonly never[]]
  ? 'f32'
  : [T] extends [Nested<boolean>]
    ? 'bool'
    : [T] extends [Nested<bigint>]
      ? 'i64'
      : [T] extends [Nested<number | bigint | boolean>]
        ? 'f32'
        : { [D in NaturalArrays]: T extends StorageArrays[D] ? D : never }[NaturalArrays]

type NaturalArrays = 'f32' | 'f64' | 'i8' | 'u8' | 'i32' | 'i64'

/** Throws unless every extent is an integer from 0 to 2^53 - 1 and so is their product. */
export function checkShape(op: string, shape: Shape): void {
  if (!Array.isArray(shape)) throw new ShapeError(`${op}: the shape must be a list of extents, not ${describe(shape)}`)
  for (const extent of shape) {
    if (!Number.isSafeInteger(extent) || extent < 0) {
      const list = shape.map((other) => (typeof other === 'number' ? other : describe(other)))
      throw new ShapeError(
        `${op}: the shape [${list}] has the extent ${typeof extent === 'number' ? extent : describe(extent)}; extents are integers from 0 up`,
      )
    }
  }
  if (!Number.isSafeInteger(sizeOf(shape) * 8)) {
    throw new ShapeError(`${op}: the shape ${formatShape(shape)} has more elements than can be addressed`)
  }
}

/** Throws unless `dtype` is one. */
export function checkDType(op: string, dtype: unknown): void {
  if (isDType(dtype)) return
  throw new DTypeError(`${op}: there is no dtype ${typeof dtype === 'string' ? `'${dtype}'` : describe(dtype)}`)
}

/**
 * A tensor holding a copy of `data`, or with `transfer` its memory. Throws `ShapeError` for ragged nesting or a shape of
 * another size, `DTypeError` for an unknown dtype, `ArgumentError` for anything that is no number and for data that can
 * not be transferred, which is left as it was.
 *
 * @example tensor([[1, 2], [3, 4]])            // f32[2,2]
 * @example tensor(new Int32Array(6), { shape: [2, 3] })
 * @example tensor(images, { shape: [64, 3, 224, 224], transfer: true })  // images.length is 0 afterwards
 */
export function tensor<T extends TensorData, D extends DType = NaturalDType<T>, const S extends Shape = Shape>(
  data: T,
  options: TensorOptions<D, S> = {},
): Tensor<NoInfer<D>, NoInfer<S>> {
  if (typeof options !== 'object' || options === null) {
    throw new ArgumentError(`tensor: the options must be an object, not ${describe(options)}`)
  }
  const { dtype, transfer = false } = options
  if (dtype !== undefined) checkDType('tensor', dtype)
  if (typeof transfer !== 'boolean') {
    throw new ArgumentError(`tensor: transfer must be true or false, not ${describe(transfer)}`)
  }
  if (currentTrace()) {
    throw new TraceError(
      'tensor: data inside a compiled function would be frozen into it; make it outside and pass it in',
    )
  }
  const typed = ArrayBuffer.isView(data)
  if (transfer && !typed) {
    throw new ArgumentError(`tensor: transfer takes the memory of a typed array, and the data is ${describe(data)}`)
  }
  const flat = typed ? data : flattenNested(data, (message) => new ArgumentError(`tensor: ${message}`))
  const natural = typed ? undefined : nestedShape(data, (message) => new ShapeError(`tensor: ${message}`))
  const { bytes, dtype: found, length } = encode(flat, dtype, (message) => new DTypeError(`tensor: ${message}`))
  const shape = options.shape ?? natural ?? [length]
  checkShape('tensor', shape)
  if (sizeOf(shape) !== length) {
    throw new ShapeError(
      `tensor: ${length} elements do not fill the shape ${formatShape(shape)}, which takes ${sizeOf(shape)}`,
    )
  }
  const target = options.device === undefined ? defaultDevice() : toDevice(options.device)
  if (transfer && bytes !== data) {
    throw new ArgumentError(
      `tensor: transfer takes memory as it is, and ${describe(data)} is none of ${found}; pass a ${storageName(found)}, or leave transfer out`,
    )
  }
  const make = transfer ? Buffer.transfer : Buffer.from
  const buffer = make(target, bytes, `tensor ${found}${formatShape(shape)}`)
  return new Tensor<D, S>(dataLeaf(buffer, { dtype: found, shape: [...shape] }))
}

export const toDevice = (target: Device | string): Device => (target instanceof Device ? target : deviceNamed(target))
