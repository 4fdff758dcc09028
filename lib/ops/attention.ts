// Scaled dot-product attention with causal and given masks and grouped heads.
import { ArgumentError, DTypeError, ShapeError } from '../runtime/errors.js'
import { type DType, isFloat } from '../schema/dtype.js'
import type { Spec } from '../schema/op.js'
import { broadcastShapes, formatShape, type Shape, sameShape } from '../schema/shape.js'
import type { Tensor } from '../tensor.js'
import { floatOperand, numberIn, optionsOf, sameDType } from './arguments.js'
import { defineOp, operand } from './define.js'
import { add, cast, ge, iota, logicalAnd, mul, sub, where } from './element.js'
import { throughComposite } from './gradient.js'
import { repeated, reshaped, sumTo } from './linear.js'
import { matmul } from './matmul.js'
import { statisticOf } from './norm.js'
import { dropout as dropoutOf } from './random.js'
import { sum } from './reduce.js'
import { softmax } from './softmax.js'
import { broadcastTo, transpose, unsqueeze } from './view.js'

interface AttentionParams {
  readonly scale: number
  readonly causal: boolean
  readonly hasMask: boolean
}
const PARAMS = { scale: 'f64', causal: 'bool', hasMask: 'bool' } as const

/** The memory order of an operand, where the last axis is innermost, as the kernel needs. */
const innermost = (order: readonly number[] | undefined): readonly number[] | undefined =>
  order?.at(-1) === 3 ? order : undefined

/** q [B,H,T,D], k [B,Hkv,S,D], v [B,Hkv,S,Dv], mask -> out [B,H,T,Dv] and the logarithms of the rows' sums [B,H,T]. */
const ATTENTION = defineOp('attention', {
  inputs: ['q', 'k', 'v', 'mask'],
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
    const mask = params.hasMask ? operands[3] : undefined
    const [dq, dk, dv] = ATTENTION_GRAD([q, k, v, mask, out, lse, dout], params)
    if (!mask) return [dq, dk, dv]
    if (!isFloat(mask.dtype)) return [dq, dk, dv, undefined]
    // The kernel gives none for an additive mask; computed only where somebody asks for it.
    const { dscores } = slopes(q, k, v, dout, mask, params)
    return [dq, dk, dv, cast(sumTo(dscores, mask.shape), mask.dtype)]
  },
})

const ATTENTION_GRAD = defineOp('attentionGrad', {
  inputs: ['q', 'k', 'v'],
  outputs: ['dq', 'dk', 'dv'],
  params: PARAMS,
  strides: ['lastAxis'],
  order: ([q, k, v]) => [innermost(q), innermost(k), innermost(v)],
  shape: ([q, k, v]) => [q as Spec, k as Spec, v as Spec],
  grad: ({ q, k, v }, _, params, cotangents, operands) => {
    const mask = params.hasMask ? operands[3] : undefined
    const dout = operands.at(-1) as Tensor
    // `out` and `lse` are functions of q, k and v, which the composite computes again: nothing flows through them.
    const given = [q, k, v, dout, ...(mask ? [mask] : [])]
    const [dq, dk, dv, ddout, dmask] = throughComposite(
      ([a, b, c, d, m]) => gradients([a, b, c, d] as never, m, params),
      given,
      cotangents,
    )
    return [dq, dk, dv, ...(mask ? [isFloat(mask.dtype) ? dmask : undefined] : []), undefined, undefined, ddout]
  },
})

/** Heads of keys or values once per query head: head h uses head h / (H / Hkv). */
function perQueryHead(x: Tensor, heads: number): Tensor {
  const [batch, own, length, width] = x.shape as readonly [number, number, number, number]
  if (own === heads) return x
  const groups = repeated(reshaped(x, [batch, own, 1, length, width]), [batch, own, heads / own, length, width])
  return reshaped(groups, [batch, heads, length, width])
}

/** The transpose of `perQueryHead`. */
function perOwnHead(x: Tensor, own: number): Tensor {
  const [batch, heads, length, width] = x.shape as readonly [number, number, number, number]
  return own === heads ? x : sum(reshaped(x, [batch, own, heads / own, length, width]), { axes: 2 })
}

/** Which keys a query sees, broadcast to [B,H,T,S]; undefined where it sees all. Query i sees key j <= i + S - T. */
function visible(queries: number, keys: number, mask: Tensor | undefined, causal: boolean): Tensor | undefined {
  const given = mask && mask.dtype === 'bool' ? mask : undefined
  if (!causal) return given
  const last = add(unsqueeze(iota([queries], 'i32'), 1), keys - queries)
  const past = ge(last, iota([1, keys], 'i32'))
  return given ? logicalAnd(given, past) : past
}

/** softmax(q k^T scale + mask) [B,H,T,S]; a query that sees no key has zeros. */
function weights(q: Tensor, k: Tensor, mask: Tensor | undefined, { scale, causal }: AttentionParams): Tensor {
  const products = mul(matmul(q, transpose(perQueryHead(k, q.shape[1] as number))), scale)
  const scores = mask && mask.dtype !== 'bool' ? add(products, cast(mask, products.dtype)) : products
  const seen = visible(q.shape[2] as number, k.shape[2] as number, mask, causal)
  if (!seen) return softmax(scores)
  const everywhere = broadcastTo(seen, scores.shape)
  // A finite floor, since a row of infinities has no softmax; what it leaves over is set to 0.
  const floor = scores.dtype === 'f16' ? -6e4 : -1e30
  return where(everywhere, softmax(where(everywhere, scores, floor)), 0)
}

function slopes(q: Tensor, k: Tensor, v: Tensor, dout: Tensor, mask: Tensor | undefined, params: AttentionParams) {
  const p = weights(q, k, mask, params)
  const dp = matmul(dout, transpose(perQueryHead(v, q.shape[1] as number)))
  return { p, dscores: mul(p, sub(dp, sum(mul(dp, p), { axes: -1, keepDims: true }))) }
}

/** What `attentionGrad` computes, in other ops. */
function gradients(
  [q, k, v, dout]: readonly [Tensor, Tensor, Tensor, Tensor],
  mask: Tensor | undefined,
  params: AttentionParams,
): Tensor[] {
  const { p, dscores } = slopes(q, k, v, dout, mask, params)
  const scaled = mul(dscores, params.scale)
  const [heads, own] = [q.shape[1] as number, k.shape[1] as number]
  return [
    matmul(scaled, perQueryHead(k, heads)),
    perOwnHead(matmul(transpose(scaled), q), own),
    perOwnHead(matmul(transpose(p), dout), own),
  ]
}

export interface AttentionOptions {
  /** bool (true: attend) or floats added to the scores; broadcast to [B,H,T,S]. */
  readonly mask?: Tensor | undefined
  /** Query i sees key j only where j <= i + S - T: the last query sees every key. Default false. */
  readonly causal?: boolean
  /** Factor of the scores. Default 1 / sqrt(D). */
  readonly scale?: number
  /** Probability of dropping an attention weight; above 0 the weights [B,H,T,S] are kept in memory. Default 0. */
  readonly dropout?: number
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
  const values = [q, k, v].map((tensor) => floatOperand(op, tensor))
  const shapes = values.map(({ shape }) => shape) as [Shape, Shape, Shape]
  sameDType(op, ['q', 'k', 'v'], values)
  checkShapes(op, ...shapes)
  const { mask, causal = false, dropout = 0 } = optionsOf(op, options)
  const scale = numberIn(op, 'scale', options.scale ?? 1 / Math.sqrt(shapes[0][3] as number), Number.NEGATIVE_INFINITY)
  numberIn(op, 'dropout', dropout, 0, 1)
  if (mask) checkMask(op, mask, shapes)
  const params = { scale, causal, hasMask: mask !== undefined }
  if (dropout > 0) {
    const kept = dropoutOf(weights(q, k, mask, params), dropout)
    return matmul(kept, perQueryHead(v, shapes[0][1] as number)) as Tensor<D>
  }
  const [out] = ATTENTION([q, k, v, mask], params)
  return out as Tensor<D>
}

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

function checkMask(op: string, mask: Tensor, [q, k]: readonly [Shape, Shape, Shape]): void {
  const { dtype, shape } = operand(op, mask)
  if (dtype !== 'bool' && !isFloat(dtype)) {
    throw new DTypeError(`${op}: the mask is bool (true: attend) or float (added to the scores), not ${dtype}`)
  }
  const scores = [q[0], q[1], q[2], k[2]] as number[]
  const joined = broadcastShapes(shape, scores)
  if (!joined || !sameShape(joined, scores)) {
    throw new ShapeError(`${op}: the mask ${formatShape(shape)} does not broadcast to ${formatShape(scores)}`)
  }
}
