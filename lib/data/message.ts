// What the loader and its worker threads tell each other.
import { DataError, type DataErrorCode, type DataPlace } from '../runtime/errors.js'
import type { CollateRules, HostBatch } from './collate.js'
import type { ModuleSource } from './module.js'
import { type EpochPlace, isFields, isHostArray } from './sample.js'

/** What a worker is started with. */
export interface WorkerSetup {
  readonly source: ModuleSource
  readonly rules: CollateRules
  /** Two words of shared memory: the batch in the making (-1 before the first), and the position of its sample. */
  readonly progress: Int32Array
}

/** A batch to make: indices in the loader's dataset, which name the samples, and in the module's. */
export interface WorkerTask extends EpochPlace {
  readonly batch: number
  readonly indices: Uint32Array
  readonly repeats: Uint32Array | undefined
  readonly origins: Uint32Array
}

/** An error as plain data: a class does not survive the way between threads. */
export interface PlainError {
  readonly message: string
  readonly stack: string | undefined
  readonly code: DataErrorCode
  readonly place: DataPlace
  readonly cause: string | undefined
}

export type WorkerReply =
  | { readonly kind: 'batch'; readonly batch: number; readonly made: HostBatch }
  | { readonly kind: 'failed'; readonly batch: number; readonly error: PlainError }
  | { readonly kind: 'unstarted'; readonly error: PlainError }

/** The place of an error without what is not known of it. */
export function placeOf(error: DataError): DataPlace {
  const { file, line, row, field, sample } = error
  return Object.fromEntries(
    Object.entries({ file, line, row, field, sample }).filter(([, known]) => known !== undefined),
  )
}

export function toPlain(error: unknown): PlainError {
  const known = error instanceof DataError
  const { message, stack, cause } = error instanceof Error ? error : new Error(String(error))
  return {
    message,
    stack,
    code: known ? error.code : 'sampleFailed',
    place: known ? placeOf(error) : {},
    cause: cause instanceof Error ? (cause.stack ?? cause.message) : undefined,
  }
}

export function fromPlain({ message, stack, code, place, cause }: PlainError): DataError {
  const original = new Error(cause ?? message)
  if (cause ?? stack) original.stack = (cause ?? stack) as string
  return new DataError(message, code, place, { cause: original })
}

/** The memory of a batch, each once. */
export function buffersOf(batch: HostBatch, found = new Set<ArrayBuffer>()): Set<ArrayBuffer> {
  for (const value of Object.values(batch)) {
    if (isHostArray(value)) {
      if (value.data.buffer instanceof ArrayBuffer) found.add(value.data.buffer)
    } else if (isFields(value)) buffersOf(value as HostBatch, found)
  }
  return found
}
