// What a step takes of a batch: its tensors, counted, held for longer than the loader does, and cut along the first axis.
import { slice } from '../ops/view.js'
import { ArgumentError, ShapeError } from '../runtime/errors.js'
import { formatShape } from '../schema/shape.js'
import { Tensor } from '../tensor.js'

/** The fields of a batch that a step sees: all but lists of anything other than tensors, such as texts and names. */
export type TensorFields<B> = B extends readonly unknown[]
  ? B
  : {
      readonly [K in keyof B as B[K] extends readonly Tensor[] ? K : B[K] extends readonly unknown[] ? never : K]: B[K]
    }

const isPlain = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && [Object.prototype, null].includes(Object.getPrototypeOf(value))

/** Tensors and what holds tensors; everything else is left out. */
function onlyTensors(value: unknown, change: (tensor: Tensor) => Tensor): unknown {
  if (value instanceof Tensor) return change(value)
  if (Array.isArray(value)) {
    const items = value.map((item) => onlyTensors(item, change))
    return items.length > 0 && items.every((item) => item !== undefined) ? items : undefined
  }
  if (!isPlain(value)) return undefined
  const entries = Object.entries(value).map(([key, item]) => [key, onlyTensors(item, change)] as const)
  const kept = entries.filter(([, item]) => item !== undefined)
  return kept.length > 0 ? Object.fromEntries(kept) : undefined
}

/** The batch with `change` applied to its tensors and without what is none. Throws `ArgumentError` where there is none. */
function mapTensors(batch: object, change: (tensor: Tensor) => Tensor): object {
  const mapped = onlyTensors(batch, change)
  if (mapped !== undefined) return mapped as object
  throw new ArgumentError(
    'train: a batch holds no tensors; a step takes objects or lists of tensors, as DataLoader makes them',
  )
}

/** The tensors of a batch. Throws `ArgumentError` where there is none. */
export const tensorFields = <B extends object>(batch: B): TensorFields<B> =>
  mapTensors(batch, (tensor) => tensor) as TensorFields<B>

/** Handles of its own on the tensors of a batch, for `disposeBatch`. */
export const holdBatch = <B extends object>(batch: B): TensorFields<B> =>
  mapTensors(batch, (tensor) => new Tensor(tensor.value)) as TensorFields<B>

function* tensorsIn(value: unknown): Generator<Tensor> {
  if (value instanceof Tensor) yield value
  else if (Array.isArray(value) || isPlain(value)) for (const item of Object.values(value)) yield* tensorsIn(item)
}

/** The number of samples: the first extent of the first tensor that has one. Throws `ShapeError` where none has. */
export function samplesOf(batch: object): number {
  for (const { shape } of tensorsIn(batch)) if (shape[0] !== undefined) return shape[0]
  throw new ShapeError(
    'train: the tensors of a batch are all scalars; the first extent of the first tensor counts its samples',
  )
}

/** The samples from `start` up to `end`. Throws `ShapeError` where not all tensors have a row per sample. */
export function samplesBetween<F extends object>(fields: F, start: number, end: number): F {
  const samples = samplesOf(fields)
  return mapTensors(fields, (tensor) => {
    if (tensor.shape[0] === samples) return slice(tensor, [start, end])
    throw new ShapeError(
      `train: a batch of ${samples} samples is to be cut into smaller ones, and one of its tensors is ${formatShape(tensor.shape)}; give each a row per sample`,
    )
  }) as F
}
