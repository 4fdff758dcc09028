// Defines ops: from named tensors, parameters and rules to a function people call.
import { apply, constantLeaf, type Node, type Value } from '../graph/node.js'
import { type Op, type OpKind, registerOp } from '../graph/op.js'
import { ArgumentError } from '../runtime/errors.js'
import { describe } from '../schema/describe.js'
import type { ParamSchema, Params, Spec, Strides } from '../schema/op.js'
import { Tensor } from '../tensor.js'

/** The op has no gradient: nothing flows back through it. */
export const none = 'none'

type Named<Names extends readonly string[]> = { readonly [Name in Names[number]]: Tensor }
type Tensors<Names extends readonly string[]> = { readonly [K in keyof Names]: Tensor }

/**
 * Gradient rule of an op: its operands and results by name, the cotangent of its first result, its parameters, all
 * cotangents, and the operands in order (names do not tell where optional ones or a varying number of them stand). Gives
 * one cotangent per operand; undefined where nothing flows.
 */
export type Gradient<I extends readonly string[], O extends readonly string[], P extends ParamSchema> = (
  tensors: Named<I> & Named<O>,
  cotangent: Tensor,
  params: Params<P>,
  cotangents: readonly (Tensor | undefined)[],
  operands: readonly Tensor[],
) => readonly (Tensor | undefined)[]

export interface Definition<I extends readonly string[], O extends readonly string[], P extends ParamSchema> {
  /** Names of the operands; trailing ones ending in `?` may be left out. */
  readonly inputs: I
  /** Names of the results; default `['y']`. */
  readonly outputs?: O
  readonly params?: P
  /** Specs of the results; throws a typed error where the operands do not fit. */
  readonly shape: (inputs: readonly Spec[], params: Params<P>) => Spec | readonly Spec[]
  readonly grad: Gradient<I, O, P> | typeof none
  /** Strides each operand may have; one entry stands for all. Default `contiguous`. */
  readonly strides?: readonly Strides[]
  readonly order?: Op<P>['order']
  readonly inPlace?: Op<P>['inPlace']
  readonly leadingScalars?: Op<P>['leadingScalars']
  readonly checks?: Op<P>['checks']
  readonly lastResult?: Op<P>['lastResult']
}

/** The value behind an operand; anything but a tensor is an error that names the op. */
export function operand(op: string, candidate: unknown): Value {
  if (candidate instanceof Tensor) return candidate.value
  throw new ArgumentError(`${op}: an operand is ${describe(candidate)}, not a tensor`)
}

const zerosLike = (spec: Spec): Tensor => new Tensor(constantLeaf(0, spec))

/** A gradient rule on tensors as one on graph values. */
function onValues(
  inputs: readonly string[],
  outputs: readonly string[],
  rule: Gradient<readonly string[], readonly string[], ParamSchema>,
) {
  return (node: Node, given: readonly (Value | undefined)[]): readonly (Value | undefined)[] => {
    const cotangents = given.map((cotangent) => cotangent && new Tensor(cotangent))
    const first = cotangents[0] ?? zerosLike(node.output)
    const operands = node.inputs.map((value) => new Tensor(value))
    const tensors = Object.fromEntries([
      ...operands.map((tensor, i) => [inputs[i] ?? `${inputs.at(-1)}${i}`, tensor]),
      ...node.outputs.map((value, i) => [outputs[i] as string, new Tensor(value)]),
    ])
    return rule(tensors, first, node.params as never, cotangents, operands).map((part) => part?.value)
  }
}

function makeOp(
  name: string,
  kind: OpKind,
  definition: Definition<readonly string[], readonly string[], ParamSchema>,
): Op {
  const {
    inputs,
    outputs = ['y'],
    params = {},
    shape,
    grad,
    strides,
    order,
    inPlace,
    leadingScalars,
    checks,
    lastResult,
  } = definition
  return {
    name,
    kind,
    params,
    infer: (specs, values) => {
      const result = shape(specs, values)
      return 'dtype' in result ? [result] : result
    },
    gradient: grad === none ? undefined : onValues(inputs, outputs, grad),
    ...(strides && { accepts: strides }),
    ...(order && { order }),
    ...(inPlace && { inPlace }),
    ...(leadingScalars && { leadingScalars }),
    ...(checks && { checks }),
    ...(lastResult && { lastResult }),
  }
}

type Results<O extends readonly string[]> = O['length'] extends 1 ? Tensor : Tensors<O>

/**
 * An op with a kernel of its own. Called with its operands in order (a list where their number varies) and its
 * parameters; gives its result, or a list where it has several.
 */
export function defineOp<
  const I extends readonly string[],
  const O extends readonly string[] = readonly ['y'],
  const P extends ParamSchema = Record<never, never>,
>(
  name: string,
  definition: Definition<I, O, P>,
): (operands: readonly (Tensor | undefined)[], params: Params<P>) => Results<O> {
  const op = makeOp(name, 'kernel', definition as never)
  registerOp(op)
  return (operands, params) => {
    const given = operands.filter((tensor) => tensor !== undefined)
    const node = apply(
      op,
      params,
      given.map((tensor) => operand(name, tensor)),
    )
    const results = node.outputs.map((value) => new Tensor(value))
    return (results.length === 1 ? results[0] : results) as Results<O>
  }
}
