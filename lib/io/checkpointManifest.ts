// checkpoint.json: what a checkpoint's folder holds, with sizes and hashes, and a hash over itself.
import { CheckpointError } from '../runtime/errors.js'
import { describe } from '../schema/describe.js'
import { type Digest, digestOf } from './durable.js'
import { clip, isRecord, parseJson } from './json.js'

export const MANIFEST = 'checkpoint.json'

const FORMAT = 'heddle-checkpoint'
const VERSION = 1
/** How deep checkpoint.json, and the values in it, may be nested. */
const DEPTH = 64

/** Anything JSON can hold. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json | undefined }

/** What was measured when the checkpoint was saved; NaN and infinities are kept. */
export type Metrics = Readonly<Record<string, number>>

export interface Manifest {
  readonly heddle: string
  readonly step: number
  /** Which save of its store it is, from 1 up; 0 outside a store. */
  readonly sequence: number
  readonly metrics: Metrics
  /** Milliseconds since 1970. */
  readonly savedAt: number
  readonly json: Json
  /** Size and hash by the name of the file. */
  readonly files: Readonly<Record<string, Digest>>
}

/** A group's name: that of a file without its ending. */
export const isGroupName = (name: string): boolean => /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}$/.test(name)

/** Says where a value holds something that JSON would lose; undefined where it does not. */
export function lostInJson(value: unknown, path: string, depth = 1): string | undefined {
  if (value === null || typeof value === 'boolean' || typeof value === 'string') return undefined
  if (typeof value === 'number' && Number.isFinite(value)) return undefined
  const plain = Array.isArray(value) || Object.getPrototypeOf(Object(value)) === Object.prototype
  if (typeof value !== 'object' || !plain) return `${path} is ${describe(value)}, which JSON can not hold`
  if (depth > DEPTH - 4) return `${path} is nested too deep`
  for (const [key, inner] of Object.entries(value)) {
    if (inner === undefined && !Array.isArray(value)) continue
    const lost = lostInJson(inner, `${path}.${key}`, depth + 1)
    if (lost) return lost
  }
  return undefined
}

/** JSON has no NaN and no infinity: they are kept as the strings of that name. */
const metricToJson = (metric: number): number | string => (Number.isFinite(metric) ? metric : String(metric))

function metricsFromJson(value: unknown): Metrics | undefined {
  if (!isRecord(value)) return undefined
  const metrics = Object.entries(value).map(([name, metric]) => {
    const isWord = metric === 'NaN' || metric === 'Infinity' || metric === '-Infinity'
    return [name, typeof metric === 'number' || isWord ? Number(metric) : undefined] as const
  })
  return metrics.every(([, metric]) => metric !== undefined)
    ? (Object.fromEntries(metrics) as Record<string, number>)
    : undefined
}

const hashOf = async (body: unknown): Promise<string> =>
  (await digestOf(new TextEncoder().encode(JSON.stringify(body)))).sha256

/** The bytes of checkpoint.json. */
export async function renderManifest(manifest: Manifest): Promise<Uint8Array> {
  const metrics = Object.fromEntries(Object.entries(manifest.metrics).map(([name, m]) => [name, metricToJson(m)]))
  const body = { ...manifest, metrics }
  const whole = { format: FORMAT, version: VERSION, sha256: await hashOf(body), checkpoint: body }
  return new TextEncoder().encode(`${JSON.stringify(whole, null, 2)}\n`)
}

function filesFromJson(value: unknown): Manifest['files'] | undefined {
  if (!isRecord(value)) return undefined
  const good = Object.entries(value).every(
    ([name, digest]) =>
      name.endsWith('.safetensors') &&
      isGroupName(name.slice(0, -'.safetensors'.length)) &&
      isRecord(digest) &&
      Number.isSafeInteger(digest['bytes']) &&
      typeof digest['sha256'] === 'string',
  )
  return good ? (value as unknown as Manifest['files']) : undefined
}

/** Reads checkpoint.json. Throws `CheckpointError` unless it is whole, and of a version that this heddle knows. */
export async function parseManifest(path: string, text: string): Promise<Manifest> {
  const fail = (what: string): CheckpointError => new CheckpointError(`${path}: ${what}`)
  const parsed = parseJson(text, DEPTH, fail)
  if (!isRecord(parsed) || parsed['format'] !== FORMAT) throw fail('it is not the description of a checkpoint')
  if (parsed['version'] !== VERSION)
    throw fail(
      `it is of version ${clip(JSON.stringify(parsed['version']) ?? 'none')}, and this heddle reads version ${VERSION}`,
    )
  const body = parsed['checkpoint']
  if (!isRecord(body)) throw fail('it describes no checkpoint')
  if ((await hashOf(body)) !== parsed['sha256']) throw fail('it is damaged: its hash is another one')
  const { heddle, step, sequence, savedAt, json } = body
  const metrics = metricsFromJson(body['metrics'])
  const files = filesFromJson(body['files'])
  const counted = Number.isSafeInteger(step) && Number.isSafeInteger(sequence)
  if (typeof heddle !== 'string' || !counted || typeof savedAt !== 'number' || !metrics || !files)
    throw fail('it lacks step, sequence, metrics, files, heddle or savedAt, or one of them is not what it should be')
  return {
    heddle,
    step: step as number,
    sequence: sequence as number,
    metrics,
    savedAt,
    json: (json ?? null) as Json,
    files,
  }
}
