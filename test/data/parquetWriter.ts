// Parquet files by hand, which can lie: Thrift's compact protocol, pages, footers.

export type Field = readonly [type: number, bytes: readonly number[]]
/** Fields by number. */
export type Fields = Readonly<Record<number, Field | undefined>>

export function varint(value: number | bigint): number[] {
  const bytes: number[] = []
  let rest = BigInt.asUintN(64, BigInt(value))
  for (; rest >= 128n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128)
  return [...bytes, Number(rest)]
}
const zigzag = (value: number | bigint): number[] => {
  const whole = BigInt(value)
  return varint((whole << 1n) ^ (whole >> 63n))
}
export const i32 = (value: number): Field => [5, zigzag(value)]
export const i64 = (value: number | bigint): Field => [6, zigzag(value)]
export const yes: Field = [1, []]
export const no: Field = [2, []]
export const text = (value: string | readonly number[]): Field => {
  const bytes = typeof value === 'string' ? [...new TextEncoder().encode(value)] : value
  return [8, [...varint(bytes.length), ...bytes]]
}
export const list = (items: readonly Field[], type = items[0]?.[0] ?? 12, length = items.length): Field => [
  9,
  [
    ...(length < 15 ? [(length << 4) | type] : [0xf0 | type, ...varint(length)]),
    ...items.flatMap(([, bytes]) => bytes),
  ],
]
export function struct(fields: Fields): Field {
  const bytes: number[] = []
  let last = 0
  for (const [id, field] of Object.entries(fields)) {
    if (!field) continue
    const delta = Number(id) - last
    last = Number(id)
    bytes.push(...(delta > 0 && delta < 16 ? [(delta << 4) | field[0]] : [field[0], ...zigzag(last)]), ...field[1])
  }
  return [12, [...bytes, 0]]
}

export const TYPES = { boolean: 0, int32: 1, int64: 2, int96: 3, float: 4, double: 5, bytes: 6, fixed: 7 }
export const PLAIN = 0
export const RLE = 3
export const DELTA = 5
export const DELTA_BYTES = 7
export const DICTIONARY = 8
export const SPLIT = 9
const UNCOMPRESSED = 0

export interface PageParts {
  readonly body: readonly number[]
  readonly values: number
  readonly encoding?: number
  /** Headers by number, instead of or beside those that are right. */
  readonly header?: Fields
  readonly data?: Fields
}

export const dataPage = ({ body, values, encoding = PLAIN, header, data }: PageParts): number[] => [
  ...struct({
    1: i32(0),
    2: i32(body.length),
    3: i32(body.length),
    5: struct({ 1: i32(values), 2: i32(encoding), 3: i32(RLE), 4: i32(RLE), ...data }),
    ...header,
  })[1],
  ...body,
]

export const dictionaryPage = ({ body, values, header, data }: PageParts): number[] => [
  ...struct({
    1: i32(2),
    2: i32(body.length),
    3: i32(body.length),
    7: struct({ 1: i32(values), 2: i32(PLAIN), ...data }),
    ...header,
  })[1],
  ...body,
]

export interface FileParts {
  readonly pages: readonly number[]
  readonly rows: number
  readonly type?: number
  /** 0: required, 1: optional, 2: repeated. */
  readonly repetition?: number
  readonly codec?: number
  /** Instead of or beside what is right. */
  readonly element?: Fields
  readonly meta?: Fields
  readonly group?: Fields
  readonly footer?: Fields
  /** Elements of the schema behind the root, and the path of the column, where there is more than one. */
  readonly elements?: readonly Field[]
  readonly path?: readonly string[]
}

const HEAD = [...new TextEncoder().encode('PAR1')]

/** A file of one column `a`, in one row group. */
export function parquetFile(parts: FileParts): Uint8Array {
  const { pages, rows, type = TYPES.int32, repetition = 0, codec = UNCOMPRESSED } = parts
  const { path = ['a'] } = parts
  const element = struct({ 1: i32(type), 3: i32(repetition), 4: text('a'), ...parts.element })
  const elements = parts.elements ?? [element]
  const meta = struct({
    1: i32(type),
    2: list([i32(PLAIN)]),
    3: list(path.map((name) => text(name))),
    4: i32(codec),
    5: i64(rows),
    6: i64(pages.length),
    7: i64(pages.length),
    9: i64(HEAD.length),
    ...parts.meta,
  })
  const group = struct({
    1: list([struct({ 2: i64(4), 3: meta })]),
    2: i64(pages.length),
    3: i64(rows),
    ...parts.group,
  })
  return withFooter(pages, [
    ...struct({
      1: i32(1),
      2: list([struct({ 4: text('root'), 5: i32(1) }), ...elements]),
      3: i64(rows),
      4: list([group]),
      ...parts.footer,
    })[1],
  ])
}

/** A file with any footer. */
export function withFooter(pages: readonly number[], footer: readonly number[], length = footer.length): Uint8Array {
  const tail = new Uint8Array(4)
  new DataView(tail.buffer).setUint32(0, length, true)
  return Uint8Array.from([...HEAD, ...pages, ...footer, ...tail, ...HEAD])
}

/** Numbers as Parquet's plain encoding has them. */
export const int32s = (...values: number[]): number[] => [...new Uint8Array(Int32Array.from(values).buffer)]
/** A text with its length. */
export const bytesOf = (value: string | readonly number[]): number[] => {
  const bytes = typeof value === 'string' ? [...new TextEncoder().encode(value)] : value
  return [...int32s(bytes.length), ...bytes]
}
/** A run of equal values, and packed groups of eight; their length before them. */
export const run = (times: number, value: readonly number[]): number[] => [...varint(times * 2), ...value]
export const packed = (groups: number, ...bytes: number[]): number[] => [...varint(groups * 2 + 1), ...bytes]
export const measured = (bytes: readonly number[]): number[] => [...int32s(bytes.length), ...bytes]
