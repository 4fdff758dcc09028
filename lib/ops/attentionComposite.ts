// Attention in other ops, which hold the weights [B,H,T,S]: what its kernels are differentiated a second time through.
import type { Shape } from '../schema/shape.js'
import type { Tensor } from '../tensor.js'
import { add, cast, ge, iota, logicalAnd, mul, sub, where } from './element.js'
import { repeated, reshaped } from './linear.js'
import { matmul } from './matmul.js'
import { drawAt, dropBelow } from './random.js'
import { sum } from './reduce.js'
import { softmax } from './softmax.js'
import { broadcastTo, transpose, unsqueeze } from './view.js'

export interface AttentionParams {
  readonly scale: number
  readonly causal: boolean
  readonly hasMask: boolean
  /** Probability of dropping a weight, below 1. */
  readonly dropout: number
  /** Of the weights' draw in its stream, in blocks of Philox behind the counter. */
  readonly offset: number
}

/** The operands that are not always there: a mask, and the generator's state where weights are dropped. */
export interface AttentionExtras {
  readonly mask?: Tensor | undefined
  readonly state?: Tensor | undefined
}

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

/** What drops the weights the kernel drops, for weights and for what comes back to them. */
function dropping(state: Tensor | undefined, shape: Shape, { dropout, offset }: AttentionParams) {
  if (!state) return (x: Tensor): Tensor => x
  const unit = drawAt({ state, offset }, 'uniform', shape, 'f32')
  return (x: Tensor): Tensor => dropBelow(x, unit, dropout)
}

/** With the weights P and those kept of them, D: dS = P (dP - rowsum(dP P)), where dP = D'(dO V^T). */
export function slopes(
  [q, k, v, dout]: readonly [Tensor, Tensor, Tensor, Tensor],
  { mask, state }: AttentionExtras,
  params: AttentionParams,
): { readonly kept: Tensor; readonly dscores: Tensor } {
  const p = weights(q, k, mask, params)
  const drop = dropping(state, p.shape, params)
  const dp = drop(matmul(dout, transpose(perQueryHead(v, q.shape[1] as number))))
  return { kept: drop(p), dscores: mul(p, sub(dp, sum(mul(dp, p), { axes: -1, keepDims: true }))) }
}

/** The gradients by q, k and v: what `attentionGrad` computes. */
export function gradients(
  operands: readonly [Tensor, Tensor, Tensor, Tensor],
  extras: AttentionExtras,
  params: AttentionParams,
): Tensor[] {
  const [q, k, , dout] = operands
  const { kept, dscores } = slopes(operands, extras, params)
  const scaled = mul(dscores, params.scale)
  const [heads, own] = [q.shape[1] as number, k.shape[1] as number]
  return [
    matmul(scaled, perQueryHead(k, heads)),
    perOwnHead(matmul(transpose(scaled), q), own),
    perOwnHead(matmul(transpose(kept), dout), own),
  ]
}
