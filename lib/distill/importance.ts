// How much each element of a model's parameters counts: its size, or what the loss would change without it.
import { Cell, type Parameter } from '../cell.js'
import { compile } from '../compile.js'
import { Module } from '../nn/module.js'
import { integerFrom, optionsOf } from '../ops/arguments.js'
import { zeros } from '../ops/create.js'
import { add, cast, mul } from '../ops/element.js'
import { grad } from '../ops/gradient.js'
import { ArgumentError } from '../runtime/errors.js'
import { type TensorFields, tensorFields } from '../train/batch.js'
import { type Objective, outcomeOf } from '../train/objective.js'

/** A number from 0 up for every element of each parameter, by the parameter's name. */
export type Scores = Readonly<Record<string, Float32Array | Float64Array>>

/** The absolute value of every element (L1 norm, where they are added up). */
export async function magnitudeScores(model: Module): Promise<Scores> {
  const state = await model.stateDict()
  const entries = model.namedParameters().map(([name]) => {
    const data = state[name]?.data as Float32Array
    return [name, data.map(Math.abs)] as const
  })
  return Object.fromEntries(entries)
}

export interface TaylorOptions<M extends Module, B extends object> {
  /** As in `train`. */
  readonly loss: Objective<M, B>
  /** Batches that are looked at. Default 16. */
  readonly batches?: number
}

/**
 * The first-order Taylor score of every element, (gradient * weight)^2, the mean over batches (Molchanov et al. 2019, equation 8):
 * about the square of what the loss changes where the element is 0. The model is in `eval` mode meanwhile.
 */
export async function taylorScores<M extends Module, B extends object>(
  model: M,
  data: AsyncIterable<B>,
  options: TaylorOptions<M, B>,
): Promise<Scores> {
  const op = 'taylorScores'
  const { loss, batches = 16 } = optionsOf(op, options)
  integerFrom(op, 'batches', batches, 1)
  if (!(model instanceof Module)) throw new ArgumentError(`${op}: it takes a module`)
  const named = model.namedParameters({ trainable: true })
  const sums = new Map<Parameter, Cell>(
    named.map(([name, parameter]) => [
      parameter,
      new Cell(zeros(parameter.shape, { dtype: 'f32' }), { name: `score of ${name}` }),
    ]),
  )
  const look = compile(
    (batch: TensorFields<B>): [] => {
      const gradients = grad(outcomeOf(loss(model, batch)).loss, sums.keys(), { missing: 'zero' })
      for (const [parameter, sum] of sums) {
        const change = mul(cast(gradients.get(parameter), 'f32'), cast(parameter, 'f32'))
        sum.assign(add(sum, mul(change, change)))
      }
      return []
    },
    { name: 'scores' },
  )
  const { training } = model
  model.eval()
  try {
    let seen = 0
    for await (const batch of data) {
      await look(tensorFields<B>(batch))
      if (++seen === batches) break
    }
    if (seen === 0) throw new ArgumentError(`${op}: the data gave no batch`)
    const scores = named.map(async ([name, parameter]) => {
      const total = (await (sums.get(parameter) as Cell).data()) as Float32Array
      return [name, total.map((x) => x / seen)] as const
    })
    return Object.fromEntries(await Promise.all(scores))
  } finally {
    model.train(training)
    for (const sum of sums.values()) sum.dispose()
  }
}

/** The sums of scores along one axis of a parameter of the given shape, added to `totals`. */
export function addAlong(
  totals: Float64Array,
  scores: ArrayLike<number>,
  shape: readonly number[],
  axis: number,
): void {
  const extent = shape[axis] as number
  const inner = shape.slice(axis + 1).reduce((a, b) => a * b, 1)
  for (let i = 0; i < scores.length; i++) {
    const place = Math.floor(i / inner) % extent
    totals[place] = (totals[place] as number) + (scores[i] as number)
  }
}

/** The places of the `count` largest, in order; of equal ones the first. */
export function largest(totals: ArrayLike<number>, count: number): number[] {
  const order = Array.from({ length: totals.length }, (_, i) => i)
  order.sort((a, b) => (totals[b] as number) - (totals[a] as number) || a - b)
  return order.slice(0, count).sort((a, b) => a - b)
}
