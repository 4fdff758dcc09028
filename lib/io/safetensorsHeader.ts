// The header of a safetensors file: read from bytes nobody vouches for, and made.
// The format: https://github.com/huggingface/safetensors#format
import { FormatError } from '../runtime/errors.js'
import { bytesOf, type DType } from '../schema/dtype.js'
import { type Shape, sizeOf } from '../schema/shape.js'
import type { Contents } from './contents.js'
import { clip, isRecord, parseJson } from './json.js'

/** Bytes a header may have: the limit of the format's own library. */
export const MOST_HEADER_BYTES = 100_000_000

const DTYPES: Readonly<Record<string, DType>> = {
  F64: 'f64',
  F32: 'f32',
  F16: 'f16',
  BF16: 'bf16',
  I64: 'i64',
  I32: 'i32',
  I8: 'i8',
  U8: 'u8',
  BOOL: 'bool',
}

const NAMES = Object.fromEntries(Object.entries(DTYPES).map(([name, dtype]) => [dtype, name])) as Record<DType, string>

/** Where a tensor lies in the file and what it is. */
export interface Entry {
  /** Its dtype in the file's own words, one that heddle may not have. */
  readonly stored: string
  readonly dtype: DType | undefined
  readonly shape: Shape
  /** From the start of the file. */
  readonly position: number
  readonly bytes: number
}

export interface Header {
  readonly metadata: Readonly<Record<string, string>>
  /** In the order of their positions. */
  readonly entries: ReadonlyMap<string, Entry>
}

/** The length of the header, from the file's first 8 bytes. */
export function headerLength(file: string, prefix: Uint8Array, fileBytes: number): number {
  const fail = (what: string): FormatError => new FormatError(`${file}: ${what}`, file, 0)
  if (prefix.length < 8) throw fail(`${fileBytes} bytes are no safetensors file; its header's length alone takes 8`)
  const length = new DataView(prefix.buffer, prefix.byteOffset).getBigUint64(0, true)
  if (length > BigInt(MOST_HEADER_BYTES))
    throw fail(`its header should have ${length} bytes, and at most ${MOST_HEADER_BYTES} are allowed`)
  if (Number(length) + 8 > fileBytes)
    throw fail(`its header should have ${length} bytes, and the file has ${fileBytes} in all`)
  return Number(length)
}

function metadataOf(value: unknown, fail: (what: string) => Error): Readonly<Record<string, string>> {
  if (!isRecord(value)) throw fail('its __metadata__ is no object')
  for (const [key, text] of Object.entries(value))
    if (typeof text !== 'string') throw fail(`its __metadata__ has '${clip(key)}', which is no string`)
  return value as Readonly<Record<string, string>>
}

const isExtent = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0

function entryOf(info: unknown, start: number, fail: (what: string) => Error): Entry {
  if (!isRecord(info)) throw fail('is no object with dtype, shape and data_offsets')
  const { dtype: stored, shape, data_offsets: offsets } = info
  if (typeof stored !== 'string') throw fail('has no dtype')
  if (!Array.isArray(shape) || !shape.every(isExtent)) throw fail('has no shape of integers from 0 up')
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isExtent))
    throw fail('has no data_offsets of two integers from 0 up')
  const [begin, end] = offsets as [number, number]
  if (end < begin) throw fail(`has data_offsets that end before they begin, [${begin}, ${end}]`)
  const dtype = Object.hasOwn(DTYPES, stored) ? DTYPES[stored] : undefined
  if (dtype) {
    const elements = sizeOf(shape)
    // A product that overflows may come back down by an extent of 0 or 1; none of its parts may overflow.
    if (!Number.isSafeInteger(sizeOf(shape.filter((extent) => extent !== 0)) * 8))
      throw fail(`has the shape [${clip(shape.join(','))}], with more elements than can be addressed`)
    if (elements * bytesOf(dtype) !== end - begin)
      throw fail(
        `is ${stored}[${clip(shape.join(','))}], which takes ${elements * bytesOf(dtype)} bytes; its data_offsets hold ${end - begin}`,
      )
  }
  return { stored: clip(stored), dtype, shape: shape as Shape, position: start + begin, bytes: end - begin }
}

/**
 * The header of a file of `fileBytes` bytes. Throws `FormatError` unless every byte behind it belongs to exactly one
 * tensor; a dtype that heddle does not have is no error here.
 */
export function parseHeader(file: string, header: Uint8Array, fileBytes: number): Header {
  const fail = (what: string, offset = 8): FormatError => new FormatError(`${file}: ${what}`, file, offset)
  if (header[0] !== 0x7b) throw fail("its header does not begin with '{'")
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(header)
  } catch (error) {
    throw new FormatError(`${file}: its header is not UTF-8`, file, 8, { cause: error })
  }
  // The shape's list is the deepest that is meant to be there.
  const parsed = parseJson(text, 8, (what, offset) => fail(`in its header: ${what}`, 8 + offset))
  if (!isRecord(parsed)) throw fail('its header is no object')
  const start = 8 + header.length
  let metadata: Readonly<Record<string, string>> = {}
  const entries: [string, Entry][] = []
  for (const [name, info] of Object.entries(parsed)) {
    if (name === '__metadata__') metadata = metadataOf(info, fail)
    else
      entries.push([
        name,
        entryOf(
          info,
          start,
          (what) => new FormatError(`${file}: the tensor '${clip(name)}' ${what}`, file, clip(name)),
        ),
      ])
  }
  entries.sort(([, a], [, b]) => a.position - b.position || a.bytes - b.bytes)
  let end = start
  for (const [name, { position, bytes }] of entries) {
    if (position !== end)
      throw new FormatError(
        `${file}: the tensor '${clip(name)}' begins at byte ${position}, ${position < end ? 'inside the one before' : 'behind a hole'}; ${end} was expected`,
        file,
        position,
      )
    end = position + bytes
  }
  if (end !== fileBytes)
    throw fail(
      `its tensors end at byte ${end}, and the file has ${fileBytes}: it is truncated, or has more than its header says`,
      end,
    )
  return { metadata, entries: new Map(entries) }
}

/** What stands in the file before the tensors, given in the order they are written; as long as a multiple of 8. */
export function renderHeader(contents: readonly Contents[], metadata: Readonly<Record<string, string>>): Uint8Array {
  let end = 0
  const infos = contents.map(({ name, dtype, shape, bytes }) => {
    const info = { dtype: NAMES[dtype], shape, data_offsets: [end, end + bytes] }
    end += bytes
    return [name, info] as const
  })
  const given = Object.keys(metadata).length > 0 ? [['__metadata__', metadata] as const] : []
  const text = new TextEncoder().encode(JSON.stringify(Object.fromEntries<unknown>([...given, ...infos])))
  const length = Math.ceil(text.length / 8) * 8
  const bytes = new Uint8Array(8 + length).fill(0x20)
  new DataView(bytes.buffer).setBigUint64(0, BigInt(length), true)
  bytes.set(text, 8)
  return bytes
}
