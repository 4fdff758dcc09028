// The order of a graph's nodes: as recorded, but updates in place right after the last reader of what they overwrite.
import { sizeOf } from '../schema/shape.js'
import type { Node, Value } from './node.js'

/** Nodes by the values they use. */
export type Consumers = ReadonlyMap<Value, readonly Node[]>

/** The last position at which a value is needed in memory; views and fused ops pass it on to their own consumers. */
function lastNeed(value: Value, consumers: Consumers, positions: ReadonlyMap<Node, number>, except: Node): number {
  let last = -1
  for (const consumer of consumers.get(value) ?? []) {
    if (consumer === except) continue
    last = Math.max(last, positions.get(consumer) as number)
    if (consumer.op.kind === 'kernel') continue
    for (const output of consumer.outputs) last = Math.max(last, lastNeed(output, consumers, positions, except))
  }
  return last
}

/** Elements so few that when they are computed decides nothing but what may begin early: a step number, a rate. */
const FEW = 16

/** The last node that checks indices; those that were checked before it can not be wrong any more. */
export function lastChecking(nodes: readonly Node[]): Node | undefined {
  const checked = new Set<string>()
  let last: Node | undefined
  for (const node of nodes) {
    const check = node.op.checks?.(node.inputs, node.params as never)
    if (!check) continue
    const [operand, range] = check
    const indices = node.inputs[operand] as Value
    const key = `${indices.node.id}.${indices.index} ${range}`
    if (!checked.has(key)) last = node
    checked.add(key)
  }
  return last
}

/**
 * `nodes` in the order they are lowered. A node that may write its results over its operands (an optimizer's update) moves
 * up to where its operands are known and nobody needs what it overwrites; so do the scalars it waits for. What moves up
 * stays behind `last`, where a run may still fail: it may be a cell's next value.
 */
export function schedule(nodes: readonly Node[], consumers: Consumers, last?: Node): Node[] {
  const positions = new Map(nodes.map((node, position) => [node, position]))
  const earliest = last ? (positions.get(last) as number) : -1
  const order = new Map<Node, number>()
  const place = (node: Node, position: number): number => {
    const known = node.inputs.map((input) => order.get(input.node) ?? -1)
    if (node.op.kind === 'element' && sizeOf(node.output.shape) <= FEW)
      return Math.min(position, Math.max(earliest, ...known) + 0.25)
    const reuse = node.op.inPlace?.(node.params as never)
    if (!reuse) return position
    const free = reuse.flatMap((i) => (i >= 0 ? [lastNeed(node.inputs[i] as Value, consumers, positions, node)] : []))
    return Math.min(position, Math.max(earliest, ...known, ...free) + 0.5)
  }
  nodes.forEach((node, position) => order.set(node, place(node, position)))
  return [...nodes].sort((a, b) => (order.get(a) as number) - (order.get(b) as number))
}
