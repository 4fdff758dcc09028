// Thrift's compact protocol, as Parquet's headers have it: read within bounds, whatever the bytes claim.

/** A field's value: integers are numbers where they are safe, else NaN; binaries are views, structs and lists as they are. */
export type ThriftValue = number | boolean | Uint8Array | ThriftStruct | readonly ThriftValue[]
/** Fields by their number. */
export type ThriftStruct = ReadonlyMap<number, ThriftValue>

const MOST_DEPTH = 32
/** Structs per byte: a struct of nothing takes one byte in the file and many in memory. */
const BYTES_PER_STRUCT = 8
const FREE_STRUCTS = 1 << 16
const VARINT_BYTES = 10
const [TRUE, FALSE, BYTE, I16, I32, I64, DOUBLE, BINARY, LIST, STRUCT] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 12]

export class ThriftReader {
  private structs = 0

  constructor(
    private readonly bytes: Uint8Array,
    /** Where it reads; behind the struct that was read last. */
    public at = 0,
  ) {}

  /** Throws `Error` for what is no struct. */
  struct(depth = 0): ThriftStruct {
    if (depth > MOST_DEPTH) throw new Error(`its header is nested deeper than ${MOST_DEPTH}`)
    if (++this.structs > FREE_STRUCTS + this.bytes.length / BYTES_PER_STRUCT)
      throw new Error(`its header has more structs than its ${this.bytes.length} bytes are worth`)
    const fields = new Map<number, ThriftValue>()
    let field = 0
    for (;;) {
      const head = this.byte()
      const type = head & 15
      if (type === 0) return fields
      field = head >> 4 ? field + (head >> 4) : this.zigzag()
      if (fields.has(field)) throw new Error(`its header has the field ${field} twice`)
      fields.set(field, this.value(type, depth, false))
    }
  }

  private value(type: number, depth: number, inList: boolean): ThriftValue {
    switch (type) {
      case TRUE:
      case FALSE:
        return inList ? this.byte() === 1 : type === TRUE
      case BYTE:
        return (this.byte() << 24) >> 24
      case I16:
      case I32:
      case I64:
        return this.zigzag()
      case DOUBLE:
        this.skip(8)
        return Number.NaN
      case BINARY: {
        const length = this.varint()
        const from = this.at
        this.skip(length)
        return this.bytes.subarray(from, from + length)
      }
      case LIST:
        return this.list(depth)
      case STRUCT:
        return this.struct(depth + 1)
      default:
        throw new Error(`its header has a value of the type ${type}, which Parquet does not use`)
    }
  }

  private list(depth: number): ThriftValue[] {
    if (depth >= MOST_DEPTH) throw new Error(`its header is nested deeper than ${MOST_DEPTH}`)
    const head = this.byte()
    const length = head >> 4 === 15 ? this.varint() : head >> 4
    if (!(length <= this.bytes.length - this.at))
      throw new Error(`its header has a list of ${length} items in ${this.bytes.length - this.at} bytes`)
    const items: ThriftValue[] = []
    for (let i = 0; i < length; i++) items.push(this.value(head & 15, depth + 1, true))
    return items
  }

  private byte(): number {
    const byte = this.bytes[this.at++]
    if (byte === undefined) throw new Error('its header ends in the middle')
    return byte
  }

  private skip(length: number): void {
    if (!(length <= this.bytes.length - this.at))
      throw new Error(`its header has ${length} bytes of text where ${this.bytes.length - this.at} follow`)
    this.at += length
  }

  /** An unsigned number of at most 64 bits; what is not safe is no integer any more, but still greater than all that are. */
  private varint(): number {
    let value = 0
    for (let i = 0; i < VARINT_BYTES; i++) {
      const byte = this.byte()
      value += (byte & 127) * 2 ** (7 * i)
      if (byte < 128) return value
    }
    throw new Error('its header has a number of more than 64 bits')
  }

  private zigzag(): number {
    const value = this.varint()
    if (value > Number.MAX_SAFE_INTEGER) return Number.NaN
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2
  }
}
