// NumPy's .npz archives of arrays, both ways.
import { stat } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { crc32 } from 'node:zlib'
import yauzl, { type Entry, type ZipFile } from 'yauzl'
import yazl from 'yazl'
import { matcher, type Pattern } from '../pattern.js'
import { ArgumentError, FormatError, HeddleError } from '../runtime/errors.js'
import { describe } from '../schema/describe.js'
import type { StateDict } from '../state.js'
import { contentsOf } from './contents.js'
import { replaceFile } from './durable.js'
import { clip, isRecord } from './json.js'
import { npyChunks, tensorOfNpy } from './npy.js'
import { MOST_PREFIX_BYTES, type NpyHeader, npyHeaderBytes, parseNpyHeader } from './npyHeader.js'
import { arrayFor } from './positioned.js'
import type { StoredTensor } from './safetensors.js'

const SUFFIX = '.npy'
/** Unpacked bytes that are read without being asked for more. */
const MOST_BYTES = 4 * 2 ** 30
/** Deflate makes at most 1032 bytes of one. */
const MOST_EXPANSION = 1032
/** Bytes that are hashed and compressed before others get their turn. */
const CHUNK_BYTES = 1 << 18

export interface ReadNpzOptions {
  /** Reads only the arrays whose name fits; default all. */
  readonly only?: Pattern
  /** Bytes that the arrays may have when they are unpacked. Default 4 GiB, or the size of the file where that is more. */
  readonly maxBytes?: number
}

export interface WriteNpzOptions {
  /** Default false, as `numpy.savez`; true is `numpy.savez_compressed`. */
  readonly compress?: boolean
}

/** Bytes of a stream, in the lengths that are asked for. */
class Chunks {
  private rest: Uint8Array = new Uint8Array(0)
  private readonly source: AsyncIterator<Uint8Array>
  sum = 0

  constructor(stream: Readable) {
    this.source = stream[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>
  }

  /** Fills `target` and gives how many bytes of it there were. */
  async fill(target: Uint8Array): Promise<number> {
    let filled = 0
    while (filled < target.length) {
      if (this.rest.length === 0) {
        const { value, done } = await this.source.next()
        if (done) break
        this.sum = crc32(value, this.sum)
        this.rest = value
      }
      const part = this.rest.subarray(0, target.length - filled)
      target.set(part, filled)
      filled += part.length
      this.rest = this.rest.subarray(part.length)
    }
    return filled
  }

  /** Waits for the end, which the archive's sizes say comes now. */
  async end(): Promise<void> {
    if ((await this.fill(new Uint8Array(1))) > 0) throw new Error('it is longer than the archive says')
  }
}

async function readEntry(zip: ZipFile, entry: Entry, file: string): Promise<StoredTensor> {
  const where = `${file}: '${clip(entry.fileName)}'`
  const stream = await zip.openReadStreamPromise(entry)
  try {
    const chunks = new Chunks(stream)
    const prefix = new Uint8Array(MOST_PREFIX_BYTES)
    const got = await chunks.fill(prefix)
    const { start, end } = npyHeaderBytes(prefix.subarray(0, got), file, where)
    const bytes = new Uint8Array(Math.max(0, end - got))
    if ((await chunks.fill(bytes)) < bytes.length) throw new Error('it ends in its header')
    const whole = Buffer.concat([prefix.subarray(0, got), bytes])
    const header: NpyHeader = parseNpyHeader(whole.subarray(start, end), file, where)
    if (whole.length > end || end + header.bytes !== entry.uncompressedSize)
      throw new Error(`its header says ${header.bytes} bytes of elements, and ${entry.uncompressedSize - end} follow`)
    const memory = arrayFor(file, where, header.dtype, header.bytes).buffer as ArrayBuffer
    for (let at = 0; at < header.bytes; at += CHUNK_BYTES) {
      const part = new Uint8Array(memory, at, Math.min(CHUNK_BYTES, header.bytes - at))
      if ((await chunks.fill(part)) < part.length) throw new Error('it ends in its elements')
    }
    await chunks.end()
    if (chunks.sum !== entry.crc32) throw new Error('its checksum is another one: it is damaged')
    return await tensorOfNpy(header, memory)
  } finally {
    stream.destroy()
  }
}

/** What yauzl and zlib find wrong becomes a `FormatError`; errors of the system stay what they are. */
function asFormatError(error: unknown, file: string, entry?: string): unknown {
  if (error instanceof HeddleError || !(error instanceof Error) || 'syscall' in error) return error
  const where = entry === undefined ? file : `${file}: '${clip(entry)}'`
  return new FormatError(`${where}: ${error.message}`, file, entry, { cause: error })
}

/** The entries to read, by the name of their array. */
async function entriesOf(
  zip: ZipFile,
  file: string,
  fits: (name: string) => boolean,
  most: number,
): Promise<Map<string, Entry>> {
  const entries = new Map<string, Entry>()
  let total = 0
  for await (const entry of zip.eachEntry()) {
    const { fileName, compressedSize, uncompressedSize } = entry
    const fail = (what: string): FormatError =>
      new FormatError(`${file}: '${clip(fileName)}' ${what}`, file, clip(fileName))
    if (!fileName.endsWith(SUFFIX)) throw fail('is no .npy array')
    const name = fileName.slice(0, -SUFFIX.length)
    if (entries.has(name)) throw fail('is in it twice')
    if (!fits(name)) continue
    if (uncompressedSize > (compressedSize + 1) * MOST_EXPANSION)
      throw fail(`should have ${uncompressedSize} bytes, which ${compressedSize} packed ones can not become`)
    total += uncompressedSize
    if (total > most)
      throw new FormatError(
        `${file}: its arrays have more than ${most} bytes when they are unpacked; if they should, raise maxBytes`,
        file,
        clip(fileName),
      )
    entries.set(name, entry)
  }
  return entries
}

/**
 * The arrays of a .npz archive, stored or compressed, by name. Pickled objects are never read, checksums are compared.
 * Throws `FormatError` for a file that is not what it should be or unpacks to more than `maxBytes`, `DTypeError` where an
 * array that is asked for has a dtype that heddle does not have, and system errors as Node gives them.
 */
export async function readNpz(path: string, options: ReadNpzOptions = {}): Promise<Record<string, StoredTensor>> {
  const { only, maxBytes } = options
  const fits = only === undefined ? () => true : matcher('readNpz', only)
  if (maxBytes !== undefined && !(typeof maxBytes === 'number' && maxBytes > 0))
    throw new ArgumentError(`readNpz: maxBytes must be above 0, not ${describe(maxBytes)}`)
  let at: string | undefined
  let zip: ZipFile | undefined
  try {
    if (!(await stat(path)).isFile()) throw new FormatError(`${path}: it is no file`, path, 0)
    zip = await yauzl.openPromise(path, { autoClose: false, strictFileNames: true })
    const tensors: [string, StoredTensor][] = []
    for (const [name, entry] of await entriesOf(zip, path, fits, maxBytes ?? Math.max(MOST_BYTES, zip.fileSize))) {
      at = entry.fileName
      tensors.push([name, await readEntry(zip, entry, path)])
    }
    return Object.fromEntries(tensors)
  } catch (error) {
    throw asFormatError(error, path, at)
  } finally {
    zip?.close()
  }
}

/** Big chunks would keep the thread for long where they are hashed. */
function* cut(chunks: Iterable<Uint8Array>): Generator<Buffer> {
  for (const chunk of chunks)
    for (let at = 0; at < chunk.length; at += CHUNK_BYTES) {
      const part = chunk.subarray(at, at + CHUNK_BYTES)
      yield Buffer.from(part.buffer, part.byteOffset, part.byteLength)
    }
}

/**
 * Writes a .npz archive for `numpy.load`: `path` is what it was, or all of the new. Throws `DTypeError` for bf16, which NumPy
 * does not have, `ArgumentError` for names or tensors that can not be written, and system errors as Node gives them.
 */
export async function writeNpz(path: string, tensors: StateDict, options: WriteNpzOptions = {}): Promise<void> {
  const op = 'writeNpz'
  if (!isRecord(tensors))
    throw new ArgumentError(`${op}: it takes an object of tensors by name, not ${describe(tensors)}`)
  const zip = new yazl.ZipFile()
  zip.on('error', (error) => zip.outputStream.destroy(error))
  for (const [name, state] of Object.entries(tensors)) {
    // The zip format has none, and the archiver would make slashes of them.
    if (name.includes('\\'))
      throw new ArgumentError(`${op}: '${clip(name)}' has a backslash, which no name in an archive has`)
    const { bytes, chunks } = npyChunks(op, contentsOf(op, name, state))
    // As NumPy does: the same arrays make the same file.
    const facts = {
      mtime: new Date(1980, 0, 1),
      forceDosTimestamp: true,
      compress: options.compress ?? false,
      size: bytes,
    }
    try {
      zip.addReadStreamLazy(name + SUFFIX, facts, (give) =>
        give(null, Readable.from(cut(chunks()), { objectMode: false })),
      )
    } catch (error) {
      throw new ArgumentError(`${op}: '${clip(name)}' can not be a name in an archive`, { cause: error })
    }
  }
  zip.end()
  await replaceFile(path, zip.outputStream)
}
