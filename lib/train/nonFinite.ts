// Where NaN and infinities come from: the first op of a loss and its gradients that gives one without having got one.

import type { Parameter } from '../cell.js'
import { type Node, reachable, type Value } from '../graph/node.js'
import { realize } from '../graph/realize.js'
import type { Module } from '../nn/module.js'
import { cast, isFinite, logicalNot } from '../ops/element.js'
import { grad } from '../ops/gradient.js'
import { defaultGenerator } from '../ops/random.js'
import { all, max, min, sum } from '../ops/reduce.js'
import { HeddleError } from '../runtime/errors.js'
import { isFloat } from '../schema/dtype.js'
import { formatShape } from '../schema/shape.js'
import { loadInto, readState } from '../state.js'
import { scope, Tensor } from '../tensor.js'
import { samplesBetween, samplesOf } from './batch.js'

/** A step's loss or gradients were not finite; says which op gave the first such value. */
export class NonFiniteError extends HeddleError {
  override readonly name = 'NonFiniteError'

  constructor(
    message: string,
    /** The step, counted from 1. */
    readonly step: number,
    /** The name of the op, where it was found. */
    readonly op: string | undefined,
  ) {
    super(message)
  }
}

/** The op that made the first value that is not finite, and a sentence about it. */
export interface Origin {
  readonly op: string
  readonly text: string
}

const isFloating = ({ dtype }: Value): boolean => isFloat(dtype)

/** Whether each value is finite everywhere, in one run. */
async function finiteOf(values: readonly Value[]): Promise<boolean[]> {
  const flags = values.map((value) => all(isFinite(new Tensor(value))))
  realize(flags.map((flag) => flag.value))
  return Promise.all(flags.map(async (flag) => (await flag.item()) as boolean))
}

async function describeValue(name: string, value: Value): Promise<string> {
  const x = new Tensor(value)
  const spec = `${name} ${value.dtype}${formatShape(value.shape)}`
  if (!isFloating(value) || x.size === 0) return spec
  const bad = Number(await sum(cast(logicalNot(isFinite(x)), 'i64')).item())
  if (bad > 0) return `${spec} with ${bad} of ${x.size} elements not finite`
  const [low, high] = (await Promise.all([min(x).item(), max(x).item()])).map((bound) => Number(bound))
  return `${spec} from ${low?.toPrecision(4)} to ${high?.toPrecision(4)}`
}

/**
 * Finds where a loss or its gradients stop being finite, by computing every value on the way. Undefined where all of them
 * are finite. `loss` is recorded outside a compiled function; the gradients are those of `parameters`, named by `names`.
 *
 * @example const origin = await nonFiniteOrigin(loss, model)
 */
export function nonFiniteOrigin(loss: Tensor, model: Module): Promise<Origin | undefined> {
  return scope(async () => {
    const named = model.namedParameters({ trainable: true })
    const forward = new Set(reachable([loss.value]))
    const gradients =
      named.length > 0
        ? [
            ...grad(
              loss,
              named.map(([, parameter]) => parameter),
            ),
          ]
        : []
    const nodes = reachable([loss.value, ...gradients.map(([, gradient]) => gradient.value)])
    const values = nodes.flatMap(({ outputs }) => outputs.filter(isFloating))
    const finite = new Map((await finiteOf(values)).map((flag, i) => [values[i] as Value, flag]))
    const good = (value: Value): boolean => finite.get(value) ?? true
    const culprit = nodes.find((node) => !node.outputs.every(good) && node.inputs.every(good))
    if (!culprit) return undefined
    const output = culprit.outputs.find((value) => !good(value)) as Value
    return describeOrigin(culprit, output, forward.has(culprit), new Map(named.map(([name, one]) => [one.state, name])))
  })
}

async function describeOrigin(
  node: Node,
  output: Value,
  isForward: boolean,
  names: ReadonlyMap<Parameter['state'], string>,
): Promise<Origin> {
  const nameOf = ({ node: { leaf, op } }: Value): string => {
    if (leaf?.kind === 'cell') return names.get(leaf.cell) ?? leaf.cell.label
    return leaf ? 'data' : `the result of ${op.name}`
  }
  const result = await describeValue('its result', output)
  if (node.leaf) {
    const found = `${nameOf(output)} itself is not finite: ${result.slice('its result '.length)}`
    const earlier =
      node.leaf.kind === 'cell'
        ? ': it got so in an earlier step, whose gradients were not finite; with gradientNorm: true a run stops there and names the op'
        : ''
    return { op: node.op.name, text: found + earlier }
  }
  const inputs = await Promise.all(node.inputs.map((input) => describeValue(nameOf(input), input)))
  const phase = isForward ? 'forward' : 'backward'
  return { op: node.op.name, text: `${node.op.name} (${phase}): ${result}; its operands: ${inputs.join('; ')}` }
}

/** What a step was taken with that was not finite. */
interface FaultyStep<F extends object> {
  readonly step: number
  readonly batches: readonly F[]
  readonly figures: { readonly loss: number }
}

/**
 * The error of a step that was not finite, found by computing it once more op by op, `microBatch` samples at once; the
 * model's buffers and the random state are as before afterwards.
 */
export async function diagnose<F extends object>(
  model: Module,
  loss: (batch: F) => Tensor,
  { step, batches, figures }: FaultyStep<F>,
  microBatch: number | undefined,
): Promise<NonFiniteError> {
  const buffers = model.namedBuffers()
  const generator = defaultGenerator()
  const [kept, random] = await Promise.all([readState(buffers), generator.stateDict()])
  const what = Number.isFinite(figures.loss) ? `the gradients of step ${step} are` : `the loss of step ${step} is`
  const error = (origin: Origin | undefined): NonFiniteError => {
    const why = origin ? `. ${origin.text}.` : '; computed once more op by op, everything is.'
    return new NonFiniteError(`train: ${what} not finite${why} The step has changed nothing.`, step, origin?.op)
  }
  try {
    for (const batch of batches) {
      const samples = samplesOf(batch)
      const size = microBatch ?? samples
      for (let start = 0; start < samples; start += size) {
        const part = size >= samples ? batch : samplesBetween(batch, start, start + size)
        const origin = await nonFiniteOrigin(loss(part), model)
        if (origin) return error(origin)
      }
    }
    return error(undefined)
  } finally {
    loadInto(buffers, kept, true)
    generator.loadStateDict(random)
  }
}
