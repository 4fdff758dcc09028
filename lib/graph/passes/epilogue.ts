// Bias fusion: a matmul or convolution whose only use is to have a bias added computes it itself.
import { sameShape } from '../../schema/shape.js'
import type { Graph } from '../lower.js'
import { apply, type Node, type Value } from '../node.js'
import { consumersOf, madeBy, rewrite, rootsOf } from './rewrite.js'

/** The axis of the result a kernel's bias runs along. */
const BIAS_AXIS: Record<string, (rank: number) => number> = { matmul: (rank) => rank - 1, conv: () => 1 }

/** The vector behind `value` if it is one, repeated along every axis but `axis`. */
function vectorAlong(value: Value, axis: number): Value | undefined {
  const source = madeBy(value, 'broadcast')?.inputs[0]
  if (!source) return undefined
  const extent = value.shape[axis] as number
  const lead = value.shape.length - source.shape.length
  const onlyAxis = source.shape.every((size, i) => (i + lead === axis ? size === extent : size === 1))
  if (!onlyAxis || axis < lead) return undefined
  // Its other axes have extent 1, so the vector is what a reshape makes of it.
  const base = madeBy(source, 'reshape')?.inputs[0] ?? source
  return sameShape(base.shape, [extent]) ? base : undefined
}

export function fuseBias(graph: Graph): Graph {
  const consumers = consumersOf(graph)
  const roots = new Set(rootsOf(graph))
  const single = (value: Value): boolean => consumers.get(value)?.length === 1 && !roots.has(value)
  return rewrite(graph, (node, inputs) => {
    if (node.op.name !== 'add') return undefined
    for (const [i, j] of [
      [0, 1],
      [1, 0],
    ] as const) {
      const product = inputs[i] as Value
      const kernel: Node = product.node
      const axis = BIAS_AXIS[kernel.op.name]?.(product.shape.length)
      if (
        axis === undefined ||
        !madeBy(product, kernel.op.name) ||
        kernel.params['hasBias'] ||
        !single(node.inputs[i] as Value)
      )
        continue
      const bias = vectorAlong(inputs[j] as Value, axis)
      if (!bias || bias.dtype !== product.dtype) continue
      return apply(kernel.op, { ...kernel.params, hasBias: true }, [...kernel.inputs, bias], kernel.region).outputs
    }
    return undefined
  })
}
