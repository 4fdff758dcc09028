// Scaled dot-product attention with causal and given masks, grouped heads and dropout.
import { ArgumentError, DTypeError, ShapeError } from '../runtime/errors.js'
import { type DType, isFloat } from '../schema/dtype.js'
import type { Spec } from '../schema/op.js'
import { broadcastShapes, formatShape, type Shape, sameShape, sizeOf } from '../schema/shape.js'
import type { Tensor } from '../tensor.js'
import { floatOperand, numberIn, optionsOf, sameDType } from './arguments.js'
import { type AttentionExtras, type AttentionParams, gradients, slopes } from './attentionComposite.js'
import { narrowed } from './autocast.js'
import { defineOp, operand } from './define.js'
import { cast, mul } from './element.js'
import { throughComposite } from './gradient.js'
import { sumTo } from './linear.js'
import { statisticOf } from './norm.js'
import { type Generator, generatorOf } from './random.js'

const PARAMS = { scale: 'f64', causal: 'bool', hasMask: 'bool', dropout: 'f64', offset: 'i64' } as const

/** The memory order of an operand, where the last axis is innermost, as the kernel needs. */
const innermost = (order: readonly number[] | undefined): readonly number[] | undefined =>
  order?.at(-1) === 3 ? order : undefined

/** The operands that stand behind q, k and v, where there are any. */
function extrasOf(operands: readonly Tensor[], { hasMask, dropout }: AttentionParams): AttentionExtras {
  return { mask: hasMask ? operands[3] : undefined, state: dropout > 0 ? operands[hasMask ? 4 : 3] : undefined }
}

/**
 * q [B,H,T,D], k [B,Hkv,S,D], v [B,Hkv,S,Dv], mask?, state? -> out [B,H,T,Dv] and the logarithms of the rows' sums
 * [B,H,T]. With `dropout` in (0, 1), `state` is a generator's i64 [seed, counter], and weight (b, h, i, j) is dropped
 * where the f32 `uniform` of index ((b H + h) T + i) S + j and of `offset` (`schema/program.ts`) is below `dropout`,
 * rounded to f32; the others are divided by 1 - dropout.
 */
const ATTENTION = defineOp('attention', {
  inputs: ['q', 'k', 'v', 'mask', 'state'],
  outputs: ['out', 'lse'],
  params: PARAMS,
  strides: ['lastAxis', 'lastAxis', 'lastAxis', 'any'],
  // In the order of q, so that heads that are views of one [B,T,C] matrix give such a matrix.
  order: ([q]) => [innermost(q), undefined],
  shape: ([q, , v]) => {
    const { dtype, shape } = q as Spec
    const rows = shape.slice(0, 3)
    return [
      { dtype, shape: [...rows, (v as Spec).shape[3] as number] },
      { dtype: statisticOf(dtype), shape: rows },
    ]
  },
  grad: ({ q, k, v, out, lse }, dout, params, _, operands) => {
    const extras = extrasOf(operands, params)
    const { mask, state } = extras
    const [dq, dk, dv] = ATTENTION_GRAD([q, k, v, mask, state, out, lse, dout], params)
    if (!mask || !isFloat(mask.dtype)) return [dq, dk, dv]
    // The kernel gives none for an additive mask; computed only where somebody asks for it.
    const { dscores } = slopes([q, k, v, dout], extras, params)
    return [dq, dk, dv, cast(sumTo(dscores, mask.shape), mask.dtype)]
  },
})

/** q, k, v, mask?, state?, out, lse, dout -> dq, dk, dv; what is dropped is drawn again from the same state. */
const ATTENTION_GRAD = defineOp('attentionGrad', {
  inputs: ['q', 'k', 'v'],
  outputs: ['dq', 'dk', 'dv'],
  params: PARAMS,
  strides: ['lastAxis'],
  order: ([q, k, v]) => [innermost(q), innermost(k), innermost(v)],
  shape: ([q, k, v]) => [q as Spec, k as Spec, v as Spec],
  grad: ({ q, k, v }, _, params, cotangents, operands) => {
    const { mask, state } = extrasOf(operands, params)
    const dout = operands.at(-1) as Tensor
    // `out` and `lse` are functions of q, k and v, which the composite computes again: nothing flows through them.
    const given = [q, k, v, dout, ...(mask ? [mask] : [])]
    const [dq, dk, dv, ddout, dmask] = throughComposite(
      ([a, b, c, d, m]) => gradients([a, b, c, d] as never, { mask: m, state }, params),
      given,
      cotangents,
    )
    return [dq, dk, dv, ...operands.slice(3, -1).map((other) => (other === mask ? dmask : undefined)), ddout]
  },
})

export interface AttentionOptions {
  /** bool (true: attend) or floats added to the scores; broadcast to [B,H,T,S]. */
  readonly mask?: Tensor | undefined
  /** Query i sees key j only where j <= i + S - T: the last query sees every key. Default false. */
  readonly causal?: boolean
  /** Factor of the scores. Default 1 / sqrt(D). */
  readonly scale?: number
  /**
   * Probability of dropping an attention weight (Srivastava et al. 2014). What is dropped is what `dropout` of the weights
   * [B,H,T,S] would drop, but they are not held: the gradient draws again what the result drew. Default 0.
   */
  readonly dropout?: number
  /** Draws what is dropped. Default: the shared one that `seed` sets. */
  readonly generator?: Generator
}

/**
 * softmax(q k^T scale + mask) v (Vaswani et al. 2017), without holding the weights (Dao 2023, FlashAttention-2).
 * q [B,H,T,D], k [B,Hkv,S,D], v [B,Hkv,S,Dv] -> [B,H,T,Dv]; with H a multiple of Hkv, neighbouring query heads share a
 * key head (Ainslie et al. 2023, GQA). A query that may attend to nothing gives zeros. The result lies in memory in the
 * order of q. Throws `ShapeError`, `DTypeError` and `ArgumentError` where operands do not fit.
 */
export function scaledDotProductAttention<D extends DType>(
  q: Tensor<D>,
  k: Tensor,
  v: Tensor,
  options: AttentionOptions = {},
): Tensor<D> {
  const op = 'scaledDotProductAttention'
  const given = [q, k, v].map((tensor) => narrowed(op, tensor))
  const values = given.map((tensor) => floatOperand(op, tensor))
  const shapes = values.map(({ shape }) => shape) as [Shape, Shape, Shape]
  sameDType(op, ['q', 'k', 'v'], values)
  checkShapes(op, ...shapes)
  const { mask, causal = false, dropout = 0 } = optionsOf(op, options)
  const scale = numberIn(op, 'scale', options.scale ?? 1 / Math.sqrt(shapes[0][3] as number), Number.NEGATIVE_INFINITY)
  numberIn(op, 'dropout', dropout, 0, 1)
  if (mask) checkMask(op, mask, shapes)
  const plain = { scale, causal, hasMask: mask !== undefined, dropout: 0, offset: 0 }
  // Where everything is dropped nothing has to be drawn.
  if (dropout === 0 || dropout === 1) {
    const [out] = ATTENTION([...given, mask], plain)
    return (dropout === 0 ? out : mul(out, 0)) as Tensor<D>
  }
  const { state, offset } = generatorOf(op, options, q.device).reserve(sizeOf(scoresShape(shapes)), 'f32')
  const [out] = ATTENTION([...given, mask, state], { ...plain, dropout, offset })
  return out as Tensor<D>
}

/** [B,H,T,S]. */
const scoresShape = ([q, k]: readonly [Shape, Shape, Shape]): Shape => [q[0], q[1], q[2], k[2]] as number[]

function checkShapes(op: string, q: Shape, k: Shape, v: Shape): void {
  const text = `q ${formatShape(q)}, k ${formatShape(k)}, v ${formatShape(v)}`
  if (q.length !== 4 || k.length !== 4 || v.length !== 4) {
    throw new ShapeError(`${op}: it takes q [B,H,T,D], k [B,Hkv,S,D] and v [B,Hkv,S,Dv], not ${text}`)
  }
  if (q[0] !== k[0] || !sameShape(k.slice(0, 3), v.slice(0, 3))) {
    throw new ShapeError(`${op}: batch, heads and lengths of k and v must be equal, and the batch that of q: ${text}`)
  }
  if (q[3] !== k[3]) throw new ShapeError(`${op}: q and k must have heads of one width: ${text}`)
  if (k[1] === 0 || (q[1] as number) % (k[1] as number) !== 0) {
    throw new ShapeError(`${op}: the heads of q must be a multiple of those of k and v: ${text}`)
  }
  if (q[3] === 0) throw new ArgumentError(`${op}: heads have no width: ${text}`)
}

function checkMask(op: string, mask: Tensor, shapes: readonly [Shape, Shape, Shape]): void {
  const { dtype, shape } = operand(op, mask)
  if (dtype !== 'bool' && !isFloat(dtype)) {
    throw new DTypeError(`${op}: the mask is bool (true: attend) or float (added to the scores), not ${dtype}`)
  }
  const scores = scoresShape(shapes)
  const joined = broadcastShapes(shape, scores)
  if (!joined || !sameShape(joined, scores)) {
    throw new ShapeError(`${op}: the mask ${formatShape(shape)} does not broadcast to ${formatShape(scores)}`)
  }
}
