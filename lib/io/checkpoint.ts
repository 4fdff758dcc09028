// A checkpoint: one folder with a safetensors file per group and checkpoint.json, put in place by one rename.
import { mkdir, readdir, rename, rm, stat } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { basename, dirname, join, resolve } from 'node:path'
import { ArgumentError, CheckpointError, FormatError, HeddleError } from '../runtime/errors.js'
import { describe } from '../schema/describe.js'
import type { StateDict } from '../state.js'
import {
  isGroupName,
  type Json,
  lostInJson,
  MANIFEST,
  type Manifest,
  type Metrics,
  parseManifest,
  renderManifest,
} from './checkpointManifest.js'
import { type Digest, digestOfFile, syncFolder, writeDurably } from './durable.js'
import { isRecord } from './json.js'
import { leftoverName } from './leftovers.js'
import { openToRead } from './positioned.js'
import { openSafetensors, type StoredTensor } from './safetensors.js'
import { contentsOfAll, fileChunks } from './safetensorsWrite.js'
import { readText } from './shardIndex.js'

/** Bytes checkpoint.json may have. */
const MOST_MANIFEST_BYTES = 100_000_000

/** What a checkpoint is made of. */
export interface CheckpointContent {
  /** State dicts by group: `model`, `optimizer`, `ema`, `random`, ...; letters, digits, `_`, `-` and `.`. */
  readonly tensors: Readonly<Record<string, StateDict>>
  /** Anything else: schedule, scaler, position in the data. */
  readonly json?: Json
}

/** A checkpoint without its tensors. */
export interface CheckpointInfo {
  readonly path: string
  readonly step: number
  readonly metrics: Metrics
  readonly savedAt: Date
}

export interface Checkpoint extends CheckpointInfo {
  readonly tensors: Readonly<Record<string, Record<string, StoredTensor>>>
  readonly json: Json
  /** The version of heddle that saved it. */
  readonly heddle: string
}

export interface SaveOptions {
  /** Default 0. */
  readonly step?: number
  readonly metrics?: Metrics
}

export interface LoadOptions {
  /** Reads every file once more to compare its hash; sizes are always compared. Default true. */
  readonly verify?: boolean
}

/** @internal */
export function checkStep(op: string, step: unknown): number {
  if (Number.isSafeInteger(step) && (step as number) >= 0) return step as number
  throw new ArgumentError(`${op}: the step must be an integer from 0 up, not ${describe(step)}`)
}

function checkMetrics(op: string, metrics: unknown): Metrics {
  if (!isRecord(metrics)) throw new ArgumentError(`${op}: metrics are an object of numbers, not ${describe(metrics)}`)
  for (const [name, metric] of Object.entries(metrics))
    if (typeof metric !== 'number')
      throw new ArgumentError(`${op}: the metric '${name}' is ${describe(metric)}, no number`)
  return metrics as Metrics
}

/** The files of a checkpoint as chunks, everything checked before the first is written. */
function checkedFiles(op: string, content: CheckpointContent): [string, () => Iterable<Uint8Array>][] {
  if (!isRecord(content) || !isRecord(content.tensors))
    throw new ArgumentError(
      `${op}: it takes { tensors, json }, tensors being state dicts by group, not ${describe(content)}`,
    )
  const lost = lostInJson(content.json ?? null, 'json')
  if (lost) throw new ArgumentError(`${op}: ${lost}`)
  return Object.entries(content.tensors).map(([group, state]) => {
    if (!isGroupName(group))
      throw new ArgumentError(`${op}: '${group}' is no group's name; take letters, digits, '_', '-' and '.'`)
    const contents = contentsOfAll(op, state)
    return [`${group}.safetensors`, () => fileChunks(op, contents, { group })]
  })
}

const heddleVersion = (): string =>
  (createRequire(import.meta.url)('heddle/package.json') as { readonly version: string }).version

/** Writes what `content` has into the new folder `temporary`; all of it is on the disk when the promise resolves. */
async function writeFolder(
  op: string,
  temporary: string,
  content: CheckpointContent,
  saved: Pick<Manifest, 'step' | 'metrics' | 'sequence'>,
): Promise<Manifest> {
  const files = checkedFiles(op, content)
  await mkdir(temporary)
  const digests: [string, Digest][] = []
  for (const [name, chunks] of files) {
    digests.push([name, (await writeDurably(join(temporary, name), chunks(), true)) as Digest])
  }
  const manifest: Manifest = {
    heddle: heddleVersion(),
    ...saved,
    savedAt: Date.now(),
    json: content.json ?? null,
    files: Object.fromEntries(digests),
  }
  await writeDurably(join(temporary, MANIFEST), [await renderManifest(manifest)], false)
  await syncFolder(temporary)
  return manifest
}

/**
 * Saves a checkpoint as the folder `folder`, which must not be there yet. It appears by one rename when all of it is on
 * the disk; whenever the process or the machine stops, it is whole or not there. Throws `ArgumentError` before anything is
 * written, and `CheckpointError`, with the system's error as its cause, where the disk is full or fails; what was written
 * is then removed. The arrays must stay as they are until the promise resolves.
 */
export async function saveCheckpoint(
  folder: string,
  content: CheckpointContent,
  options: SaveOptions = {},
): Promise<void> {
  await commitCheckpoint('saveCheckpoint', folder, content, options, 0)
}

/** @internal `saveCheckpoint` for the save `sequence` of a store. */
export async function commitCheckpoint(
  op: string,
  folder: string,
  content: CheckpointContent,
  options: SaveOptions,
  sequence: number,
): Promise<Manifest> {
  if (typeof folder !== 'string' || folder === '')
    throw new ArgumentError(`${op}: the folder must be a path, not ${describe(folder)}`)
  const step = checkStep(op, options.step ?? 0)
  const metrics = checkMetrics(op, options.metrics ?? {})
  const target = resolve(folder)
  let temporary: string | undefined
  try {
    await refuseExisting(op, target)
    temporary = await leftoverName(dirname(target), basename(target))
    const manifest = await writeFolder(op, temporary, content, { step, metrics, sequence })
    await rename(temporary, target)
    temporary = undefined
    await syncFolder(dirname(target))
    return manifest
  } catch (error) {
    if (temporary) await rm(temporary, { recursive: true, force: true }).catch(() => undefined)
    if (error instanceof HeddleError) throw error
    throw new CheckpointError(`${op}: ${folder} could not be saved: ${messageOf(error)}`, { cause: error })
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

async function refuseExisting(op: string, target: string): Promise<void> {
  const found = await stat(target).catch(() => undefined)
  if (!found || (found.isDirectory() && (await readdir(target)).length === 0)) return
  throw new CheckpointError(`${op}: ${target} is there already; a CheckpointStore keeps several and replaces old ones`)
}

/** @internal What checkpoint.json of a folder says. */
export async function readManifest(folder: string): Promise<Manifest> {
  const path = join(folder, MANIFEST)
  return parseManifest(path, await readText(path, MOST_MANIFEST_BYTES))
}

/** Compares a file with what it was when it was saved. */
async function checkFile(path: string, expected: Digest, verify: boolean): Promise<void> {
  const handle = await openToRead(path)
  try {
    const { size } = await handle.stat()
    if (size !== expected.bytes)
      throw new CheckpointError(`${path}: it has ${size} bytes, and was saved with ${expected.bytes}: it is damaged`)
    if (verify && (await digestOfFile(handle, path, size)).sha256 !== expected.sha256)
      throw new CheckpointError(`${path}: its contents are not what was saved: it is damaged`)
  } finally {
    await handle.close()
  }
}

/** @internal Compares sizes, and hashes where asked, of all files with what was saved. Throws `CheckpointError`. */
export async function checkFiles(folder: string, { files }: Manifest, verify: boolean): Promise<void> {
  for (const [name, digest] of Object.entries(files)) await checkFile(join(folder, name), digest, verify)
}

/**
 * Reads a checkpoint. Sizes and hashes of all files are compared before a tensor is read. Throws `CheckpointError` for
 * one that is damaged, with the cause where another error found it.
 */
export async function loadCheckpoint(folder: string, options: LoadOptions = {}): Promise<Checkpoint> {
  if (typeof folder !== 'string')
    throw new ArgumentError(`loadCheckpoint: the folder must be a path, not ${describe(folder)}`)
  try {
    const manifest = await readManifest(folder)
    await checkFiles(folder, manifest, options.verify ?? true)
    const tensors: [string, Record<string, StoredTensor>][] = []
    for (const name of Object.keys(manifest.files)) {
      await using file = await openSafetensors(join(folder, name))
      tensors.push([name.slice(0, -'.safetensors'.length), await file.readAll(file.names)])
    }
    return {
      ...infoOf(folder, manifest),
      tensors: Object.fromEntries(tensors),
      json: manifest.json,
      heddle: manifest.heddle,
    }
  } catch (error) {
    if (error instanceof HeddleError && !(error instanceof FormatError)) throw error
    throw new CheckpointError(`loadCheckpoint: ${folder} can not be read: ${messageOf(error)}`, { cause: error })
  }
}

/** @internal */
export const infoOf = (path: string, { step, metrics, savedAt }: Manifest): CheckpointInfo => ({
  path,
  step,
  metrics,
  savedAt: new Date(savedAt),
})
