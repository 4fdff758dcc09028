// What stands between the values of a Parquet page: runs of levels and indexes, and packed differences; checked, not decoded.

const MOST_VARINT_BYTES = 10

/** A place in the bytes of a page. */
export class PageReader {
  constructor(
    readonly bytes: Uint8Array,
    public at = 0,
    readonly end = bytes.length,
  ) {}

  byte(): number {
    if (this.at >= this.end) throw new Error('a page ends in the middle of its values')
    return this.bytes[this.at++] as number
  }

  uint32(): number {
    return this.byte() + this.byte() * 2 ** 8 + this.byte() * 2 ** 16 + this.byte() * 2 ** 24
  }

  /** Throws for one of more than `bits` bits, which the library would cut, or take for ever to read. */
  varint(bits: 31 | 32 | 64): number {
    let value = 0
    for (let i = 0; i < MOST_VARINT_BYTES; i++) {
      const byte = this.byte()
      value += (byte & 127) * 2 ** (7 * i)
      if (byte >= 128) continue
      if (value >= 2 ** bits) break
      return value
    }
    throw new Error(`a page has a number of more than ${bits} bits`)
  }

  skip(bytes: number): void {
    if (!(bytes >= 0 && bytes <= this.end - this.at)) throw new Error('a page ends in the middle of its values')
    this.at += bytes
  }

  /** A number of `width` bits, from `bit` bits behind `from`. */
  bits(from: number, bit: number, width: number): number {
    let value = 0
    for (let done = 0; done < width; ) {
      const at = from + ((bit + done) >> 3)
      if (at >= this.end) throw new Error('a page ends in the middle of its values')
      const shift = (bit + done) & 7
      const take = Math.min(8 - shift, width - done)
      value += (((this.bytes[at] as number) >> shift) & ((1 << take) - 1)) * 2 ** done
      done += take
    }
    return value
  }
}

/**
 * Runs of equal and of packed values (Parquet's RLE hybrid): `count` of them, none above `most`. Gives how many are `most`.
 */
export function checkRuns(reader: PageReader, width: number, count: number, most: number): number {
  if (width > 32) throw new Error(`a page has indexes of ${width} bits`)
  let seen = 0
  let greatest = 0
  const check = (value: number, times: number): void => {
    if (value > most) throw new Error(`a page has the level or index ${value} where ${most} is the greatest`)
    if (value === most) greatest += times
  }
  while (seen < count) {
    const head = reader.varint(32)
    if (head % 2 === 0) {
      const times = head / 2
      if (times > count - seen) throw new Error(`a page has a run of ${times} where ${count - seen} values are left`)
      const from = reader.at
      reader.skip((width + 7) >> 3)
      check(reader.bits(from, 0, ((width + 7) >> 3) * 8), times)
      seen += times
    } else {
      const groups = (head - 1) / 2
      if (groups > Math.ceil((count - seen) / 8))
        throw new Error(`a page has ${groups * 8} packed values where ${count - seen} are left`)
      const values = Math.min(groups * 8, count - seen)
      for (let i = 0; i < values; i++) check(reader.bits(reader.at, i * width, width), 1)
      // Some writers leave out what the last group does not need.
      reader.at = Math.min(reader.end, reader.at + groups * width)
      seen += values
    }
  }
  return greatest
}

/** Differences in packed blocks (DELTA_BINARY_PACKED): the structure alone, or with `keep` the numbers, modulo 2^32. */
export function checkDeltas(reader: PageReader, count: number, keep: boolean): Int32Array | undefined {
  const kept = keep ? new Int32Array(count) : undefined
  const zigzag = (): number => {
    const value = reader.varint(64)
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2
  }
  // Signed where the library reads them: it would go backwards.
  const block = reader.varint(31)
  const parts = reader.varint(31)
  reader.varint(32)
  let value = zigzag()
  const each = block / parts
  if (!(parts > 0 && each > 0 && each % 8 === 0))
    throw new Error(`a page has blocks of ${block} numbers in ${parts} parts`)
  if (kept && count > 0) kept[0] = value
  for (let seen = 1; seen < count; ) {
    const least = zigzag()
    const widths = reader.at
    reader.skip(parts)
    for (let part = 0; part < parts && seen < count; part++) {
      const width = reader.bytes[widths + part] as number
      if (width > 64) throw new Error(`a page has differences of ${width} bits`)
      const needed = Math.min(each, count - seen)
      if (reader.at + (needed * width) / 8 > reader.end) throw new Error('a page ends in the middle of its values')
      if (kept)
        for (let i = 0; i < needed; i++) {
          value = (value + least + (width <= 32 ? reader.bits(reader.at, i * width, width) : 0)) | 0
          kept[seen + i] = value
        }
      reader.at = Math.min(reader.end, reader.at + (each * width) / 8)
      seen += needed
    }
  }
  return kept
}
