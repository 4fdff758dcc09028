// Differentiation for people: grad, vjp, customGradient, checkpoint.

import { Cell, Parameter } from '../cell.js'
import { backward, markCheckpoint } from '../graph/autograd.js'
import { identityOf, withGradient } from '../graph/identity.js'
import { apply, constantLeaf, latestNode, reachable, type Value } from '../graph/node.js'
import { currentTrace } from '../graph/trace.js'
import { ArgumentError, GradientError, ShapeError } from '../runtime/errors.js'
import { describe } from '../schema/describe.js'
import { isFloat } from '../schema/dtype.js'
import { formatShape, sameShape } from '../schema/shape.js'
import { Tensor } from '../tensor.js'
import { listOf, optionsOf } from './arguments.js'
import { operand } from './define.js'
import { add } from './element.js'

/** Gradients by what they are of: a parameter, or any tensor the result was made from. */
export class Gradients implements Iterable<readonly [Tensor, Tensor]> {
  private readonly byTarget: ReadonlyMap<Tensor, Tensor>

  constructor(pairs: Iterable<readonly [Tensor, Tensor]>) {
    this.byTarget = new Map(pairs)
  }

  /** The gradient of `target`, of its shape and dtype. Throws `GradientError` where it was not asked for. */
  get(target: Tensor): Tensor {
    const found = this.byTarget.get(target)
    if (found) return found
    throw new GradientError(`gradients: none was asked of ${nameOf(target)}; there are ${this.byTarget.size}`)
  }

  has(target: Tensor): boolean {
    return this.byTarget.has(target)
  }

  get size(): number {
    return this.byTarget.size
  }

  /** The same targets with each gradient changed. */
  map(change: (gradient: Tensor, target: Tensor) => Tensor): Gradients {
    return new Gradients([...this.byTarget].map(([target, gradient]) => [target, change(gradient, target)]))
  }

  [Symbol.iterator](): IterableIterator<readonly [Tensor, Tensor]> {
    return this.byTarget.entries()
  }
}

const nameOf = (target: Tensor): string => (target instanceof Cell ? target.state.label : target.toString())

const sum = (a: Value, b: Value): Value => apply(add.op, {}, [a, b]).output

/** The values a target had where `roots` used it: a cell's may have been read before and after an assignment. */
function valuesOf(target: Tensor, roots: readonly Value[]): Value[] {
  if (!(target instanceof Cell)) return [operand('grad', target)]
  const reads = reachable(roots).filter(({ leaf }) => leaf?.kind === 'cell' && leaf.cell === target.state)
  const present = currentTrace()?.cells.get(target.state)
  return [...new Set([...reads.map(({ output }) => output), ...(present ? [present] : [])])]
}

function differentiate(
  op: string,
  seeds: ReadonlyMap<Value, Value>,
  targets: Iterable<Tensor>,
  missing: 'error' | 'zero',
): Gradients {
  if (typeof (targets as Iterable<Tensor> | undefined)?.[Symbol.iterator] !== 'function') {
    throw new ArgumentError(`${op}: the targets must be a list of tensors, not ${describe(targets)}`)
  }
  const unique = [...new Set(targets)]
  const roots = [...seeds.keys()]
  for (const target of unique) {
    if (!(target instanceof Tensor)) throw new ArgumentError(`${op}: a target is ${describe(target)}, not a tensor`)
    if (!isFloat(target.dtype))
      throw new GradientError(`${op}: ${nameOf(target)} is ${target.dtype}; only floats have gradients`)
    if (target instanceof Parameter && !target.trainable) {
      throw new GradientError(`${op}: ${nameOf(target)} is frozen; leave it out or make it trainable`)
    }
  }
  const values = new Map(unique.map((target) => [target, valuesOf(target, roots)]))
  const cotangents = backward(seeds, [...values.values()].flat(), sum)
  return new Gradients(
    unique.map((target): readonly [Tensor, Tensor] => {
      const parts = (values.get(target) as Value[]).flatMap((value) => cotangents.get(value) ?? [])
      if (parts.length > 0) return [target, new Tensor(parts.reduce(sum))]
      if (missing === 'zero') return [target, new Tensor(constantLeaf(0, target))]
      throw new GradientError(
        `${op}: the result does not depend on ${nameOf(target)}, only through an op without a gradient, or through a value whose history was let go when it was read; leave it out, or read later`,
      )
    }),
  )
}

/**
 * Gradients of a scalar by `targets` (parameters, or tensors it was made from), to any order: the gradients are tensors
 * like others. Tied weights appear once. Throws `GradientError` for a frozen target and for one the loss does not
 * depend on; with `missing: 'zero'` the latter gets zeros.
 */
export function grad(
  loss: Tensor,
  targets: Tensor | Iterable<Tensor>,
  options: { readonly missing?: 'error' | 'zero' } = {},
): Gradients {
  const value = operand('grad', loss)
  if (value.shape.length > 0) {
    throw new ShapeError(
      `grad: the loss has shape ${formatShape(value.shape)}, not []; reduce it, or use vjp with a cotangent`,
    )
  }
  if (!isFloat(value.dtype)) throw new GradientError(`grad: the loss is ${value.dtype}; only floats have gradients`)
  const seed = constantLeaf(1, value)
  return differentiate(
    'grad',
    new Map([[value, seed]]),
    targets instanceof Tensor ? [targets] : targets,
    optionsOf('grad', options).missing ?? 'error',
  )
}

/** The vector-Jacobian product: gradients of `sum(output * cotangent)` over all pairs, by `targets`. */
export function vjp(
  outputs: readonly Tensor[],
  cotangents: readonly Tensor[],
  targets: Iterable<Tensor>,
  options: { readonly missing?: 'error' | 'zero' } = {},
): Gradients {
  const seeds = new Map<Value, Value>()
  listOf('vjp', 'the cotangents', cotangents)
  listOf('vjp', 'the outputs', outputs).forEach((output, i) => {
    const value = operand('vjp', output)
    const cotangent = operand('vjp', cotangents[i])
    if (!sameShape(value.shape, cotangent.shape) || value.dtype !== cotangent.dtype) {
      throw new ShapeError(
        `vjp: output ${i} is ${value.dtype}${formatShape(value.shape)}, its cotangent ${cotangent.dtype}${formatShape(cotangent.shape)}`,
      )
    }
    const known = seeds.get(value)
    seeds.set(value, known ? sum(known, cotangent) : cotangent)
  })
  return differentiate('vjp', seeds, targets, optionsOf('vjp', options).missing ?? 'error')
}

/**
 * `forward` with a gradient rule of your own: `rule(cotangent, inputs, output)` gives one cotangent per input, or
 * undefined where nothing flows.
 */
export function customGradient<I extends readonly Tensor[]>(
  forward: (...inputs: I) => Tensor,
  rule: (cotangent: Tensor, inputs: I, output: Tensor) => readonly (Tensor | undefined)[],
): (...inputs: I) => Tensor {
  return (...inputs) => {
    const output = forward(...inputs)
    const values = inputs.map((input) => operand('customGradient', input))
    const [wrapped] = withGradient([output.value], values, (_, [cotangent]) => {
      const parts = rule(new Tensor(cotangent), inputs, output)
      return values.map((value, i) => {
        const part = parts[i]
        if (part && !sameShape(part.shape, value.shape)) {
          throw new ShapeError(
            `customGradient: the cotangent of input ${i} has shape ${formatShape(part.shape)}, the input ${formatShape(value.shape)}`,
          )
        }
        return part?.value
      })
    })
    return new Tensor(wrapped)
  }
}

/** `fn` whose intermediate results are computed again for its gradient instead of being kept. */
export function checkpoint<I extends readonly Tensor[]>(fn: (...inputs: I) => Tensor): (...inputs: I) => Tensor {
  return (...inputs) => {
    const since = latestNode()
    const output = fn(...inputs)
    markCheckpoint(
      since,
      inputs.map((input) => operand('checkpoint', input)),
      [output.value],
    )
    return output
  }
}

/**
 * A gradient rule by differentiating `composite`, the op written in other ops: how kernels get higher orders. The
 * derivatives are partial ones: an input that was computed from another input counts as a value of its own.
 */
export function throughComposite(
  composite: (inputs: readonly Tensor[]) => readonly Tensor[],
  inputs: readonly Tensor[],
  cotangents: readonly (Tensor | undefined)[],
): readonly (Tensor | undefined)[] {
  const values = inputs.map((input) => identityOf(input.value))
  const outputs = composite(values.map((value) => new Tensor(value)))
  const seeds = new Map<Value, Value>()
  outputs.forEach((output, i) => {
    const cotangent = cotangents[i]
    if (cotangent) seeds.set(output.value, cotangent.value)
  })
  const found = backward(seeds, values, sum)
  return values.map((value) => {
    const cotangent = found.get(value)
    return cotangent && new Tensor(cotangent)
  })
}
