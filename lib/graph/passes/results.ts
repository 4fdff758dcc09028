// Leaves out results that nobody uses, where the op has a parameter for it: positions that no gradient asks for.
import type { Graph } from '../lower.js'
import { apply, type Value } from '../node.js'
import { consumersOf, rewrite, rootsOf } from './rewrite.js'

export function dropUnused(graph: Graph): Graph {
  const consumers = consumersOf(graph)
  const roots = new Set(rootsOf(graph))
  return rewrite(graph, (node, inputs) => {
    const flag = node.op.lastResult
    const last = node.outputs.at(-1) as Value
    if (!flag || !node.params[flag] || roots.has(last) || consumers.has(last)) return undefined
    return apply(node.op, { ...node.params, [flag]: false }, inputs, node.region).outputs
  })
}
