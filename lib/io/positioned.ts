// Reading parts of files straight into the memory they are kept in, several reads in flight.
import { constants, type FileHandle, open } from 'node:fs/promises'
import { FormatError, OutOfMemoryError } from '../runtime/errors.js'
import type { DType } from '../schema/dtype.js'
import { type Stored, stored } from '../schema/elements.js'
import { concurrently } from './concurrently.js'

/** Opens a file for reading. Throws `FormatError` for pipes and devices, where a read may never end, and for folders. */
export async function openToRead(path: string): Promise<FileHandle> {
  // Without waiting for who would write into a pipe.
  const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
  try {
    if (!(await handle.stat()).isFile()) throw new FormatError(`${path}: it is no file`, path, 0)
    return handle
  } catch (error) {
    await handle.close()
    throw error
  }
}

/** Bytes of one read, and how many reads are in flight. */
const READ_BYTES = 4 << 20
const IN_FLIGHT = 4
/** Fewer than the system's limit of buffers in one call. */
const MOST_BUFFERS = 256

/** Bytes of a file that fill `memory`: an array or a view of it; views of bytes end at 4 GiB where Node 20 runs. */
export interface Part {
  readonly position: number
  readonly memory: ArrayBufferView
}

interface Read {
  readonly position: number
  readonly buffers: Uint8Array[]
  bytes: number
}

/** Big parts are cut, neighbours are joined. `parts` are in the order of their positions. */
function* reads(parts: Iterable<Part>): Generator<Read> {
  let pending: Read | undefined
  for (const { position, memory } of parts) {
    for (let at = 0; at < memory.byteLength; ) {
      const joins =
        pending !== undefined &&
        pending.position + pending.bytes === position + at &&
        pending.buffers.length < MOST_BUFFERS &&
        pending.bytes < READ_BYTES
      if (!joins) {
        if (pending) yield pending
        pending = { position: position + at, buffers: [], bytes: 0 }
      }
      const read = pending as Read
      const buffer = new Uint8Array(
        memory.buffer,
        memory.byteOffset + at,
        Math.min(READ_BYTES - read.bytes, memory.byteLength - at),
      )
      read.buffers.push(buffer)
      read.bytes += buffer.length
      at += buffer.length
    }
  }
  if (pending) yield pending
}

/** Fills the memory of all parts. Throws `FormatError` where the file ends before. */
export async function readParts(handle: FileHandle, file: string, parts: readonly Part[]): Promise<void> {
  const ordered = parts.toSorted((a, b) => a.position - b.position)
  await concurrently(IN_FLIGHT, reads(ordered), async ({ position, buffers }) => {
    let at = position
    let left = buffers
    while (left.length > 0) {
      const { bytesRead } = await handle.readv(left, at)
      if (bytesRead === 0)
        throw new FormatError(`${file}: the file ends at byte ${at}, in the middle of what it should hold`, file, at)
      at += bytesRead
      left = remaining(left, bytesRead)
    }
  })
}

/** What is left of the buffers behind their first `bytes`. */
export function remaining(buffers: readonly Uint8Array[], bytes: number): Uint8Array[] {
  let skip = bytes
  const left: Uint8Array[] = []
  for (const buffer of buffers) {
    if (skip < buffer.length) left.push(buffer.subarray(skip))
    skip = Math.max(0, skip - buffer.length)
  }
  return left
}

/** Reads `bytes` bytes at `position`. */
export async function readBytes(
  handle: FileHandle,
  file: string,
  position: number,
  bytes: number,
): Promise<Uint8Array> {
  const memory = new Uint8Array(bytes)
  await readParts(handle, file, [{ position, memory }])
  return memory
}

/** An array for `bytes` bytes of elements. Throws `OutOfMemoryError` where there is no memory, or no array is that long. */
export function arrayFor(file: string, what: string, dtype: DType, bytes: number): Stored<DType> {
  try {
    return stored(dtype, new ArrayBuffer(bytes))
  } catch (error) {
    throw new OutOfMemoryError(`${file}: there is no memory for the ${bytes} bytes of ${what}`, { cause: error })
  }
}
