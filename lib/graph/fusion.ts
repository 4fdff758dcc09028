// Fusion: which fused program each elementwise value would be computed in, were it left to its consumers.
import { sizeOf } from '../schema/shape.js'
import type { Node, Value } from './node.js'

/**
 * The one stored value whose program all uses of a value end in; or that there are several such programs, so that
 * leaving it to them would compute it more than once; or that a kernel needs it in memory.
 */
export type Destination = Value | 'several' | 'memory'

/** The destinations of what `nodes` (inputs before users) compute. `kept` are results and next values of cells. */
export function destinationsOf(
  nodes: readonly Node[],
  consumers: ReadonlyMap<Value, readonly Node[]>,
  kept: ReadonlySet<Value>,
): Map<Value, Destination | undefined> {
  const destinations = new Map<Value, Destination | undefined>()
  const through = (output: Value): Destination | undefined => (kept.has(output) ? output : destinations.get(output))

  const ofUse = (value: Value, user: Node): Destination | undefined => {
    if (user.op.kind === 'kernel') return 'memory'
    if (user.op.kind !== 'view') {
      // What is reduced is computed in the reduction's own program, whose result others may need spread out again.
      if (user.op.kind === 'reduction') return user.output
      const found = through(user.output)
      return found === 'memory' || found === 'several' || found === undefined ? user.output : found
    }
    const output = user.outputs[user.inputs.indexOf(value)]
    if (!output) return undefined
    // Repeated elements are computed once, before.
    return sizeOf(output.shape) > sizeOf(value.shape) ? output : through(output)
  }

  const ofValue = (value: Value): Destination | undefined => {
    let only: Destination | undefined
    for (const user of consumers.get(value) ?? []) {
      const found = ofUse(value, user)
      if (found === 'memory') return 'memory'
      if (found === undefined || found === only) continue
      only = only === undefined ? found : 'several'
    }
    return only
  }

  for (const node of [...nodes].reverse()) for (const output of node.outputs) destinations.set(output, ofValue(output))
  return destinations
}
