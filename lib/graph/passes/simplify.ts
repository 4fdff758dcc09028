// Algebraic simplification and constant folding: x + 0, x * 1, a view of a view, an op on constants.
import { isFloat } from '../../schema/dtype.js'
import { sameShape } from '../../schema/shape.js'
import type { Graph } from '../lower.js'
import { apply, constantLeaf, type Node, type Value } from '../node.js'
import { madeBy, rewrite } from './rewrite.js'

const constantOf = (value: Value | undefined): number | undefined =>
  value?.node.leaf?.kind === 'constant' ? value.node.leaf.value : undefined

/** x op c = x, for a constant on the right or on either side. */
const NEUTRAL_RIGHT: Record<string, number> = { add: 0, sub: 0, mul: 1, div: 1, pow: 1 }
const NEUTRAL_LEFT: Record<string, number> = { add: 0, mul: 1 }

const FOLD_UNARY: Record<string, (x: number) => number> = {
  neg: (x) => -x,
  abs: Math.abs,
  sqrt: Math.sqrt,
  rsqrt: (x) => 1 / Math.sqrt(x),
  reciprocal: (x) => 1 / x,
  exp: Math.exp,
  log: Math.log,
}

const FOLD_BINARY: Record<string, (x: number, y: number) => number> = {
  add: (x, y) => x + y,
  sub: (x, y) => x - y,
  mul: (x, y) => x * y,
  div: (x, y) => x / y,
  pow: (x, y) => x ** y,
  max: (x, y) => (Number.isNaN(x) || Number.isNaN(y) ? Number.NaN : Math.max(x, y)),
  min: (x, y) => (Number.isNaN(x) || Number.isNaN(y) ? Number.NaN : Math.min(x, y)),
}

/** Folded values are rounded as the op would have rounded them; other dtypes are left to their kernels. */
function fold(node: Node, values: readonly (number | undefined)[]): Value | undefined {
  const { dtype } = node.output
  if ((dtype !== 'f32' && dtype !== 'f64') || values.some((value) => value === undefined)) return undefined
  const [x, y] = values as [number, number]
  const unary = FOLD_UNARY[node.op.name]
  const binary = FOLD_BINARY[node.op.name]
  const result = values.length === 1 ? unary?.(x) : values.length === 2 ? binary?.(x, y) : undefined
  if (result === undefined) return undefined
  return constantLeaf(dtype === 'f32' ? Math.fround(result) : result, node.output)
}

function simplifyElement(node: Node, inputs: readonly Value[]): Value | undefined {
  const { name } = node.op
  const [a, b] = inputs as [Value, Value]
  const [left, right] = inputs.map(constantOf)
  const folded = fold(node, inputs.map(constantOf))
  if (folded) return folded
  if (inputs.length === 2) {
    if (right !== undefined && right === NEUTRAL_RIGHT[name] && a.dtype === node.output.dtype) return a
    if (left !== undefined && left === NEUTRAL_LEFT[name] && b.dtype === node.output.dtype) return b
    if (name === 'pow' && right === 2 && isFloat(a.dtype)) return square(a, node)
  }
  if (name === 'cast' && a.dtype === node.output.dtype) return a
  if (name === 'neg') return madeBy(a, 'neg')?.inputs[0]
  return undefined
}

/** pow(x, 2) = x * x, exactly. The multiplication op is taken from the graph it came with. */
let multiply: Node['op'] | undefined
export function useMultiplication(op: Node['op']): void {
  multiply = op
}
const square = (x: Value, node: Node): Value | undefined => multiply && apply(multiply, {}, [x, x], node.region).output

/** Exchanges the last two axes. */
const SWAP = [1, 0]
const isSwap = (axes: unknown, rank: number): boolean =>
  rank === 2 && Array.isArray(axes) && axes.length === 2 && axes.every((axis, i) => axis === SWAP[i])

/** (A B)^T = B^T A^T: a product that is only used transposed, as a weight's gradient is, is computed that way round. */
function transposedProduct(node: Node, input: Value): Value | undefined {
  const { op, params, inputs, region } = input.node
  if (op.name !== 'matmul' || params['hasBias'] || params['activation'] !== 'none') return undefined
  if (!isSwap(node.params['axes'], input.shape.length) || inputs.some(({ shape }) => shape.length !== 2))
    return undefined
  const [a, b] = inputs.map((factor) => {
    const whole = factor.node.op.name === 'permute' && isSwap(factor.node.params['axes'], 2)
    return whole ? (factor.node.inputs[0] as Value) : apply(node.op, { axes: SWAP }, [factor], region).output
  }) as [Value, Value]
  return apply(op, params, [b, a], region).output
}

function simplifyView(node: Node, inputs: readonly Value[]): Value | undefined {
  const input = inputs[0] as Value
  const { name } = node.op
  const output = node.output
  const constant = constantOf(input)
  if (constant !== undefined && name !== 'identity') return constantLeaf(constant, output)
  if ((name === 'reshape' || name === 'broadcast') && sameShape(input.shape, output.shape)) return input
  const inner = madeBy(input, name)
  if (name === 'reshape' && inner) {
    const source = inner.inputs[0] as Value
    if (sameShape(source.shape, output.shape)) return source
    return apply(node.op, node.params, [source], node.region).output
  }
  if (name === 'permute') {
    const axes = node.params['axes'] as readonly number[]
    if (axes.every((axis, i) => axis === i)) return input
    if (inner) {
      const before = inner.params['axes'] as readonly number[]
      const composed = axes.map((axis) => before[axis] as number)
      const source = inner.inputs[0] as Value
      if (composed.every((axis, i) => axis === i)) return source
      return apply(node.op, { axes: composed }, [source], node.region).output
    }
  }
  if (name === 'permute') {
    const product = transposedProduct(node, input)
    if (product) return product
  }
  // An identity exists for its gradient rule only; after differentiation it is its input.
  if (name === 'identity') return input
  return undefined
}

export function simplify(graph: Graph): Graph {
  return rewrite(graph, (node, inputs) => {
    if (node.op.kind === 'view' && node.op.name === 'identities') return inputs
    if (node.op.kind === 'view') return one(simplifyView(node, inputs))
    if (node.op.kind === 'element') return one(simplifyElement(node, inputs))
    return undefined
  })
}

const one = (value: Value | undefined): readonly Value[] | undefined => value && [value]
