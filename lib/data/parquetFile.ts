// A Parquet file opened by hyparquet: its footer checked against limits, its row groups decoded one column after the other.
import { stat } from 'node:fs/promises'
import { DataError } from '../runtime/errors.js'
import { load } from './optional.js'

type Hyparquet = typeof import('hyparquet')
type Metadata = Awaited<ReturnType<Hyparquet['parquetMetadataAsync']>>
type Decompress = (input: Uint8Array, length: number) => Uint8Array

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
  const { size } = await stat(file).catch((cause: Error) => {
    throw new DataError(`readParquet: ${file} can not be read: ${cause.message}`, 'unreadable', { file }, { cause })
  })
  if (size < 12) {
    throw new DataError(`readParquet: ${file} is no Parquet file: it has ${size} bytes`, 'malformed', { file })
  }
  const hyparquet = (await load('readParquet', 'hyparquet')) as Hyparquet
  const compressors = await boundedCompressors(limits.bytes)
  try {
    const buffer = await hyparquet.asyncBufferFromFile(file)
    const metadata = await hyparquet.parquetMetadataAsync(buffer)
    const names = hyparquet.parquetSchema(metadata).children.map(({ element }) => element.name)
    const unknown = wanted?.find((name) => !names.includes(name))
    if (unknown !== undefined) {
      const message = `readParquet: ${file} has no column '${unknown}'; it has ${names.join(', ')}`
      throw new DataError(message, 'malformed', { file, field: unknown })
    }
    const columns = wanted ?? names
    const options = { file: buffer, metadata, compressors }
    return {
      columns,
      groups: groupsOf(metadata, file, limits),
      read: (group) => readGroup((part) => hyparquet.parquetRead({ ...options, ...part }), file, columns, group),
    }
  } catch (cause) {
    if (cause instanceof DataError) throw cause
    const message = `readParquet: ${file} can not be read: ${(cause as Error).message}`
    throw new DataError(message, 'malformed', { file }, { cause })
  }
}

/** Decompressors that make no more than `most` bytes at a time, whatever a page claims. */
async function boundedCompressors(most: number): Promise<Record<string, Decompress>> {
  const { compressors } = (await load('readParquet', 'hyparquet-compressors')) as typeof import('hyparquet-compressors')
  return Object.fromEntries(
    Object.entries(compressors).map(([codec, decompress]) => [
      codec,
      (input: Uint8Array, length: number): Uint8Array => {
        if (length > most) throw new Error(`a page claims ${length} bytes`)
        return decompress(input, length)
      },
    ]),
  )
}

function groupsOf({ row_groups }: Metadata, file: string, limits: Limits): Group[] {
  const groups: Group[] = []
  for (const { num_rows, columns } of row_groups) {
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
    if (rows > 0) groups.push({ start, end: start + rows })
  }
  return groups
}

/** What is asked of the library for one column of a group. */
type ReadPart = (part: {
  readonly columns: string[]
  readonly rowStart: number
  readonly rowEnd: number
  readonly onChunk: (chunk: { columnName: string; columnData: ArrayLike<unknown>; rowStart: number }) => void
}) => Promise<void>

/** One column after the other: of columns that are read together the library leaves the second failure unhandled. */
async function readGroup(
  readPart: ReadPart,
  file: string,
  columns: readonly string[],
  { start, end }: Group,
): Promise<readonly ParquetRow[]> {
  try {
    const rows = Array.from({ length: end - start }, (): ParquetRow => ({}))
    for (const name of columns) {
      let found = 0
      await readPart({
        columns: [name],
        rowStart: start,
        rowEnd: end,
        onChunk({ columnName, columnData, rowStart }) {
          if (columnName !== name) return
          for (let i = 0; i < columnData.length; i++) {
            const row = rows[rowStart - start + i]
            if (!row) continue
            put(row, name, columnData[i] ?? null)
            found++
          }
        },
      })
      if (found !== rows.length) throw new Error(`the column '${name}' has ${found} of ${rows.length} rows`)
    }
    return rows
  } catch (cause) {
    throw new DataError(
      `readParquet: rows ${start + 1} to ${end} of ${file} can not be read: ${(cause as Error).message}`,
      'malformed',
      { file, row: start + 1 },
      { cause },
    )
  }
}

/** As a field of its own, also where its name means something to JavaScript. */
function put(row: ParquetRow, name: string, value: unknown): void {
  if (name === '__proto__') {
    Object.defineProperty(row, name, { value, enumerable: true, writable: true, configurable: true })
  } else row[name] = value
}
