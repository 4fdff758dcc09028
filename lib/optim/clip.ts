// Gradients with a factor and a condition, which optimizers take into their kernels; clipping by the global norm.
import { numberIn } from '../ops/arguments.js'
import { full } from '../ops/create.js'
import { add, cast, div, logicalAnd, minimum, mul } from '../ops/element.js'
import { Gradients } from '../ops/gradient.js'
import { statisticOf } from '../ops/norm.js'
import { globalNorm } from '../ops/optimizer.js'
import { ArgumentError, DTypeError, ShapeError } from '../runtime/errors.js'
import { formatShape } from '../schema/shape.js'
import type { Tensor } from '../tensor.js'

/**
 * Gradients with one factor for all of them and, if wanted, a condition. They are multiplied where one is asked for; an
 * optimizer does it in passing. Of scaled gradients both factors and both conditions become one. Throws `DTypeError` or
 * `ShapeError` for a condition that is not bool[].
 */
export class ScaledGradients extends Gradients {
  readonly unscaled: Gradients
  /** f32[] or f64[]; without it they are as they are. */
  readonly scale: Tensor | undefined
  /** bool[]: where it is false, an optimizer's step changes nothing, the step count included. Without it all steps apply. */
  readonly applies: Tensor<'bool'> | undefined

  constructor(gradients: Gradients, scale: Tensor | undefined, applies?: Tensor<'bool'>) {
    super([])
    if (applies && (applies.dtype as string) !== 'bool')
      throw new DTypeError(`gradients: the condition is bool, not ${applies.dtype}; compare with something first`)
    if (applies && applies.shape.length > 0)
      throw new ShapeError(
        `gradients: the condition is one for the whole step, [], not ${formatShape(applies.shape)}; reduce it with all`,
      )
    if (gradients instanceof ScaledGradients) {
      this.unscaled = gradients.unscaled
      const inner = gradients.scale
      this.scale = inner && scale ? mul(cast(inner, 'f64'), cast(scale, 'f64')) : (scale ?? inner)
      const both = applies && gradients.applies && (logicalAnd(applies, gradients.applies) as Tensor<'bool'>)
      this.applies = both ?? applies ?? gradients.applies
    } else {
      this.unscaled = gradients
      this.scale = scale
      this.applies = applies
    }
  }

  /** Multiplied in f32 (f64 for f64), as a small factor may be 0 in 16 bits. */
  override get(target: Tensor): Tensor {
    const gradient = this.unscaled.get(target)
    if (!this.scale) return gradient
    const dtype = statisticOf(gradient.dtype)
    return cast(mul(cast(gradient, dtype), cast(this.scale, dtype)), gradient.dtype)
  }

  override has(target: Tensor): boolean {
    return this.unscaled.has(target)
  }

  override get size(): number {
    return this.unscaled.size
  }

  /** Multiplied first; a condition stays. */
  override map(change: (gradient: Tensor, target: Tensor) => Tensor): Gradients {
    const changed = new Gradients([...this].map(([target, gradient]) => [target, change(gradient, target)]))
    return this.applies ? new ScaledGradients(changed, undefined, this.applies) : changed
  }

  override *[Symbol.iterator](): IterableIterator<readonly [Tensor, Tensor]> {
    for (const [target] of this.unscaled) yield [target, this.get(target)]
  }
}

/** Clipped gradients, and the norm they had before. */
export class ClippedGradients extends ScaledGradients {
  declare readonly scale: Tensor

  constructor(
    gradients: Gradients,
    scale: Tensor,
    /** The Euclidean norm of all gradients together before clipping, f32[], or f64[] where one of them is f64. */
    readonly norm: Tensor,
  ) {
    super(gradients, scale)
  }
}

/**
 * The gradients times min(1, maxNorm / (norm + 1e-6)), norm that of all of them together (Pascanu et al. 2012); of scaled
 * gradients the norm is theirs times their factor. Throws `ArgumentError` unless maxNorm is above 0.
 */
export function clipGradients(gradients: Gradients, options: { readonly maxNorm: number }): ClippedGradients {
  if (!(gradients instanceof Gradients))
    throw new ArgumentError(`clipGradients: it takes what grad gives, not ${String(gradients)}`)
  const maxNorm = numberIn('clipGradients', 'maxNorm', options.maxNorm, Number.MIN_VALUE)
  if (gradients.size === 0) throw new ArgumentError('clipGradients: there are no gradients to clip')
  const norm = gradientNorm(gradients)
  const scale = minimum(div(full([], maxNorm, { dtype: norm.dtype }), add(norm, 1e-6)), 1)
  return new ClippedGradients(gradients, scale, norm)
}

/**
 * The Euclidean norm of all gradients together, their factor included, f32[], or f64[] where one of them is f64. A loss
 * scaled up does not make it infinite.
 */
export function gradientNorm(gradients: Gradients): Tensor {
  const scale = gradients instanceof ScaledGradients ? gradients.scale : undefined
  if (!scale || !(gradients instanceof ScaledGradients)) return globalNorm([...gradients].map(([, one]) => one))
  const list = [...gradients.unscaled].map(([, gradient]) => gradient)
  const norm = mul(globalNorm(list, { wide: true }), cast(scale, 'f64'))
  return list.some(({ dtype }) => dtype === 'f64') ? norm : cast(norm, 'f32')
}
