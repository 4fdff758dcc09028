// Penalties on the size of parameters, to be added to a loss.

import { abs, add, mul } from '../ops/element.js'
import { sum } from '../ops/reduce.js'
import { ArgumentError } from '../runtime/errors.js'
import type { Tensor } from '../tensor.js'

function penalty(op: string, size: (x: Tensor) => Tensor) {
  return (parameters: Iterable<Tensor>): Tensor => {
    const parts = [...parameters].map((parameter) => sum(size(parameter)))
    if (parts.length === 0) throw new ArgumentError(`${op}: there are no parameters`)
    return parts.reduce((total, part) => add(total, part))
  }
}

/** The sum of |p| over all elements of all parameters, a scalar: it drives single elements to 0. */
export const l1Penalty = penalty('l1Penalty', abs)
/** The sum of p^2 over all elements of all parameters, a scalar: it keeps elements small. */
export const l2Penalty = penalty('l2Penalty', (x) => mul(x, x))
