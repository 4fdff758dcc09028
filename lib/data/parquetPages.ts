// The pages of a Parquet column, checked before the library decodes them: it takes what headers and runs claim at their word.
import { crc32 } from 'node:zlib'
import type { Decompress } from './parquetCodecs.js'
import { checkDeltas, checkRuns, PageReader } from './parquetLevels.js'
import type { Leaf } from './parquetSchema.js'
import { ThriftReader, type ThriftStruct } from './thrift.js'

/** What a column's pages may take in all. */
export interface PageLimits {
  /** Bytes when decompressed. */
  readonly bytes: number
  /** Values, missing ones included, that it may have however few its bytes are. */
  readonly values: number
}

const [DATA, DICTIONARY, DATA_V2] = [0, 2, 3]
const ENCODINGS = {
  plain: 0,
  plainDictionary: 2,
  rle: 3,
  delta: 5,
  deltaLength: 6,
  deltaBytes: 7,
  dictionary: 8,
  split: 9,
}
const FIXED_BYTES: Readonly<Record<string, number>> = { INT32: 4, INT64: 8, INT96: 12, FLOAT: 4, DOUBLE: 8 }
/** Digits of a decimal in bytes: the library multiplies them one by one. */
const MOST_DECIMAL_BYTES = 1024

/** Values that a byte of a page has without being repeated. */
const VALUES_PER_BYTE = 8
/** What a value takes in memory, in lists, to be within the limit of bytes. */
const BYTES_PER_VALUE = 16

const bitsOf = (value: number): number => 32 - Math.clz32(value)

function integer(fields: ThriftStruct, field: number, what: string): number {
  const value = fields.get(field)
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0)
    throw new Error(`a page claims ${value === undefined ? 'no' : String(value)} ${what}`)
  return value
}

function struct(fields: ThriftStruct, field: number, what: string): ThriftStruct {
  const value = fields.get(field)
  if (!(value instanceof Map)) throw new Error(`${what} has no header`)
  return value
}

/**
 * Throws `Error` unless all pages of a column are whole and hold what they claim: sizes, counts, checksums where there are
 * any, levels and indexes within their ranges, values as long as their pages. Gives the bytes they are decompressed.
 */
export function checkPages(
  chunk: Uint8Array,
  leaf: Leaf,
  rows: number,
  decompress: Decompress,
  limits: PageLimits,
): number {
  const check = new PageCheck(leaf, decompress, limits)
  let at = 0
  // Where the library ends, too.
  while (at < chunk.length - 1 && !(leaf.flat && check.values >= rows)) {
    const reader = new ThriftReader(chunk, at)
    const header = reader.struct()
    const size = integer(header, 3, 'compressed bytes')
    if (size > chunk.length - reader.at)
      throw new Error(`a page claims ${size} bytes where ${chunk.length - reader.at} follow`)
    check.page(header, chunk.subarray(reader.at, reader.at + size))
    at = reader.at + size
  }
  if (leaf.flat && check.values !== rows) throw new Error(`its pages have ${check.values} of ${rows} rows`)
  return check.bytes
}

class PageCheck {
  values = 0
  bytes = 0
  private dictionary: number | undefined

  constructor(
    private readonly leaf: Leaf,
    private readonly decompress: Decompress,
    private readonly limits: PageLimits,
  ) {}

  page(header: ThriftStruct, body: Uint8Array): void {
    const checksum = header.get(4)
    if (typeof checksum === 'number' && crc32(body) !== checksum >>> 0)
      throw new Error('a page is not what its checksum says')
    const size = integer(header, 2, 'bytes')
    this.bytes += size
    if (this.bytes > this.limits.bytes)
      throw new Error(`its pages have more than the limit of ${this.limits.bytes} bytes; raise maxGroup if it is meant`)
    switch (header.get(1)) {
      case DICTIONARY: {
        const count = this.counted(integer(struct(header, 7, 'a dictionary'), 1, 'values'))
        this.plain(new PageReader(this.decompress(body, size)), count)
        this.dictionary = count
        return
      }
      case DATA:
        return this.data(struct(header, 5, 'a page'), this.decompress(body, size))
      case DATA_V2:
        return this.dataV2(struct(header, 8, 'a page'), body, size)
      default:
        throw new Error(`a page has the type ${String(header.get(1))}`)
    }
  }

  private data(header: ThriftStruct, page: Uint8Array): void {
    const { mostRepeated, mostDefined } = this.leaf
    const count = this.more(integer(header, 1, 'values'))
    const reader = new PageReader(page)
    const levels = (encoding: number, most: number): number => {
      if (header.get(encoding) !== ENCODINGS.rle) throw new Error('a page has levels in an encoding that is not read')
      const length = reader.uint32()
      const from = reader.at
      reader.skip(length)
      return checkRuns(new PageReader(page, from, from + length), bitsOf(most), count, most)
    }
    if (mostRepeated > 0) levels(4, mostRepeated)
    const present = mostDefined > 0 ? levels(3, mostDefined) : count
    this.encoded(header.get(2), reader, present)
  }

  private dataV2(header: ThriftStruct, body: Uint8Array, size: number): void {
    const { mostRepeated, mostDefined } = this.leaf
    const count = this.more(integer(header, 1, 'values'))
    const nulls = integer(header, 2, 'nulls')
    const [definitions, repetitions] = [integer(header, 5, 'bytes of levels'), integer(header, 6, 'bytes of levels')]
    const levels = definitions + repetitions
    if (levels > body.length || levels > size)
      throw new Error(`a page claims ${levels} bytes of levels in ${body.length}`)
    if (mostRepeated > 0) checkRuns(new PageReader(body, 0, repetitions), bitsOf(mostRepeated), count, mostRepeated)
    const present =
      mostDefined > 0
        ? checkRuns(new PageReader(body, repetitions, levels), bitsOf(mostDefined), count, mostDefined)
        : count
    if (present !== count - nulls) throw new Error(`a page claims ${nulls} nulls and has ${count - present}`)
    const rest = body.subarray(levels)
    const page = header.get(7) === false ? rest : this.decompress(rest, size - levels)
    if (page.length !== size - levels) throw new Error(`a page claims ${size} bytes and has ${page.length + levels}`)
    this.encoded(header.get(4), new PageReader(page), present)
  }

  private counted(count: number): number {
    const { values, bytes } = this.limits
    // Packed bits are eight values of a byte; runs may be more, and are held to the limit.
    const most = Math.max(values, Math.min(VALUES_PER_BYTE * this.bytes, bytes / BYTES_PER_VALUE))
    if (count > most) throw new Error(`it has more than ${most} values; raise maxGroup if it is meant`)
    return count
  }

  private more(count: number): number {
    this.values = this.counted(this.values + count)
    return count
  }

  private encoded(encoding: unknown, reader: PageReader, count: number): void {
    const { type } = this.leaf
    if (count === 0) return
    switch (encoding) {
      case ENCODINGS.plain:
        return this.plain(reader, count)
      case ENCODINGS.plainDictionary:
      case ENCODINGS.dictionary: {
        if (this.dictionary === undefined || type === 'BOOLEAN')
          throw new Error('a page has indexes without a dictionary')
        const width = reader.byte()
        if (width > 0) checkRuns(reader, width, count, this.dictionary - 1)
        else if (this.dictionary === 0) throw new Error('a page has indexes of an empty dictionary')
        return
      }
      case ENCODINGS.rle:
        if (type !== 'BOOLEAN') break
        reader.skip(4)
        checkRuns(reader, 1, count, 1)
        return
      case ENCODINGS.delta:
        if (type !== 'INT32' && type !== 'INT64') break
        checkDeltas(reader, count, false)
        return
      case ENCODINGS.deltaLength:
        if (type !== 'BYTE_ARRAY') break
        return this.lengths(checkDeltas(reader, count, true) as Int32Array, undefined, reader)
      case ENCODINGS.deltaBytes: {
        if (type !== 'BYTE_ARRAY' && type !== 'FIXED_LEN_BYTE_ARRAY') break
        const prefixes = checkDeltas(reader, count, true) as Int32Array
        return this.lengths(checkDeltas(reader, count, true) as Int32Array, prefixes, reader)
      }
      case ENCODINGS.split: {
        const width = type === 'FIXED_LEN_BYTE_ARRAY' ? this.leaf.length : FIXED_BYTES[type]
        if (width === undefined) break
        return reader.skip(count * width)
      }
    }
    throw new Error(`a page of ${type} has the encoding ${String(encoding)}, which is not read`)
  }

  private plain(reader: PageReader, count: number): void {
    const { type, length } = this.leaf
    if (type === 'BOOLEAN') return reader.skip(Math.ceil(count / 8))
    if (type !== 'BYTE_ARRAY') return reader.skip(count * (FIXED_BYTES[type] ?? length))
    for (let i = 0; i < count; i++) {
      const bytes = reader.uint32()
      this.decimal(bytes)
      reader.skip(bytes)
    }
  }

  /** Texts by their lengths, and by how much each has of the one before. */
  private lengths(suffixes: Int32Array, prefixes: Int32Array | undefined, reader: PageReader): void {
    let before = 0
    for (const [i, suffix] of suffixes.entries()) {
      const prefix = prefixes?.[i] ?? 0
      if (suffix < 0 || prefix < 0 || prefix > before) throw new Error('a page has texts of impossible lengths')
      reader.skip(suffix)
      before = prefix + suffix
      this.decimal(before)
      if (prefix > 0) this.bytes += before
      if (this.bytes > this.limits.bytes)
        throw new Error(
          `its texts have more than the limit of ${this.limits.bytes} bytes; raise maxGroup if it is meant`,
        )
    }
  }

  private decimal(bytes: number): void {
    if (this.leaf.decimal && bytes > MOST_DECIMAL_BYTES) throw new Error(`a page has a decimal of ${bytes} bytes`)
  }
}
