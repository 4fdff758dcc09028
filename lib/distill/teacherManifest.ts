// What a folder of cached outputs says of itself: of which teacher and data they are, and in which files.
import { join } from 'node:path'
import { replaceFile } from '../io/durable.js'
import { isRecord, parseJson } from '../io/json.js'
import { readText } from '../io/shardIndex.js'
import { TeacherCacheError } from '../runtime/errors.js'
import { type DType, isDType } from '../schema/dtype.js'
import type { Shape } from '../schema/shape.js'

/** One tensor of a sample's outputs. */
export interface CachedOutput {
  readonly name: string
  /** Of one sample. */
  readonly shape: Shape
  readonly dtype: DType
}

export interface CacheManifest {
  readonly version: 1
  readonly samples: number
  /** Fingerprints. */
  readonly teacher: string
  readonly data: string
  readonly forward: string
  readonly outputs: readonly CachedOutput[]
  /** Samples that are on disk, from the first on. */
  readonly done: number
  readonly shards: readonly { readonly file: string; readonly count: number }[]
}

const MOST_BYTES = 16_000_000

export const manifestPath = (folder: string): string => join(folder, 'teacher.json')

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0

const isOutput = (value: unknown): value is CachedOutput =>
  isRecord(value) &&
  typeof value['name'] === 'string' &&
  isDType(value['dtype']) &&
  Array.isArray(value['shape']) &&
  value['shape'].every(isCount)

const isShard = (value: unknown): boolean =>
  isRecord(value) && /^teacher-\d+\.safetensors$/.test(String(value['file'])) && isCount(value['count'])

/** The manifest of a folder; undefined where there is none. Throws `TeacherCacheError` for what is none. */
export async function readManifest(folder: string): Promise<CacheManifest | undefined> {
  const file = manifestPath(folder)
  const fail = (what: string): TeacherCacheError =>
    new TeacherCacheError(`cacheTeacher: ${file}: ${what}; remove the folder and cache again`)
  const text = await readText(file, MOST_BYTES).catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  })
  if (text === undefined) return undefined
  const found = parseJson(text, 16, fail)
  if (!isRecord(found) || found['version'] !== 1) throw fail('it is no cache that this version can read')
  const { samples, done, outputs, shards } = found
  const texts = [found['teacher'], found['data'], found['forward']].every((value) => typeof value === 'string')
  const lists = Array.isArray(outputs) && outputs.every(isOutput) && Array.isArray(shards) && shards.every(isShard)
  if (!texts || !lists || !isCount(samples) || !isCount(done)) throw fail('it is damaged')
  const counted = (shards as CacheManifest['shards']).reduce((sum, { count }) => sum + count, 0)
  if (counted !== done || done > samples) throw fail('its files do not add up to its samples')
  return found as unknown as CacheManifest
}

export const writeManifest = (folder: string, manifest: CacheManifest): Promise<void> =>
  replaceFile(manifestPath(folder), [new TextEncoder().encode(`${JSON.stringify(manifest, null, 2)}\n`)])
