// Files that are on the disk when their call returns: written in pieces, hashed on the way, fsynced, put in place by rename.
import { randomBytes, webcrypto } from 'node:crypto'
import { type FileHandle, open, rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { concurrently } from './concurrently.js'
import { readBytes } from './positioned.js'

/** Bytes that are written, and hashed, at a time. */
export const PIECE_BYTES = 4 << 20

/** Writes and hashes in flight: as many as libuv has threads. */
const IN_FLIGHT = 4

/** Size and hash of a file. */
export interface Digest {
  readonly bytes: number
  /** SHA-256 in hex of the SHA-256s of its pieces of 4 MiB, in order: pieces are hashed side by side, off the main thread. */
  readonly sha256: string
}

type Chunks = Iterable<Uint8Array> | AsyncIterable<Uint8Array>

/** What is written or read, as pieces of 4 MiB but the last, views where a chunk holds a whole piece. */
export async function* pieces(chunks: Chunks): AsyncGenerator<Uint8Array> {
  let staged: Uint8Array | undefined
  let filled = 0
  for await (const chunk of chunks) {
    let rest = chunk
    while (rest.length > 0) {
      if (filled === 0 && rest.length >= PIECE_BYTES) {
        yield rest.subarray(0, PIECE_BYTES)
        rest = rest.subarray(PIECE_BYTES)
        continue
      }
      staged ??= new Uint8Array(PIECE_BYTES)
      const part = rest.subarray(0, PIECE_BYTES - filled)
      staged.set(part, filled)
      filled += part.length
      rest = rest.subarray(part.length)
      if (filled < PIECE_BYTES) continue
      yield staged
      staged = undefined
      filled = 0
    }
  }
  if (staged && filled > 0) yield staged.subarray(0, filled)
}

const sha256 = async (bytes: Uint8Array): Promise<Uint8Array> =>
  new Uint8Array(await webcrypto.subtle.digest('SHA-256', bytes))

/** The digest of a file whose pieces have these hashes. */
async function combine(hashes: readonly Uint8Array[], bytes: number): Promise<Digest> {
  return { bytes, sha256: Buffer.from(await sha256(Buffer.concat(hashes))).toString('hex') }
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
  const starts = Array.from({ length: Math.ceil(bytes / PIECE_BYTES) }, (_, i) => i * PIECE_BYTES)
  await concurrently(IN_FLIGHT, starts, async (position) => {
    hashes[position / PIECE_BYTES] = await sha256(
      await readBytes(handle, file, position, Math.min(PIECE_BYTES, bytes - position)),
    )
  })
  return combine(hashes, bytes)
}

async function writePiece(handle: FileHandle, piece: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < piece.length; ) {
    const { bytesWritten } = await handle.write(piece, done, piece.length - done, position + done)
    done += bytesWritten
  }
}

/** Writes a new file, waits until the disk has it, and gives its digest where `hash` is set. */
export async function writeDurably(path: string, chunks: Chunks, hash: boolean): Promise<Digest | undefined> {
  const handle = await open(path, 'wx')
  const hashes: Uint8Array[] = []
  let bytes = 0
  try {
    async function* numbered(): AsyncGenerator<{ piece: Uint8Array; index: number }> {
      let index = 0
      for await (const piece of pieces(chunks)) {
        bytes += piece.length
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

/** A name in the same folder that nobody else uses and readers pass over. */
export const temporaryName = (path: string): string =>
  join(dirname(path), `.tmp-${basename(path)}-${process.pid}-${randomBytes(6).toString('hex')}`)

/**
 * Writes a file so that `path` is what it was, or all of the new, whatever happens: under another name, fsynced, renamed.
 * System errors (no space, no permission) are thrown as Node gives them, the other file is removed.
 */
export async function replaceFile(path: string, chunks: Chunks): Promise<void> {
  const temporary = temporaryName(path)
  try {
    await writeDurably(temporary, chunks, false)
    await rename(temporary, path)
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined)
    throw error
  }
  await syncFolder(dirname(path))
}
