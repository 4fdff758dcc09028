// A tensor's elements as bytes, chunk by chunk: what files are written from.
import { ArgumentError } from '../runtime/errors.js'
import { describe } from '../schema/describe.js'
import { bytesOf, type DType, isDType } from '../schema/dtype.js'
import { encode, holds, storageName } from '../schema/elements.js'
import { formatShape, type Shape, sizeOf } from '../schema/shape.js'
import type { TensorState } from '../state.js'

/** A tensor that can be written. */
export interface Contents {
  readonly name: string
  readonly dtype: DType
  readonly shape: Shape
  readonly bytes: number
  /** Its memory in row-major order. Halves that are held as Float32Array are rounded a chunk at a time. */
  readonly chunks: () => Iterable<Uint8Array>
}

/** Elements encoded at a time: about a millisecond of work. */
const CHUNK = 1 << 17

/** Bytes of a view at a time: views of bytes end at 4 GiB where Node 20 runs. */
const MOST_BYTES = 2 ** 30

function* bytesOfView({ buffer, byteOffset, byteLength }: ArrayBufferView): Generator<Uint8Array> {
  for (let at = 0; at < byteLength; at += MOST_BYTES)
    yield new Uint8Array(buffer, byteOffset + at, Math.min(MOST_BYTES, byteLength - at))
}

function* rounded(source: Float32Array, dtype: DType): Generator<Uint8Array> {
  for (let i = 0; i < source.length; i += CHUNK) {
    const { bytes } = encode(source.subarray(i, i + CHUNK), dtype, (message) => new ArgumentError(message))
    yield* bytesOfView(bytes)
  }
}

/** The tensor `name` of a call of `op`. Throws `ArgumentError` where it is none, or its data do not fill its shape. */
export function contentsOf(op: string, name: string, state: TensorState): Contents {
  const fail = (what: string): ArgumentError => new ArgumentError(`${op}: '${name}' ${what}`)
  if (state === null || typeof state !== 'object') throw fail(`is ${describe(state)}, not { data, shape, dtype }`)
  const { dtype, shape, data } = state
  if (!isDType(dtype)) throw fail(`has the dtype ${describe(dtype)}, which there is not`)
  if (!Array.isArray(shape) || !shape.every((extent) => Number.isSafeInteger(extent) && extent >= 0))
    throw fail(`has no shape of integers from 0 up, but ${describe(shape)}`)
  const half = dtype === 'bf16' || dtype === 'f16'
  const widened = half && data instanceof Float32Array
  if (!widened && !holds(dtype, data))
    throw fail(
      `is ${dtype} and takes a ${storageName(dtype)}${half ? ' or a Float32Array' : ''}, not ${describe(data)}`,
    )
  const bytes = sizeOf(shape) * bytesOf(dtype)
  const held = widened ? data.length * 2 : (data as ArrayBufferView).byteLength
  if (held !== bytes) throw fail(`has ${held} bytes of data, and ${dtype}${formatShape(shape)} takes ${bytes}`)
  return {
    name,
    dtype,
    shape,
    bytes,
    chunks: () => (widened ? rounded(data, dtype) : bytesOfView(data as ArrayBufferView)),
  }
}
