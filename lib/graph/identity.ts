// Identities: ops that change nothing but exist to be told apart (a copy to own) or to carry a gradient rule.

import { Node, type Value } from './node.js'
import type { GradientRule, Op } from './op.js'
import { currentTrace } from './trace.js'

/** The same values under a new name; in memory of its own when it is a result. */
const IDENTITY: Op = {
  name: 'identity',
  kind: 'view',
  params: {},
  infer: (inputs) => inputs,
  gradient: (_, cotangents) => cotangents,
  view: (_, layout) => layout,
  unique: true,
}

/** A value of its own that equals `value`. */
export function identityOf(value: Value): Value {
  return new Node(IDENTITY, {}, [value], [value], value.node.device, currentTrace()).output
}

/**
 * Gives `outputs` a gradient rule of their own: their cotangents give those of `inputs`. The inputs are operands too,
 * so that differentiation finds its way to them.
 */
export function withGradient(
  outputs: readonly Value[],
  inputs: readonly Value[],
  rule: GradientRule,
): readonly Value[] {
  const op: Op = {
    ...IDENTITY,
    name: 'identities',
    infer: () => outputs,
    gradient: (node, cotangents) => [...outputs.map(() => undefined), ...rule(node, cotangents)],
  }
  return new Node(op, {}, [...outputs, ...inputs], outputs, outputs[0]?.node.device, currentTrace()).outputs
}
