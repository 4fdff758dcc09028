// The index of a sharded safetensors checkpoint: which file holds which tensor.
import { FormatError } from '../runtime/errors.js'
import { clip, isRecord, parseJson } from './json.js'
import { openToRead } from './positioned.js'

/** Bytes an index may have. */
const MOST_BYTES = 100_000_000

export const INDEX_SUFFIX = '.index.json'

/** The whole of a small file. Throws `FormatError` where it has more than `most` bytes or is not UTF-8. */
export async function readText(path: string, most: number): Promise<string> {
  const handle = await openToRead(path)
  try {
    const { size } = await handle.stat()
    if (size > most) throw new FormatError(`${path}: ${size} bytes are more than the ${most} that are allowed`, path, 0)
    const bytes = await handle.readFile()
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (error) {
    if (error instanceof TypeError) throw new FormatError(`${path}: it is not UTF-8`, path, 0, { cause: error })
    throw error
  } finally {
    await handle.close()
  }
}

/** Names of tensors by the name of their file, which lies beside the index. */
export async function readIndex(path: string): Promise<ReadonlyMap<string, readonly string[]>> {
  const fail = (what: string, position: number | string = 0): FormatError =>
    new FormatError(`${path}: ${what}`, path, position)
  const parsed = parseJson(await readText(path, MOST_BYTES), 8, fail)
  const map = isRecord(parsed) ? parsed['weight_map'] : undefined
  if (!isRecord(map)) throw fail('it has no weight_map of file names by tensor names')
  const shards = new Map<string, string[]>()
  for (const [name, shard] of Object.entries(map)) {
    // A name of a file beside the index: nothing that leads elsewhere.
    if (typeof shard !== 'string' || !/^[^/\\\0]+$/.test(shard) || shard === '.' || shard === '..')
      throw fail(
        `'${clip(name)}' should be in ${clip(JSON.stringify(shard))}, which is no name of a file beside it`,
        clip(name),
      )
    const names = shards.get(shard)
    if (names) names.push(name)
    else shards.set(shard, [name])
  }
  return shards
}

/** An index of these shards. */
export function renderIndex(shards: ReadonlyMap<string, readonly string[]>, totalBytes: number): Uint8Array {
  const map = Object.fromEntries([...shards].flatMap(([shard, names]) => names.map((name) => [name, shard])))
  return new TextEncoder().encode(
    `${JSON.stringify({ metadata: { total_size: totalBytes }, weight_map: map }, null, 2)}\n`,
  )
}
