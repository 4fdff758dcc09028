// What a model gives for a batch, and how it's split into a result per request.
import { ArgumentError, ShapeError } from '../runtime/errors.js'
import { describe } from '../schema/describe.js'
import type { DType } from '../schema/dtype.js'
import type { Elements } from '../schema/elements.js'
import { formatShape, type Shape, sizeOf } from '../schema/shape.js'
import { Tensor } from '../tensor.js'

/** A tensor whose first axis is the batch, or several by name. */
export type Outputs = Tensor | Readonly<Record<string, Tensor>>

/** One request's part of a tensor, without the batch axis. */
export interface Row<D extends DType = DType> {
  readonly data: Elements<D>
  readonly shape: Shape
  readonly dtype: D
}

/** What a request gets, by what the model gives. */
export type RowsOf<R extends Outputs> =
  R extends Tensor<infer D> ? Row<D> : { readonly [K in keyof R]: R[K] extends Tensor<infer D> ? Row<D> : never }

/** Throws unless every output has a row for each sample of the batch. */
export function checkOutputs(owner: string, outputs: Outputs, size: number): void {
  for (const [name, tensor] of entriesOf(owner, outputs)) {
    if (tensor.shape[0] === size) continue
    throw new ShapeError(
      `${owner}: ${name === '' ? 'the output' : `the output '${name}'`} has shape ${formatShape(tensor.shape)}; its first axis must be the batch of ${size}`,
    )
  }
}

function entriesOf(owner: string, outputs: Outputs): (readonly [string, Tensor])[] {
  if (outputs instanceof Tensor) return [['', outputs]]
  const entries = outputs !== null && typeof outputs === 'object' ? Object.entries(outputs) : []
  if (entries.length > 0 && entries.every(([, tensor]) => tensor instanceof Tensor)) return entries
  throw new ArgumentError(`${owner}: the model must give a tensor or an object of tensors, not ${describe(outputs)}`)
}

/** Waits for a batch's outputs and gives the first `count` rows; the outputs are disposed. */
export async function readRows<R extends Outputs>(owner: string, outputs: R, count: number): Promise<RowsOf<R>[]> {
  const entries = entriesOf(owner, outputs)
  try {
    const read = await Promise.all(
      entries.map(async ([name, tensor]) => {
        const { dtype } = tensor
        const shape = tensor.shape.slice(1)
        return { name, dtype, shape, length: sizeOf(shape), data: await tensor.data() }
      }),
    )
    return Array.from({ length: count }, (_, row) => {
      // Copies, so that one row that is kept does not keep the whole batch.
      const rows = read.map(({ name, dtype, shape, length, data }) => [
        name,
        { data: data.slice(row * length, (row + 1) * length), shape, dtype },
      ])
      return (outputs instanceof Tensor ? rows[0]?.[1] : Object.fromEntries(rows)) as RowsOf<R>
    })
  } finally {
    for (const [, tensor] of entries) tensor.dispose()
  }
}
