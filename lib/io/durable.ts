// Files that are on the disk when their call returns: written in pieces, hashed on the way, fsynced, put in place by rename.
import { webcrypto } from 'node:crypto'
import { type FileHandle, open, rename, rm } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import { concurrently } from './concurrently.js'
import { leftoverName, removeLeftovers } from './leftovers.js'
import { readParts, remaining } from './positioned.js'

/** Bytes that are written, and hashed, at a time. */
export const PIECE_BYTES = 4 << 20

/** Writes and hashes in flight: as many as libuv has threads. */
const IN_FLIGHT = 4

/** Bytes after which the disk is told to begin, so that it works while more is written, and not only at the end. */
const SYNC_BYTES = 64 << 20

/** Size and hash of a file. */
export interface Digest {
  readonly bytes: number
  /** SHA-256 in hex of the SHA-256s of its pieces of 4 MiB, in order: pieces are hashed side by side, off the main thread. */
  readonly sha256: string
}

type Chunks = Iterable<Uint8Array> | AsyncIterable<Uint8Array>

/** Buffers of one write; pieces of more are small things, and made one. */
const MOST_BUFFERS = 64

/** Bytes that one after the other make a piece, where they lie. */
type Piece = readonly Uint8Array[]

/** The chunks as pieces of 4 MiB, the last less, without copying what is big. */
export async function* pieces(chunks: Chunks): AsyncGenerator<Piece> {
  let piece: Uint8Array[] = []
  let room = PIECE_BYTES
  for await (const chunk of chunks)
    for (let at = 0; at < chunk.length; ) {
      const part = chunk.subarray(at, at + room)
      piece.push(part)
      at += part.length
      room -= part.length
      if (room > 0) continue
      yield piece.length > MOST_BUFFERS ? [Buffer.concat(piece)] : piece
      piece = []
      room = PIECE_BYTES
    }
  if (piece.length > 0) yield piece.length > MOST_BUFFERS ? [Buffer.concat(piece)] : piece
}

const sha256 = async (piece: Piece): Promise<Uint8Array> =>
  new Uint8Array(
    await webcrypto.subtle.digest('SHA-256', piece.length === 1 ? (piece[0] as Uint8Array) : Buffer.concat(piece)),
  )

/** The digest of a file whose pieces have these hashes. */
async function combine(hashes: readonly Uint8Array[], bytes: number): Promise<Digest> {
  return { bytes, sha256: Buffer.from(await sha256(hashes)).toString('hex') }
}

/** The digest of bytes in memory. */
export async function digestOf(bytes: Uint8Array): Promise<Digest> {
  const hashes: Uint8Array[] = []
  for await (const piece of pieces([bytes])) hashes.push(await sha256(piece))
  return combine(hashes, bytes.length)
}

/** The SHA-256 (see `Digest`) of the first `bytes` of a file. Throws `FormatError` where it has fewer. */
export async function digestOfFile(handle: FileHandle, file: string, bytes: number): Promise<Digest> {
  const hashes: Uint8Array[] = []
  const idle: ArrayBuffer[] = []
  const starts = Array.from({ length: Math.ceil(bytes / PIECE_BYTES) }, (_, i) => i * PIECE_BYTES)
  await concurrently(IN_FLIGHT, starts, async (position) => {
    // Used again by the next piece: memory that is new to the process costs more than reading into it.
    const memory = idle.pop() ?? new ArrayBuffer(PIECE_BYTES)
    const piece = new Uint8Array(memory, 0, Math.min(PIECE_BYTES, bytes - position))
    await readParts(handle, file, [{ position, memory: piece }])
    hashes[position / PIECE_BYTES] = await sha256([piece])
    idle.push(memory)
  })
  return combine(hashes, bytes)
}

async function writePiece(handle: FileHandle, piece: Piece, position: number): Promise<void> {
  let at = position
  let left = piece
  while (left.length > 0) {
    const { bytesWritten } = await handle.writev(left, at)
    at += bytesWritten
    left = remaining(left, bytesWritten)
  }
}

/** Writes a new file, waits until the disk has it, and gives its digest where `hash` is set. */
export async function writeDurably(path: string, chunks: Chunks, hash: boolean): Promise<Digest | undefined> {
  const handle = await open(path, 'wx')
  const hashes: Uint8Array[] = []
  let bytes = 0
  let unsynced = 0
  try {
    async function* numbered(): AsyncGenerator<{ piece: Piece; index: number }> {
      let index = 0
      for await (const piece of pieces(chunks)) {
        bytes += piece.reduce((sum, { length }) => sum + length, 0)
        yield { piece, index: index++ }
      }
    }
    await concurrently(IN_FLIGHT, numbered(), async ({ piece, index }) => {
      const written = writePiece(handle, piece, index * PIECE_BYTES)
      if (hash) {
        const [digest] = await Promise.allSettled([sha256(piece), written])
        if (digest.status === 'fulfilled') hashes[index] = digest.value
      }
      await written
      unsynced += PIECE_BYTES
      if (unsynced < SYNC_BYTES) return
      unsynced = 0
      await handle.datasync()
    })
    await handle.sync()
  } finally {
    await handle.close()
  }
  return hash ? combine(hashes, bytes) : undefined
}

/** Waits until the disk has the folder's list of names. */
export async function syncFolder(path: string): Promise<void> {
  const handle = await open(path, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/**
 * Writes a file so that `path` is what it was, or all of the new, whatever happens: under another name, fsynced, renamed.
 * System errors (no space, no permission) are thrown as Node gives them, the other file is removed.
 */
export async function replaceFile(path: string, chunks: Chunks): Promise<void> {
  const [folder, name] = [dirname(path), basename(path)]
  // What can not be removed is no reason not to write.
  await removeLeftovers(folder, `${name}-`).catch(() => undefined)
  const temporary = await leftoverName(folder, name)
  try {
    await writeDurably(temporary, chunks, false)
    await rename(temporary, path)
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined)
    throw error
  }
  await syncFolder(folder)
}
