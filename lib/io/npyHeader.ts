// The header of a NumPy .npy array: read from bytes nobody vouches for, and made.
// The format: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
import { DTypeError, FormatError } from '../runtime/errors.js'
import { bytesOf, type DType } from '../schema/dtype.js'
import { type Shape, sizeOf } from '../schema/shape.js'
import { clip } from './json.js'

/** Bytes that say how long the header is: the magic, the version, a length of 2 or 4 bytes. */
export const MOST_PREFIX_BYTES = 12
/** Headers of plain arrays are far shorter; those of records are none that heddle can read. */
const MOST_TEXT_BYTES = 65_535

const MAGIC = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59]

/** By NumPy's letter and size; the byte order stands before it. */
const DTYPES: Readonly<Record<string, DType>> = {
  f8: 'f64',
  f4: 'f32',
  f2: 'f16',
  i8: 'i64',
  i4: 'i32',
  i1: 'i8',
  u1: 'u8',
  b1: 'bool',
}
const NAMES = Object.fromEntries(Object.entries(DTYPES).map(([name, dtype]) => [dtype, name])) as Partial<
  Record<DType, string>
>

export interface NpyHeader {
  readonly dtype: DType
  readonly shape: Shape
  /** Elements lie with the first axis innermost. */
  readonly fortranOrder: boolean
  readonly bigEndian: boolean
  /** Bytes of the elements. */
  readonly bytes: number
}

/** Bytes of prefix and text, from the first bytes of a file. `where` is the file, with the entry if it is in an archive. */
export function npyHeaderBytes(prefix: Uint8Array, file: string, where: string): { start: number; end: number } {
  const fail = (what: string): FormatError => new FormatError(`${where}: ${what}`, file, 0)
  if (prefix.length < 10 || MAGIC.some((byte, i) => prefix[i] !== byte)) throw fail('it is not a .npy array')
  const major = prefix[6] as number
  if (major < 1 || major > 3) throw fail(`it is a .npy array of version ${major}, and 1 to 3 are known`)
  const view = new DataView(prefix.buffer, prefix.byteOffset, prefix.byteLength)
  if (major > 1 && prefix.length < 12) throw fail('it ends in its header')
  const length = major === 1 ? view.getUint16(8, true) : view.getUint32(8, true)
  if (length > MOST_TEXT_BYTES)
    throw fail(`its header should have ${length} bytes, and at most ${MOST_TEXT_BYTES} are allowed`)
  const start = major === 1 ? 10 : 12
  return { start, end: start + length }
}

const PAIR = /\s*(?:'(\w+)'|"(\w+)")\s*:\s*('[^']*'|"[^"]*"|True|False|\([\dL,\s]*\)|\[.*\])\s*(,|(?=\s*\}))/sy

/** The entries of a Python dict of texts, booleans and tuples of integers; undefined where it is none. */
function dictOf(text: string): Map<string, string> | undefined {
  const entries = new Map<string, string>()
  const open = /^\s*\{/.exec(text)
  if (!open) return undefined
  PAIR.lastIndex = open[0].length
  let end = PAIR.lastIndex
  for (let pair = PAIR.exec(text); pair; pair = PAIR.exec(text)) {
    const key = (pair[1] ?? pair[2]) as string
    if (entries.has(key)) return undefined
    entries.set(key, pair[3] as string)
    end = PAIR.lastIndex
    if (pair[4] === '') break
  }
  return /^\s*\}\s*$/.test(text.slice(end)) ? entries : undefined
}

/** The text of a header, from its bytes. Throws `DTypeError` for arrays of a dtype that heddle does not have. */
export function parseNpyHeader(bytes: Uint8Array, file: string, where: string): NpyHeader {
  const text = new TextDecoder('latin1').decode(bytes)
  const fail = (what: string): FormatError =>
    new FormatError(`${where}: ${what}: ${clip(JSON.stringify(text))}`, file, 10)
  const dict = dictOf(text)
  const [descr, order, tuple] = ['descr', 'fortran_order', 'shape'].map((key) => dict?.get(key))
  if (dict?.size !== 3 || !descr || !order || !tuple)
    throw fail('its header is no dict of descr, fortran_order and shape')
  if (order !== 'True' && order !== 'False') throw fail('its fortran_order is neither True nor False')
  const extents = /^\(\s*((?:\d+L?\s*,\s*)*(?:\d+L?\s*)?)\)$/.exec(tuple)?.[1]
  if (extents === undefined) throw fail('its shape is no tuple of integers')
  const shape = (extents.match(/\d+/g) ?? []).map(Number)
  const [, endian, name = ''] = /^['"]([<>|=]?)(\w+)['"]$/.exec(descr) ?? []
  const dtype = Object.hasOwn(DTYPES, name) ? DTYPES[name] : undefined
  if (!dtype)
    throw new DTypeError(
      `${where}: the array is of NumPy's dtype ${clip(descr)}, which heddle does not have; convert it with astype`,
    )
  if (!shape.every(Number.isSafeInteger) || !Number.isSafeInteger(sizeOf(shape.filter((extent) => extent !== 0)) * 8))
    throw fail('its shape has more elements than can be addressed')
  return {
    dtype,
    shape,
    fortranOrder: order === 'True' && shape.length > 1,
    bigEndian: endian === '>' && bytesOf(dtype) > 1,
    bytes: sizeOf(shape) * bytesOf(dtype),
  }
}

/** What stands before the elements, as NumPy writes it; undefined for bf16, which NumPy does not have. */
export function renderNpyHeader(dtype: DType, shape: Shape): Uint8Array | undefined {
  const name = NAMES[dtype]
  if (!name) return undefined
  const endian = bytesOf(dtype) > 1 ? '<' : '|'
  const tuple = shape.length === 1 ? `(${shape[0]},)` : `(${shape.join(', ')})`
  const text = `{'descr': '${endian}${name}', 'fortran_order': False, 'shape': ${tuple}, }`
  const long = text.length > 65_000
  const start = long ? 12 : 10
  // The elements begin at a multiple of 64.
  const length = Math.ceil((start + text.length + 1) / 64) * 64 - start
  const bytes = new Uint8Array(start + length).fill(0x20)
  bytes.set([...MAGIC, long ? 2 : 1, 0])
  const view = new DataView(bytes.buffer)
  if (long) view.setUint32(8, length, true)
  else view.setUint16(8, length, true)
  bytes.set(new TextEncoder().encode(text), start)
  bytes[start + length - 1] = 0x0a
  return bytes
}
