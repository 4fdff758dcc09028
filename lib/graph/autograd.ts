// Reverse-mode differentiation: walks the nodes backwards once, each op giving its own rule as more nodes.
import { isFloat } from '../schema/dtype.js'
import { Node, reachable, type Value } from './node.js'

/** A function that recomputes a node of a checkpointed region instead of keeping what it gave. */
export type Recompute = (node: Node) => Node

let regions = 0
/** Nodes whose results are to be recomputed for the backward pass, and the region they belong to. */
const checkpointed = new WeakMap<Node, number>()

/** Marks everything between `inputs` and `outputs` to be recomputed when it is differentiated. */
export function markCheckpoint(inputs: readonly Value[], outputs: readonly Value[]): void {
  const region = ++regions
  const boundary = new Set(inputs)
  for (const node of reachable(outputs, (value) => boundary.has(value))) {
    if (!node.leaf && !checkpointed.has(node)) checkpointed.set(node, region)
  }
}

/** Gives each checkpointed node its copy, made when it is first needed; other nodes stand for themselves. */
function recomputation(): Recompute {
  const copies = new Map<Node, Node>()
  const recompute: Recompute = (node) => {
    const region = checkpointed.get(node)
    if (region === undefined) return node
    const known = copies.get(node)
    if (known) return known
    const inputs = node.inputs.map((input) => recompute(input.node).outputs[input.index] as Value)
    const copy = new Node(node.op, node.params, inputs, node.outputs, node.device, node.trace, undefined, region)
    copies.set(node, copy)
    return copy
  }
  return recompute
}

/** The nodes of `nodes` (inputs before users) through which some target is reached. */
function activeNodes(nodes: readonly Node[], targets: ReadonlySet<Value>): Set<Node> {
  const active = new Set<Node>()
  for (const node of nodes) {
    if (node.inputs.some((input) => targets.has(input) || active.has(input.node))) active.add(node)
  }
  return active
}

/**
 * The cotangents of `targets` given those of `seeds`: the vector-Jacobian product. A target that no seed depends on
 * has none. `add` sums two values.
 */
export function backward(
  seeds: ReadonlyMap<Value, Value>,
  targets: readonly Value[],
  add: (a: Value, b: Value) => Value,
): Map<Value, Value> {
  const wanted = new Set(targets)
  const nodes = reachable(seeds.keys())
  const active = activeNodes(nodes, wanted)
  const cotangents = new Map(seeds)
  const recompute = recomputation()
  for (const node of nodes.reverse()) {
    if (!active.has(node)) continue
    const given = node.outputs.map((output) => cotangents.get(output))
    for (const output of node.outputs) if (!wanted.has(output)) cotangents.delete(output)
    if (given.every((cotangent) => cotangent === undefined) || !node.op.gradient) continue
    const parts = node.op.gradient(recompute(node), given)
    node.inputs.forEach((input, i) => {
      const part = parts[i]
      if (!part || !isFloat(input.dtype) || !(wanted.has(input) || active.has(input.node))) return
      const sum = cotangents.get(input)
      cotangents.set(input, sum ? add(sum, part) : part)
    })
  }
  return new Map(targets.flatMap((target) => {
    const cotangent = cotangents.get(target)
    return cotangent ? [[target, cotangent] as const] : []
  }))
}
