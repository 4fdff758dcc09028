// NumPy's .npy files, both ways.
import { setImmediate as turn } from 'node:timers/promises'
import { DTypeError, FormatError } from '../runtime/errors.js'
import { bytesOf, type DType } from '../schema/dtype.js'
import { stored } from '../schema/elements.js'
import { contiguousStrides, type Shape } from '../schema/shape.js'
import type { TensorState } from '../state.js'
import { type Contents, contentsOf } from './contents.js'
import { replaceFile } from './durable.js'
import { MOST_PREFIX_BYTES, type NpyHeader, npyHeaderBytes, parseNpyHeader, renderNpyHeader } from './npyHeader.js'
import { arrayFor, openToRead, readBytes, readParts } from './positioned.js'
import type { StoredTensor } from './safetensors.js'

/** Elements that are moved before others get their turn. */
const CHUNK = 1 << 16

/** Turns the bytes of every element round, in place. */
async function swapBytes(memory: ArrayBuffer, size: number): Promise<void> {
  for (let at = 0; at < memory.byteLength; at += CHUNK * 8) {
    const part = Buffer.from(memory, at, Math.min(CHUNK * 8, memory.byteLength - at))
    if (size === 2) part.swap16()
    else if (size === 4) part.swap32()
    else part.swap64()
    await turn()
  }
}

/** As integers, which are moved bit for bit; moving floats may change a NaN. */
const BITS = { 1: Uint8Array, 2: Uint16Array, 4: Uint32Array, 8: BigUint64Array } as const

/** Elements whose first axis is innermost, in row-major order. */
async function rowMajor(memory: ArrayBuffer, dtype: DType, shape: Shape): Promise<ArrayBuffer> {
  const Bits = BITS[bytesOf(dtype) as keyof typeof BITS]
  const source = new Bits(memory)
  const target = new Bits(source.length)
  const strides = contiguousStrides(shape.toReversed()).reverse()
  const index = new Array<number>(shape.length).fill(0)
  let from = 0
  for (let to = 0; to < target.length; to++) {
    target[to] = source[from] as never
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      index[axis] = (index[axis] as number) + 1
      from += strides[axis] as number
      if ((index[axis] as number) < (shape[axis] as number)) break
      from -= (strides[axis] as number) * (shape[axis] as number)
      index[axis] = 0
    }
    if (to % CHUNK === CHUNK - 1) await turn()
  }
  return target.buffer
}

/** @internal The tensor whose elements lie in `memory` as the header says. */
export async function tensorOfNpy(
  { dtype, shape, fortranOrder, bigEndian }: NpyHeader,
  memory: ArrayBuffer,
): Promise<StoredTensor> {
  if (bigEndian) await swapBytes(memory, bytesOf(dtype))
  return { data: stored(dtype, fortranOrder ? await rowMajor(memory, dtype, shape) : memory), shape, dtype }
}

/** @internal A whole .npy array, chunk by chunk, and how many bytes that are. */
export function npyChunks(op: string, contents: Contents): { bytes: number; chunks: () => Iterable<Uint8Array> } {
  const header = renderNpyHeader(contents.dtype, contents.shape)
  if (!header)
    throw new DTypeError(
      `${op}: '${contents.name}' is ${contents.dtype}, which NumPy does not have; cast it to f32, or write safetensors`,
    )
  return {
    bytes: header.length + contents.bytes,
    *chunks() {
      yield header
      yield* contents.chunks()
    },
  }
}

/**
 * Reads a .npy array: f64, f32, f16, i64, i32, i8, u8 and bool, of either byte order, in row-major or Fortran order; pickled
 * objects are never read. Throws `FormatError` for a file that is not what it should be, `DTypeError` for another dtype,
 * and system errors as Node gives them.
 */
export async function readNpy(path: string): Promise<StoredTensor> {
  const handle = await openToRead(path)
  try {
    const { size } = await handle.stat()
    const prefix = await readBytes(handle, path, 0, Math.min(MOST_PREFIX_BYTES, size))
    const { start, end } = npyHeaderBytes(prefix, path, path)
    if (end > size) throw new FormatError(`${path}: it ends in its header`, path, size)
    const header = parseNpyHeader(await readBytes(handle, path, start, end - start), path, path)
    if (end + header.bytes !== size)
      throw new FormatError(
        `${path}: its header says ${header.bytes} bytes of elements, and ${size - end} follow`,
        path,
        end,
      )
    const memory = arrayFor(path, 'its elements', header.dtype, header.bytes)
    await readParts(handle, path, [{ position: end, memory }])
    return await tensorOfNpy(header, memory.buffer as ArrayBuffer)
  } finally {
    await handle.close()
  }
}

/**
 * Writes a .npy array for `numpy.load`: `path` is what it was, or all of the new. Throws `DTypeError` for bf16, which NumPy
 * does not have, `ArgumentError` for what is no tensor, and system errors as Node gives them.
 */
export async function writeNpy(path: string, tensor: TensorState): Promise<void> {
  const op = 'writeNpy'
  await replaceFile(path, npyChunks(op, contentsOf(op, 'the tensor', tensor)).chunks())
}
