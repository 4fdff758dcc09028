// Writing safetensors: one file, or shards with their index last; what was there before stands until all of it is written.
import { randomBytes } from 'node:crypto'
import { access, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { ArgumentError, FormatError } from '../runtime/errors.js'
import { describe } from '../schema/describe.js'
import { bytesOf } from '../schema/dtype.js'
import type { StateDict } from '../state.js'
import { type Contents, contentsOf } from './contents.js'
import { replaceFile, syncFolder } from './durable.js'
import { clip, isRecord } from './json.js'
import { MOST_HEADER_BYTES, renderHeader } from './safetensorsHeader.js'
import { INDEX_SUFFIX, readIndex, renderIndex } from './shardIndex.js'

const SUFFIX = '.safetensors'

export interface WriteOptions {
  /** Texts that the file says about itself, e.g. `{ format: 'pt' }`. */
  readonly metadata?: Readonly<Record<string, string>>
  /**
   * Bytes of tensors in one file; where all together have more, files `*-00001-of-00003.safetensors` and
   * `*.safetensors.index.json` are written in place of the one. A tensor is never split. Default: one file.
   */
  readonly maxShardBytes?: number
}

/** Lone surrogates would all become the same character. */
function checkText(op: string, what: string, text: string): void {
  if (/\p{Surrogate}/u.test(text)) throw new ArgumentError(`${op}: ${what} '${clip(text)}' is not well-formed Unicode`)
}

/** The contents of a state dict, checked. The widest elements come first, so that every tensor is aligned to its own. */
export function contentsOfAll(op: string, tensors: StateDict): Contents[] {
  if (!isRecord(tensors))
    throw new ArgumentError(`${op}: it takes an object of tensors by name, not ${describe(tensors)}`)
  const contents = Object.entries(tensors).map(([name, state]) => {
    checkText(op, 'the name', name)
    if (name === '__metadata__')
      throw new ArgumentError(`${op}: no tensor can be called '__metadata__' in a safetensors file`)
    return contentsOf(op, name, state)
  })
  return contents.sort((a, b) => bytesOf(b.dtype) - bytesOf(a.dtype))
}

function checkMetadata(op: string, metadata: unknown): Readonly<Record<string, string>> {
  if (!isRecord(metadata)) throw new ArgumentError(`${op}: metadata is an object of strings, not ${describe(metadata)}`)
  for (const [key, text] of Object.entries(metadata)) {
    if (typeof text !== 'string')
      throw new ArgumentError(`${op}: metadata holds strings only, and '${key}' is ${describe(text)}`)
    checkText(op, 'the metadata', key + text)
  }
  return metadata as Readonly<Record<string, string>>
}

/** A whole file, chunk by chunk. */
export function* fileChunks(
  op: string,
  contents: readonly Contents[],
  metadata: Readonly<Record<string, string>>,
): Generator<Uint8Array> {
  const header = renderHeader(contents, metadata)
  if (header.length - 8 > MOST_HEADER_BYTES)
    throw new ArgumentError(
      `${op}: names and metadata take ${header.length} bytes; a header has at most ${MOST_HEADER_BYTES}`,
    )
  yield header
  for (const { chunks } of contents) yield* chunks()
}

/** As many tensors to a shard as fit, in their order. */
function shardsOf(contents: readonly Contents[], most: number): Contents[][] {
  const shards: Contents[][] = []
  let room = -1
  for (const one of contents) {
    if (room < one.bytes) {
      shards.push([])
      room = most
    }
    shards.at(-1)?.push(one)
    room -= one.bytes
  }
  return shards
}

/** The files that the index at `path` needs: none where there is no index. */
async function shardsInUse(path: string): Promise<ReadonlySet<string>> {
  try {
    await access(path)
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return new Set()
    throw error
  }
  return new Set((await readIndex(path)).keys())
}

/**
 * Writes tensors to `path`, which ends in `.safetensors`. f16 and bf16 are stored in 16 bits; Float32Arrays of them are
 * rounded, which changes nothing where they came from such tensors. Whenever the process or the machine stops, `path` is
 * what it was before, or all of the new. Throws `ArgumentError` before anything is written, and system errors (no space,
 * no permission) as Node gives them, after the unfinished files are removed.
 *
 * @example await writeSafetensors('model.safetensors', await model.stateDict({ bits: true }))
 */
export async function writeSafetensors(path: string, tensors: StateDict, options: WriteOptions = {}): Promise<void> {
  const op = 'writeSafetensors'
  if (typeof path !== 'string' || !path.endsWith(SUFFIX))
    throw new ArgumentError(`${op}: the path must end in ${SUFFIX}, not ${describe(path)}`)
  const { maxShardBytes = Number.POSITIVE_INFINITY } = options
  if (!(typeof maxShardBytes === 'number' && maxShardBytes > 0))
    throw new ArgumentError(`${op}: maxShardBytes must be above 0, not ${describe(maxShardBytes)}`)
  const metadata = checkMetadata(op, options.metadata ?? {})
  const contents = contentsOfAll(op, tensors)
  const shards = shardsOf(contents, maxShardBytes)
  const index = path + INDEX_SUFFIX
  // What an index that can not be read needs is not known, and left alone.
  const inUse = await shardsInUse(index).catch((error: unknown) => {
    if (error instanceof FormatError) return undefined
    throw error
  })
  const ours = [...(inUse ?? [])].filter((shard) => shard.endsWith(SUFFIX))
  if (shards.length <= 1) {
    await replaceFile(path, fileChunks(op, contents, metadata))
    const old = ours.filter((shard) => shard !== basename(path)).map((shard) => join(dirname(path), shard))
    if (inUse?.size !== 0) await remove([index, ...old], path)
    return
  }
  // Shards that an index needs are never overwritten: the new ones then have a name of their own.
  const mark = inUse?.size === 0 ? '' : `-${randomBytes(4).toString('hex')}`
  const stem = basename(path, SUFFIX)
  const number = (n: number): string => String(n).padStart(5, '0')
  const names = shards.map((_, i) => `${stem}-${number(i + 1)}-of-${number(shards.length)}${mark}${SUFFIX}`)
  const paths = names.map((name) => join(dirname(path), name))
  let begun = 0
  try {
    for (const shard of shards) await replaceFile(paths[begun++] as string, fileChunks(op, shard, metadata))
    const map = new Map(shards.map((shard, i) => [names[i] as string, shard.map(({ name }) => name)]))
    const total = contents.reduce((sum, { bytes }) => sum + bytes, 0)
    await replaceFile(index, [renderIndex(map, total)])
  } catch (error) {
    await removeUnused(index, paths.slice(0, begun)).catch(() => undefined)
    throw error
  }
  await remove([path, ...ours.map((shard) => join(dirname(path), shard))], path)
}

/** Removes new shards after a failure, which may have come when their index was already in place. */
async function removeUnused(index: string, paths: readonly string[]): Promise<void> {
  const inUse = await shardsInUse(index)
  for (const path of paths) if (!inUse.has(basename(path))) await rm(path, { force: true })
}

/** Removes files that nothing leads to any more. */
async function remove(paths: readonly string[], beside: string): Promise<void> {
  for (const old of paths) await rm(old, { force: true })
  await syncFolder(dirname(beside))
}
