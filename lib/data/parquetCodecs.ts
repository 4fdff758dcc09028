// Parquet's decompressors, held to what a page's header says before any memory is taken.
import { brotliDecompressSync, gunzipSync, inflateRawSync } from 'node:zlib'
import { load } from './optional.js'

/** Makes exactly `length` bytes of a page, or throws. */
export type Decompress = (input: Uint8Array, length: number) => Uint8Array

/**
 * The most that a codec makes of a byte: Snappy copies 64 bytes by 3, LZ4 255 by one, DEFLATE 258 by two bits; a block of
 * Zstandard is 128 KiB by 4 bytes, one of Brotli 16 MiB by about 8.
 */
const MOST_PER_BYTE: Readonly<Record<string, number>> = {
  SNAPPY: 22,
  LZ4: 256,
  LZ4_RAW: 256,
  GZIP: 1040,
  ZSTD: 32_768,
  BROTLI: 2 ** 21,
}
/** Bytes that a page may have beyond that: the first of a stream. */
const FREE_BYTES = 1024
/** The greatest window of Zstandard that a decoder must support where the size is not told (RFC 8878, 3.1.1.1.2). */
const MOST_WINDOW = 8 << 20

/** Decompressors by the names that Parquet has for them. */
export async function boundedCodecs(): Promise<Readonly<Record<string, Decompress>>> {
  const { compressors } = (await load('readParquet', 'hyparquet-compressors')) as typeof import('hyparquet-compressors')
  const codecs: Record<string, Decompress> = {
    ...(compressors as Record<string, Decompress>),
    // Node's are faster, and end where they are told to.
    GZIP: (input, length) => {
      const inflate = input[0] === 0x1f && input[1] === 0x8b ? gunzipSync : inflateRawSync
      return inflate(input, { maxOutputLength: Math.max(1, length) })
    },
    BROTLI: (input, length) => brotliDecompressSync(input, { maxOutputLength: Math.max(1, length) }),
  }
  return Object.fromEntries(
    Object.entries(codecs).map(([name, decompress]) => [
      name,
      (input: Uint8Array, length: number): Uint8Array => {
        const most = input.length * (MOST_PER_BYTE[name] ?? 1) + FREE_BYTES
        if (length > most)
          throw new Error(`a page claims ${length} bytes, of which ${name} can not make more than ${most} here`)
        if (name === 'ZSTD') checkZstandard(input, length)
        if (name.startsWith('LZ4')) checkLz4(input, length)
        if (name === 'SNAPPY' && snappyLength(input) !== length)
          throw new Error(`a page claims ${length} bytes, its Snappy blocks make others`)
        const output = decompress(input, length)
        if (output.length !== length) throw new Error(`a page claims ${length} bytes and has ${output.length}`)
        return output
      },
    ]),
  )
}

/** What the frame says of its size (RFC 8878, 3.1.1.1): the library takes memory for that. */
function checkZstandard(input: Uint8Array, length: number): void {
  const view = new DataView(input.buffer, input.byteOffset, input.byteLength)
  if (input.length < 10 || view.getUint32(0, true) !== 0xfd2fb528) throw new Error('a page is no Zstandard frame')
  const flags = view.getUint8(4)
  const single = (flags & 32) !== 0
  const dictionaryBytes = [0, 1, 2, 4][flags & 3] as number
  const sizeBytes = flags >> 6 ? 1 << (flags >> 6) : single ? 1 : 0
  const at = (single ? 5 : 6) + dictionaryBytes
  if (at + sizeBytes > input.length) throw new Error('a page is no Zstandard frame')
  const size =
    sizeBytes === 1
      ? view.getUint8(at)
      : sizeBytes === 2
        ? view.getUint16(at, true) + 256
        : sizeBytes === 4
          ? view.getUint32(at, true)
          : sizeBytes === 8
            ? Number(view.getBigUint64(at, true))
            : undefined
  if (size !== undefined && size !== length) throw new Error(`a page claims ${length} bytes, its frame ${size}`)
  if (size) return
  const window = single ? 0 : (1 << (10 + (view.getUint8(5) >> 3))) * (1 + (view.getUint8(5) & 7) / 8)
  if (!(window >= 0 && window <= MOST_WINDOW)) throw new Error(`a page wants a window of ${window} bytes`)
}

/** Bytes that Snappy's literals and copies make, or -1 where they do not fit together. */
function snappyLength(input: Uint8Array): number {
  let at = 0
  while (at < input.length && (input[at] as number) >= 128) at++
  at++
  let made = 0
  const little = (bytes: number): number => {
    let value = 0
    for (let i = 0; i < bytes; i++) value += (input[at + i] ?? 0) * 2 ** (8 * i)
    at += bytes
    return value
  }
  while (at < input.length) {
    const tag = input[at++] as number
    const kind = tag & 3
    if (kind === 0) {
      const length = (tag >> 2) + 1
      const literal = length > 60 ? little(length - 60) + 1 : length
      at += literal
      made += literal
      continue
    }
    const length = kind === 1 ? ((tag >> 2) & 7) + 4 : (tag >> 2) + 1
    const offset = kind === 1 ? ((tag >> 5) << 8) + little(1) : little(kind === 2 ? 2 : 4)
    if (offset === 0 || offset > made) return -1
    made += length
  }
  return at === input.length ? made : -1
}

/** Bytes that blocks of LZ4 make, or -1 where they do not fit together: the library does not look. */
function lz4Length(input: Uint8Array, from: number, to: number): number {
  let made = 0
  let at = from
  const more = (nibble: number): number => {
    let length = nibble
    if (nibble === 15) for (let byte = 255; byte === 255; length += byte) byte = at < to ? (input[at++] as number) : 0
    return length
  }
  while (at < to) {
    const token = input[at++] as number
    const literals = more(token >> 4)
    at += literals
    made += literals
    if (at === to) return made
    if (at + 2 > to) return -1
    const offset = (input[at] as number) | ((input[at + 1] as number) << 8)
    if (offset === 0 || offset > made) return -1
    at += 2
    made += more(token & 15) + 4
  }
  return at === to ? made : -1
}

/** Either one block, or Hadoop's frames: big-endian lengths made and read before each block. */
function checkLz4(input: Uint8Array, length: number): void {
  if (lz4Length(input, 0, input.length) === length) return
  const view = new DataView(input.buffer, input.byteOffset, input.byteLength)
  let made = 0
  let at = 0
  while (at + 8 <= input.length) {
    const [makes, takes] = [view.getUint32(at), view.getUint32(at + 4)]
    at += 8
    if (at + takes > input.length || lz4Length(input, at, at + takes) !== makes) break
    at += takes
    made += makes
  }
  if (at !== input.length || made !== length)
    throw new Error(`a page claims ${length} bytes, its LZ4 blocks make others`)
}
