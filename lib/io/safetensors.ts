// Reading safetensors: one file, or shards with an index; tensor by tensor or as a whole.
import { type FileHandle, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { matcher, type Pattern } from '../pattern.js'
import { ArgumentError, DTypeError, FormatError } from '../runtime/errors.js'
import { describe } from '../schema/describe.js'
import type { DType } from '../schema/dtype.js'
import type { Stored } from '../schema/elements.js'
import type { Shape } from '../schema/shape.js'
import { clip } from './json.js'
import { arrayFor, openToRead, type Part, readBytes, readParts } from './positioned.js'
import { type Entry, type Header, headerLength, parseHeader } from './safetensorsHeader.js'
import { INDEX_SUFFIX, readIndex } from './shardIndex.js'

/** A tensor as a file holds it: f16 and bf16 as their bits. It is a `TensorState`. */
export interface StoredTensor<D extends DType = DType> {
  readonly data: Stored<D>
  readonly shape: Shape
  readonly dtype: D
}

/** What a tensor is, without its elements. */
export interface TensorSpec {
  readonly dtype: DType
  readonly shape: Shape
  /** Bytes of its elements in the file. */
  readonly bytes: number
}

interface OpenFile {
  readonly path: string
  readonly handle: FileHandle
  readonly header: Header
}

interface Place {
  readonly file: OpenFile
  readonly entry: Entry
}

async function openFile(path: string): Promise<OpenFile> {
  const handle = await openToRead(path)
  try {
    const { size } = await handle.stat()
    const prefix = await readBytes(handle, path, 0, Math.min(8, size))
    const header = await readBytes(handle, path, 8, headerLength(path, prefix, size))
    return { path, handle, header: parseHeader(path, header, size) }
  } catch (error) {
    await handle.close()
    throw error
  }
}

async function closeAll(files: Iterable<OpenFile>): Promise<void> {
  await Promise.all([...files].map((file) => file.handle.close()))
}

/** Opens every shard of an index. */
async function openShards(index: string): Promise<[Map<string, Place>, OpenFile[]]> {
  const files: OpenFile[] = []
  const places = new Map<string, Place>()
  try {
    for (const [shard, names] of await readIndex(index)) {
      const file = await openFile(join(dirname(index), shard)).catch((error: unknown) => {
        if (!isNoFile(error)) throw error
        throw new FormatError(`${index}: its shard '${clip(shard)}' is not there`, index, clip(shard), { cause: error })
      })
      files.push(file)
      for (const name of names) {
        const entry = file.header.entries.get(name)
        if (!entry)
          throw new FormatError(
            `${index}: '${clip(name)}' should be in '${clip(shard)}', and is not`,
            index,
            clip(name),
          )
        places.set(name, { file, entry })
      }
    }
    return [places, files]
  } catch (error) {
    await closeAll(files)
    throw error
  }
}

/** Whether a name leads to no file. */
const isNoFile = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && ['ENOENT', 'EISDIR', 'ENAMETOOLONG'].includes(error.code as string)

const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    (error: unknown) => {
      if (isNoFile(error)) return false
      throw error
    },
  )

/** The file or the index that a path means. */
async function resolve(op: string, path: string): Promise<string> {
  if (typeof path !== 'string') throw new ArgumentError(`${op}: the path must be a string, not ${describe(path)}`)
  if (path.endsWith(INDEX_SUFFIX)) return path
  const isFolder = (await exists(path)) && (await stat(path)).isDirectory()
  if (isFolder) {
    const model = join(path, 'model.safetensors')
    return (await exists(model + INDEX_SUFFIX)) ? model + INDEX_SUFFIX : model
  }
  return !(await exists(path)) && (await exists(path + INDEX_SUFFIX)) ? path + INDEX_SUFFIX : path
}

/** Tensors in files that are open: their headers have been read and checked, their elements are read when asked for. */
export class SafetensorsFile implements AsyncDisposable {
  /** @internal Comes from `openSafetensors`. */
  constructor(
    readonly path: string,
    /** What the file says about itself; of shards, what all of them together say. */
    readonly metadata: Readonly<Record<string, string>>,
    private readonly places: ReadonlyMap<string, Place>,
    private readonly files: readonly OpenFile[],
  ) {}

  /** The names of all tensors, in the order they lie in. */
  get names(): string[] {
    return [...this.places.keys()]
  }

  private place(op: string, name: string): Place & { readonly dtype: DType } {
    const place = this.places.get(name)
    if (!place) {
      const some = this.names.slice(0, 5).map(clip).join(', ')
      throw new ArgumentError(
        `${op}: ${this.path} has no tensor '${name}'; it has ${this.places.size}${some ? `: ${some}${this.places.size > 5 ? ', ...' : ''}` : ''}`,
      )
    }
    const { dtype, stored: name_ } = place.entry
    if (!dtype)
      throw new DTypeError(
        `${op}: ${place.file.path}: the tensor '${clip(name)}' is ${name_}, a dtype that heddle does not have`,
      )
    return { ...place, dtype }
  }

  /** Throws `ArgumentError` for a name the file does not have, `DTypeError` for a dtype that heddle does not have. */
  spec(name: string): TensorSpec {
    const { entry, dtype } = this.place('spec', name)
    return { dtype, shape: entry.shape, bytes: entry.bytes }
  }

  /** One tensor. Throws as `spec` does, and `FormatError` where the file has become shorter. */
  async read(name: string): Promise<StoredTensor> {
    const all = await this.readAll([name])
    return all[name] as StoredTensor
  }

  /** Several tensors, by name: checked first, then read, neighbours together. */
  async readAll(names: Iterable<string>): Promise<Record<string, StoredTensor>> {
    const parts = new Map<OpenFile, Part[]>(this.files.map((file) => [file, []]))
    const tensors = [...new Set(names)]
      .map((name) => ({ name, ...this.place('read', name) }))
      .map(({ name, file, entry, dtype }) => {
        const data = arrayFor(file.path, `'${clip(name)}'`, dtype, entry.bytes)
        parts.get(file)?.push({ position: entry.position, memory: data })
        return [name, { data, shape: entry.shape, dtype }] as const
      })
    for (const [file, list] of parts) await readParts(file.handle, file.path, list)
    return Object.fromEntries(tensors)
  }

  /**
   * `count` rows along the first axis from row `start` on, and nothing else. Throws as `read` does, and `ArgumentError` for
   * rows that the tensor does not have.
   */
  async readRows(name: string, start: number, count: number): Promise<StoredTensor> {
    const { file, entry, dtype } = this.place('readRows', name)
    const [rows = 0, ...rest] = entry.shape
    if (!(Number.isInteger(start) && Number.isInteger(count) && start >= 0 && count >= 0 && start + count <= rows))
      throw new ArgumentError(
        `readRows: '${clip(name)}' has ${rows} rows, and none from ${start} up to ${start + count}`,
      )
    const bytes = rows === 0 ? 0 : entry.bytes / rows
    const data = arrayFor(file.path, `'${clip(name)}'`, dtype, bytes * count)
    await readParts(file.handle, file.path, [{ position: entry.position + bytes * start, memory: data }])
    return { data, shape: [count, ...rest], dtype }
  }

  async close(): Promise<void> {
    await closeAll(this.files)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

/**
 * Opens a safetensors file, an index of shards (`*.safetensors.index.json`), or a folder that holds
 * `model.safetensors.index.json` or `model.safetensors`. Reads and checks the headers only; close it when done.
 * Throws `FormatError` for files that are not what they should be, and system errors as Node gives them.
 *
 * @example
 * await using file = await openSafetensors('model.safetensors')
 * const { data, shape, dtype } = await file.read('wte.weight')
 */
export async function openSafetensors(path: string): Promise<SafetensorsFile> {
  const target = await resolve('openSafetensors', path)
  if (target.endsWith(INDEX_SUFFIX)) {
    const [places, files] = await openShards(target)
    const metadata = Object.assign({}, ...files.map((file) => file.header.metadata)) as Record<string, string>
    return new SafetensorsFile(target, metadata, places, files)
  }
  const file = await openFile(target)
  const places = new Map([...file.header.entries].map(([name, entry]) => [name, { file, entry }]))
  return new SafetensorsFile(target, file.header.metadata, places, [file])
}

export interface ReadOptions {
  /** Reads only the tensors whose name fits; default all. */
  readonly only?: Pattern
}

/**
 * The tensors of a file, shards or a folder (see `openSafetensors`), by name: what `loadStateDict` takes. Throws
 * `DTypeError` where one that is asked for has a dtype that heddle does not have.
 *
 * @example model.loadStateDict(await readSafetensors('gpt2/', { only: 'h.*' }), { strict: false })
 */
export async function readSafetensors(path: string, options: ReadOptions = {}): Promise<Record<string, StoredTensor>> {
  const { only } = options
  const fits = only === undefined ? () => true : matcher('readSafetensors', only)
  const file = await openSafetensors(path)
  try {
    return await file.readAll(file.names.filter(fits))
  } finally {
    await file.close()
  }
}
