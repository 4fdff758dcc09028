// Rebuilds a graph node by node; every pass is a rule for it.

import type { Graph } from '../lower.js'
import { apply, type Node, reachable, type Value } from '../node.js'
import { recording, Trace } from '../trace.js'

/** What stands for a node's outputs, given its rewritten inputs; undefined keeps the op. */
export type Rule = (node: Node, inputs: readonly Value[]) => readonly Value[] | undefined

/** Values that are there already: data, and what was computed before. */
const given = (value: Value): boolean => value.buffer !== undefined && value.node.leaf === undefined

/** The node that is to compute `value`, if that is an `op`: what is there already may have let go of its inputs. */
export const madeBy = (value: Value, op: string): Node | undefined =>
  given(value) || value.node.op.name !== op ? undefined : value.node

/** The roots of a graph: its results and the next values of its cells. */
export const rootsOf = (graph: Graph): Value[] => [...graph.outputs, ...graph.assignments.values()]

/** The nodes a graph has to compute, inputs before users. */
export const nodesOf = (graph: Graph): Node[] => reachable(rootsOf(graph), given)

/** Nodes by the values they use. */
export function consumersOf(graph: Graph): Map<Value, Node[]> {
  const consumers = new Map<Value, Node[]>()
  for (const node of nodesOf(graph)) {
    for (const input of node.inputs) {
      const users = consumers.get(input)
      if (users) users.push(node)
      else consumers.set(input, [node])
    }
  }
  return consumers
}

/** The graph with `rule` applied to every node once. Equal nodes that arise become one. */
export function rewrite(graph: Graph, rule: Rule): Graph {
  return recording(new Trace(true), () => {
    const replaced = new Map<Value, Value>()
    const current = (value: Value): Value => replaced.get(value) ?? value
    let changed = false
    for (const node of nodesOf(graph)) {
      if (node.leaf) continue
      const inputs = node.inputs.map(current)
      const ruled = rule(node, inputs)
      changed ||= ruled !== undefined
      // Behind a change all nodes are made anew, since their order is the order of the steps.
      const outputs = ruled ?? (changed ? apply(node.op, node.params, inputs, node.region).outputs : node.outputs)
      node.outputs.forEach((output, i) => {
        if (!given(output)) replaced.set(output, outputs[i] as Value)
      })
    }
    return {
      outputs: graph.outputs.map(current),
      assignments: new Map([...graph.assignments].map(([cell, value]) => [cell, current(value)])),
    }
  })
}
