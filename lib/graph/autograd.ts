// Reverse-mode differentiation: walks the nodes backwards once, each op giving its own rule as more nodes.
import { isFloat } from '../schema/dtype.js'
import { Node, reachable, type Value } from './node.js'
import { withPrecision } from './precision.js'

/** A function that recomputes a node of a checkpointed region instead of keeping what it gave. */
export type Recompute = (node: Node) => Node

let regions = 0
/** Nodes whose results are to be recomputed for the backward pass, and the regions they are in, innermost first. */
const checkpointed = new WeakMap<Node, number[]>()

/**
 * Marks the nodes younger than `since` between `inputs` and `outputs` to be recomputed when they are differentiated.
 * What is older, and only used there, is kept as the inputs are.
 */
export function markCheckpoint(since: number, inputs: readonly Value[], outputs: readonly Value[]): void {
  const region = ++regions
  const boundary = new Set(inputs)
  for (const node of reachable(outputs, (value) => boundary.has(value) || value.node.id <= since)) {
    if (node.leaf) continue
    const known = checkpointed.get(node)
    if (known) known.push(region)
    else checkpointed.set(node, [region])
  }
}

const together = (a: Node, b: Node): boolean =>
  checkpointed.get(a)?.some((region) => checkpointed.get(b)?.includes(region)) ?? false

/** Gives each checkpointed node its copy, made when it is first needed; other nodes stand for themselves. */
function recomputation(): Recompute {
  const copies = new Map<Node, Node>()
  const recompute: Recompute = (node) => {
    const region = checkpointed.get(node)?.[0]
    if (region === undefined) return node
    const known = copies.get(node)
    if (known) return known
    // What comes from outside all its regions, another region's result for one, is kept.
    const inputs = node.inputs.map((input) =>
      together(node, input.node) ? (recompute(input.node).outputs[input.index] as Value) : input,
    )
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
    // A rule follows the dtypes that were recorded, whatever policy holds now.
    const { gradient } = node.op
    const parts = withPrecision(undefined, () => gradient(recompute(node), given))
    node.inputs.forEach((input, i) => {
      const part = parts[i]
      if (!part || !isFloat(input.dtype) || !(wanted.has(input) || active.has(input.node))) return
      const sum = cotangents.get(input)
      cotangents.set(input, sum ? add(sum, part) : part)
    })
  }
  return new Map(
    targets.flatMap((target) => {
      const cotangent = cotangents.get(target)
      return cotangent ? [[target, cotangent] as const] : []
    }),
  )
}
