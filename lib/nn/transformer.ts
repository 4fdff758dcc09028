// Multi-head attention and the pre-norm transformer block around it.

import { gelu, relu, silu } from '../ops/activation.js'
import { integerFrom, numberIn, oneOf } from '../ops/arguments.js'
import { scaledDotProductAttention } from '../ops/attention.js'
import { split } from '../ops/concat.js'
import { add } from '../ops/element.js'
import { permute, reshape } from '../ops/view.js'
import { ArgumentError, ShapeError } from '../runtime/errors.js'
import type { FloatDType } from '../schema/dtype.js'
import { formatShape } from '../schema/shape.js'
import type { Tensor } from '../tensor.js'
import { Dropout } from './layers.js'
import { Linear } from './linear.js'
import { Module } from './module.js'
import { LayerNorm } from './norm.js'

export interface AttentionLayerOptions {
  /** Heads of keys and values, a divisor of `heads`. Default `heads`. */
  readonly keyHeads?: number
  /** Position i sees positions up to i only. Default false. */
  readonly causal?: boolean
  /** Probability of dropping an attention weight while training. Default 0. */
  readonly dropout?: number
  readonly bias?: boolean
  readonly dtype?: FloatDType
}

/**
 * Self-attention with several heads (Vaswani et al. 2017): [B,T,width] -> [B,T,width]. One projection `qkv` makes
 * queries, keys and values, heads behind one another; `projection` mixes the heads' results.
 */
export class MultiHeadAttention extends Module {
  readonly qkv: Linear
  readonly projection: Linear
  readonly keyHeads: number
  readonly causal: boolean
  readonly dropout: number

  constructor(
    readonly width: number,
    readonly heads: number,
    options: AttentionLayerOptions = {},
  ) {
    super()
    const op = 'MultiHeadAttention'
    const { keyHeads = heads, causal = false, dropout = 0, bias = true, dtype = 'f32' } = options
    for (const [name, value] of Object.entries({ width, heads, keyHeads })) integerFrom(op, name, value, 1)
    if (width % heads !== 0) throw new ArgumentError(`${op}: the width ${width} is no multiple of ${heads} heads`)
    if (heads % keyHeads !== 0)
      throw new ArgumentError(`${op}: ${heads} heads are no multiple of ${keyHeads} key heads`)
    this.keyHeads = keyHeads
    this.causal = causal
    this.dropout = numberIn(op, 'dropout', dropout, 0, 1)
    this.qkv = new Linear(width, (width / heads) * (heads + 2 * keyHeads), { bias, dtype })
    this.projection = new Linear(width, width, { bias, dtype })
  }

  /** `mask` as in `scaledDotProductAttention`: broadcast to [B,heads,T,T]. */
  forward(x: Tensor, options: { readonly mask?: Tensor | undefined } = {}): Tensor {
    const { width, heads, keyHeads } = this
    if (x.rank !== 3 || x.shape[2] !== width) {
      throw new ShapeError(`MultiHeadAttention: it takes [B,T,${width}], not ${formatShape(x.shape)}`)
    }
    const [batch, length] = x.shape as readonly [number, number, number]
    const head = width / heads
    const parts = split(this.qkv.forward(x), [heads * head, keyHeads * head, keyHeads * head], -1)
    // Views of the projection's memory, and back: attention keeps its result in the order of q.
    const [q, k, v] = parts.map((part) => permute(reshape(part, [batch, length, -1, head]), [0, 2, 1, 3])) as [
      Tensor,
      Tensor,
      Tensor,
    ]
    const dropout = this.training ? this.dropout : 0
    const mixed = scaledDotProductAttention(q, k, v, { causal: this.causal, mask: options.mask, dropout })
    return this.projection.forward(reshape(permute(mixed, [0, 2, 1, 3]), [batch, length, width]))
  }
}

const ACTIVATIONS = {
  gelu: (x: Tensor) => gelu(x),
  geluTanh: (x: Tensor) => gelu(x, { approximate: 'tanh' }),
  relu: (x: Tensor) => relu(x),
  silu: (x: Tensor) => silu(x),
}

export interface TransformerBlockOptions extends AttentionLayerOptions {
  /** Width inside the feed-forward part. Default 4 times the width. */
  readonly hidden?: number
  /** Default `gelu`. */
  readonly activation?: keyof typeof ACTIVATIONS
  /** Of the norms. Default 1e-5. */
  readonly eps?: number
}

/**
 * A pre-norm transformer block (Xiong et al. 2020): x + attention(norm(x)), then x + feedForward(norm(x)); [B,T,width] ->
 * [B,T,width]. `dropout` applies to attention weights and to both branches.
 */
export class TransformerBlock extends Module {
  readonly norm1: LayerNorm
  readonly attention: MultiHeadAttention
  readonly norm2: LayerNorm
  readonly expand: Linear
  readonly contract: Linear
  readonly dropout: Dropout
  readonly activation: keyof typeof ACTIVATIONS

  constructor(width: number, heads: number, options: TransformerBlockOptions = {}) {
    super()
    const { hidden = 4 * width, activation = 'gelu', eps = 1e-5, dropout = 0, bias = true, dtype = 'f32' } = options
    this.activation = oneOf(
      'TransformerBlock',
      'activation',
      activation,
      Object.keys(ACTIVATIONS) as (keyof typeof ACTIVATIONS)[],
    )
    this.norm1 = new LayerNorm(width, { eps, dtype, bias })
    this.attention = new MultiHeadAttention(width, heads, options)
    this.norm2 = new LayerNorm(width, { eps, dtype, bias })
    this.expand = new Linear(width, hidden, { bias, dtype })
    this.contract = new Linear(hidden, width, { bias, dtype })
    this.dropout = new Dropout(dropout)
  }

  forward(x: Tensor, options: { readonly mask?: Tensor | undefined } = {}): Tensor {
    const attended = add(x, this.dropout.forward(this.attention.forward(this.norm1.forward(x), options)))
    const hidden = ACTIVATIONS[this.activation](this.expand.forward(this.norm2.forward(attended)))
    return add(attended, this.dropout.forward(this.contract.forward(hidden)))
  }
}
