// Gradient clipping by the global norm; optimizers take the factor into their kernel.

import { numberIn } from '../ops/arguments.js'
import { full } from '../ops/create.js'
import { add, cast, div, minimum, mul } from '../ops/element.js'
import { Gradients } from '../ops/gradient.js'
import { globalNorm } from '../ops/optimizer.js'
import { ArgumentError } from '../runtime/errors.js'
import type { Tensor } from '../tensor.js'

/** Gradients with one factor for all of them. They are multiplied where one is asked for; an optimizer does it in passing. */
export class ScaledGradients extends Gradients {
  constructor(
    readonly unscaled: Gradients,
    /** f32[] or f64[] */
    readonly scale: Tensor,
  ) {
    super([])
  }

  override get(target: Tensor): Tensor {
    const gradient = this.unscaled.get(target)
    return mul(gradient, cast(this.scale, gradient.dtype))
  }

  override has(target: Tensor): boolean {
    return this.unscaled.has(target)
  }

  override get size(): number {
    return this.unscaled.size
  }

  override map(change: (gradient: Tensor, target: Tensor) => Tensor): Gradients {
    return new Gradients([...this].map(([target, gradient]) => [target, change(gradient, target)]))
  }

  override *[Symbol.iterator](): IterableIterator<readonly [Tensor, Tensor]> {
    for (const [target] of this.unscaled) yield [target, this.get(target)]
  }
}

/** Clipped gradients, and the norm they had before. */
export class ClippedGradients extends ScaledGradients {
  constructor(
    unscaled: Gradients,
    scale: Tensor,
    /** The Euclidean norm of all gradients together before clipping, f32[], or f64[] where one of them is f64. */
    readonly norm: Tensor,
  ) {
    super(unscaled, scale)
  }
}

/**
 * The gradients times min(1, maxNorm / (norm + 1e-6)), norm that of all of them together (Pascanu et al. 2012). Throws
 * `ArgumentError` unless maxNorm is above 0.
 */
export function clipGradients(gradients: Gradients, options: { readonly maxNorm: number }): ClippedGradients {
  if (!(gradients instanceof Gradients))
    throw new ArgumentError(`clipGradients: it takes what grad gives, not ${String(gradients)}`)
  const maxNorm = numberIn('clipGradients', 'maxNorm', options.maxNorm, Number.MIN_VALUE)
  if (gradients.size === 0) throw new ArgumentError('clipGradients: there are no gradients to clip')
  const norm = globalNorm([...gradients].map(([, gradient]) => gradient))
  const scale = minimum(div(full([], maxNorm, { dtype: norm.dtype }), add(norm, 1e-6)), 1)
  return new ClippedGradients(gradients, scale, norm)
}
