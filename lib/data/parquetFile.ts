// A Parquet file opened by hyparquet: its footer checked against limits, its row groups checked and decoded column by column.
import { type FileHandle, open } from 'node:fs/promises'
import { DataError } from '../runtime/errors.js'
import { load } from './optional.js'
import { boundedCodecs, type Decompress } from './parquetCodecs.js'
import { checkPages } from './parquetPages.js'
import { type Column, columnsOfSchema, type Leaf } from './parquetSchema.js'
import { ThriftReader, type ThriftStruct } from './thrift.js'

type Hyparquet = typeof import('hyparquet')
type Metadata = ReturnType<Hyparquet['parquetMetadata']>
type RowGroup = Metadata['row_groups'][number]

/** Numbers, strings, booleans, bigints of 64-bit integers, lists, objects, dates; null where missing. */
export type ParquetRow = Record<string, unknown>

/** The rows of a row group, from `start` to before `end`. */
export interface Group {
  readonly start: number
  readonly end: number
}

/** The most that a row group may claim. */
interface Limits {
  readonly rows: number
  readonly bytes: number
}

export interface ParquetFile {
  /** Names of the columns that are read. */
  readonly columns: readonly string[]
  readonly groups: readonly Group[]
  read(group: Group): Promise<readonly ParquetRow[]>
}

/** Throws `DataError`. */
export async function openParquet(
  file: string,
  wanted: readonly string[] | undefined,
  limits: Limits,
): Promise<ParquetFile> {
  const hyparquet = (await load('readParquet', 'hyparquet')) as Hyparquet
  const codecs = await boundedCodecs()
  try {
    const footer = await withFile(file, readFooter)
    checkFooter(footer)
    const metadata = hyparquet.parquetMetadata(footer)
    const tree = columnsOfSchema(metadata.schema)
    const names = tree.map(({ name }) => name)
    const unknown = wanted?.find((name) => !names.includes(name))
    if (unknown !== undefined) {
      const message = `readParquet: ${file} has no column '${unknown}'; it has ${names.join(', ')}`
      throw new DataError(message, 'malformed', { file, field: unknown })
    }
    const columns = wanted ?? names
    const twice = columns.find((name) => names.indexOf(name) !== names.lastIndexOf(name))
    if (twice !== undefined) throw new Error(`it has two columns '${twice}'`)
    const read = tree.filter(({ name }) => columns.includes(name))
    const reader = new GroupReader(hyparquet, file, metadata, read, codecs, limits)
    const groups = groupsOf(metadata, file, limits)
    if (groups.length > 0 && read.length === 0) throw new Error('it has rows, and no columns')
    return { columns, groups, read: (group) => reader.read(group) }
  } catch (cause) {
    if (cause instanceof DataError) throw cause
    const message = `readParquet: ${file} can not be read: ${(cause as Error).message}`
    throw new DataError(message, 'malformed', { file }, { cause })
  }
}

/** Opens a file for as long as `use` takes. Throws `DataError` where it can not be read. */
async function withFile<T>(
  file: string,
  use: (handle: FileHandle, size: number, file: string) => Promise<T>,
): Promise<T> {
  let handle: FileHandle | undefined
  try {
    handle = await open(file)
    return await use(handle, (await handle.stat()).size, file)
  } catch (cause) {
    if (cause instanceof DataError || !(cause instanceof Error && 'code' in cause && 'syscall' in cause)) throw cause
    throw new DataError(`readParquet: ${file} can not be read: ${cause.message}`, 'unreadable', { file }, { cause })
  } finally {
    await handle?.close()
  }
}

async function readRange(handle: FileHandle, from: number, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length)
  for (let at = 0; at < length; ) {
    const { bytesRead } = await handle.read(bytes, at, length - at, from + at)
    if (bytesRead === 0) throw new Error(`it ends at byte ${from + at}, in the middle of what it should hold`)
    at += bytesRead
  }
  return bytes
}

const MAGIC = 'PAR1'
/** The footer's length and the magic behind it. */
const TAIL = 8

/** The footer with its tail. */
async function readFooter(handle: FileHandle, size: number, file: string): Promise<Uint8Array> {
  const text = (bytes: Uint8Array): string => String.fromCharCode(...bytes)
  const isFile = (await handle.stat()).isFile()
  if (!isFile || size < 2 * MAGIC.length + 4)
    throw new DataError(`readParquet: ${file} is no Parquet file: it has ${size} bytes`, 'malformed', { file })
  const [head, tail] = [await readRange(handle, 0, MAGIC.length), await readRange(handle, size - TAIL, TAIL)]
  if (text(head) !== MAGIC || text(tail.subarray(4)) !== MAGIC)
    throw new DataError(
      `readParquet: ${file} is no Parquet file, or cut off: it does not begin and end with ${MAGIC}`,
      'malformed',
      { file },
    )
  const length = new DataView(tail.buffer).getUint32(0, true)
  if (length > size - TAIL - MAGIC.length) throw new Error(`its footer claims ${length} of its ${size} bytes`)
  return readRange(handle, size - TAIL - length, length + TAIL)
}

/** Statistics of decimals are multiplied byte by byte. */
const MOST_STATISTIC = 1 << 14

/** Throws `Error` for what the library would read without bounds. */
function checkFooter(footer: Uint8Array): void {
  const fields = new ThriftReader(footer.subarray(0, footer.length - TAIL)).struct()
  const structs = (of: ThriftStruct, field: number): ThriftStruct[] => {
    const list = of.get(field)
    if (!Array.isArray(list) || !list.every((item) => item instanceof Map))
      throw new Error('its footer is no description of columns')
    return list
  }
  // The library goes back by them, and never arrives.
  for (const element of structs(fields, 2))
    if (!(Number(element.get(5) ?? 0) >= 0)) throw new Error('its schema is no tree')
  for (const group of structs(fields, 4))
    for (const column of structs(group, 1)) {
      const statistics = (column.get(3) as ThriftStruct | undefined)?.get?.(12)
      if (!(statistics instanceof Map)) continue
      for (const value of statistics.values())
        if (value instanceof Uint8Array && value.length > MOST_STATISTIC)
          throw new Error(`its footer has a statistic of ${value.length} bytes`)
    }
}

function groupsOf({ row_groups }: Metadata, file: string, limits: Limits): (Group & { readonly index: number })[] {
  const groups: (Group & { readonly index: number })[] = []
  for (const [index, { num_rows, columns }] of row_groups.entries()) {
    const rows = Number(num_rows)
    const start = groups.at(-1)?.end ?? 0
    const bytes = columns.reduce((sum, { meta_data }) => sum + Number(meta_data?.total_uncompressed_size ?? 0), 0)
    if (!(Number.isSafeInteger(rows) && rows >= 0)) throw new Error(`a row group claims ${num_rows} rows`)
    if (rows > limits.rows || !(bytes <= limits.bytes)) {
      throw new DataError(
        `readParquet: a row group of ${file} has ${rows} rows of ${bytes} bytes, the limits are ${limits.rows} and ${limits.bytes}; raise maxGroup if it is meant`,
        'tooLarge',
        { file, row: start + 1 },
      )
    }
    if (rows > 0) groups.push({ start, end: start + rows, index })
  }
  return groups
}

/** A leaf's part of a group, in memory. */
interface Chunk {
  readonly from: number
  readonly bytes: Uint8Array
}

class GroupReader {
  constructor(
    private readonly hyparquet: Hyparquet,
    private readonly file: string,
    private readonly metadata: Metadata,
    private readonly columns: readonly Column[],
    private readonly codecs: Readonly<Record<string, Decompress>>,
    private readonly limits: Limits,
  ) {}

  /** One column after the other: of columns that are read together the library leaves the second failure unhandled. */
  async read(group: Group): Promise<readonly ParquetRow[]> {
    const { start, end } = group
    let field: string | undefined
    try {
      return await withFile(this.file, async (handle, size) => {
        const own = this.metadata.row_groups[(group as Group & { index: number }).index] as RowGroup
        const values = new Map<string, unknown[]>()
        let left = this.limits.bytes
        for (const column of this.columns) {
          field = column.name
          left -= await this.column(column, own, handle, size, left, end - start, values)
        }
        // Only now, when the file has been seen to be worth so many rows.
        return Array.from({ length: end - start }, (_, i): ParquetRow => {
          const row: ParquetRow = {}
          for (const [name, column] of values) put(row, name, column[i] ?? null)
          return row
        })
      })
    } catch (cause) {
      if (cause instanceof DataError) throw cause
      throw new DataError(
        `readParquet: rows ${start + 1} to ${end} of ${this.file} can not be read: ${field === undefined ? '' : `column '${field}': `}${(cause as Error).message}`,
        'malformed',
        { file: this.file, row: start + 1, ...(field === undefined ? {} : { field }) },
        { cause },
      )
    }
  }

  /** Adds a column's values, and gives the bytes that they took. */
  private async column(
    column: Column,
    group: RowGroup,
    handle: FileHandle,
    size: number,
    left: number,
    rows: number,
    values: Map<string, unknown[]>,
  ): Promise<number> {
    const made = new DecompressedPages(this.codecs)
    const chunks: Chunk[] = []
    let bytes = 0
    for (const leaf of column.leaves) {
      const chunk = await this.chunk(leaf, group, handle, size)
      chunks.push(chunk)
      const { codec } = metadataOf(leaf, group)
      // Every level of a list takes memory.
      const most = { bytes: left - bytes, values: Math.floor(this.limits.rows / leaf.depth) }
      bytes += checkPages(chunk.bytes, leaf, rows, made.by(codec), most)
    }
    const found: unknown[] = []
    await this.hyparquet.parquetRead({
      file: { byteLength: size, slice: (from, to = size) => sliceOf(chunks, from, to) },
      metadata: { ...this.metadata, row_groups: [group] },
      compressors: made.all(),
      columns: [column.name],
      rowStart: 0,
      rowEnd: rows,
      ...(column.mapped ? { parsers: { stringFromBytes: keyOf } as never } : {}),
      onChunk({ columnName, columnData, rowStart }) {
        if (columnName !== column.name || rowStart !== found.length) return
        for (let i = 0; i < columnData.length; i++) found.push(columnData[i])
      },
    })
    if (found.length !== rows) throw new Error(`it has ${found.length} of ${rows} rows`)
    values.set(column.name, found)
    return bytes
  }

  private async chunk(leaf: Leaf, group: RowGroup, handle: FileHandle, size: number): Promise<Chunk> {
    const { type, codec, dictionary_page_offset, data_page_offset, total_compressed_size } = metadataOf(leaf, group)
    if (type !== leaf.type) throw new Error(`it has ${type} in the row group, ${leaf.type} in the schema`)
    if (codec !== 'UNCOMPRESSED' && !Object.hasOwn(this.codecs, codec))
      throw new Error(`its codec ${codec} is not read`)
    // As the library chooses: an offset of 0 is none.
    const from = Number(dictionary_page_offset || data_page_offset)
    const length = Number(total_compressed_size)
    if (
      !(Number.isSafeInteger(from) && Number.isSafeInteger(length) && from >= 0 && length >= 0 && from + length <= size)
    )
      throw new Error(`it claims the bytes ${from} to ${from + length} of ${size}`)
    return { from, bytes: await readRange(handle, from, length) }
  }
}

function metadataOf(leaf: Leaf, group: RowGroup): NonNullable<RowGroup['columns'][number]['meta_data']> {
  const found = group.columns.filter(({ meta_data }) => {
    const path = meta_data?.path_in_schema
    return path?.length === leaf.path.length && path.every((name, i) => name === leaf.path[i])
  })
  const [only] = found
  if (found.length !== 1 || !only?.meta_data)
    throw new Error(`the row group has ${leaf.path.join('.')} ${found.length} times`)
  if (only.file_path) throw new Error('its values are in another file')
  return only.meta_data
}

/** The library also fetches what is between the chunks, which it does not look at. */
function sliceOf(chunks: readonly Chunk[], from: number, to: number): ArrayBuffer {
  const first = Math.min(...chunks.map((chunk) => chunk.from))
  const last = Math.max(...chunks.map((chunk) => chunk.from + chunk.bytes.length))
  if (!(from >= first && to <= last && from <= to)) throw new Error(`the bytes ${from} to ${to} are asked for`)
  const slice = new Uint8Array(to - from)
  for (const { from: begin, bytes } of chunks) {
    const part = bytes.subarray(Math.max(0, from - begin), Math.max(0, to - begin))
    if (part.length > 0) slice.set(part, Math.max(0, begin - from))
  }
  return slice.buffer
}

/** Pages that were decompressed to be checked, and are asked for again when they are decoded. */
class DecompressedPages {
  private readonly pages = new Map<string, { readonly input: Uint8Array; readonly output: Uint8Array }[]>()

  constructor(private readonly codecs: Readonly<Record<string, Decompress>>) {}

  /** Decompresses, and keeps. */
  by(codec: string): Decompress {
    return (input, length) => {
      if (codec === 'UNCOMPRESSED') {
        if (input.length !== length) throw new Error(`a page claims ${length} bytes and has ${input.length}`)
        return input
      }
      const output = (this.codecs[codec] as Decompress)(input, length)
      const key = `${codec} ${input.length} ${length}`
      const pages = this.pages.get(key) ?? []
      pages.push({ input, output })
      this.pages.set(key, pages)
      return output
    }
  }

  /** Gives what was kept: equal bytes make equal pages. */
  all(): Record<string, Decompress> {
    const kept =
      (codec: string): Decompress =>
      (input, length) => {
        const pages = this.pages.get(`${codec} ${input.length} ${length}`) ?? []
        const at = pages.findIndex((page) => Buffer.compare(page.input, input) === 0)
        const [page] = at === -1 ? [] : pages.splice(at, 1)
        return page ? page.output : this.by(codec)(input, length)
      }
    return Object.fromEntries(Object.keys(this.codecs).map((codec) => [codec, kept(codec)]))
  }
}

const decoder = new TextDecoder()

/** Texts of a column with maps: the library makes keys of objects of them. */
function keyOf(bytes: Uint8Array | undefined): string | undefined {
  const text = bytes && decoder.decode(bytes)
  if (text === '__proto__') throw new Error("it has a map with the key '__proto__'")
  return text
}

/** As a field of its own, also where its name means something to JavaScript. */
function put(row: ParquetRow, name: string, value: unknown): void {
  if (name === '__proto__') {
    Object.defineProperty(row, name, { value, enumerable: true, writable: true, configurable: true })
  } else row[name] = value
}
