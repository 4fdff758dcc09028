// The layers of T5: pre-norm blocks of attention with biases by distance and a plain or gated feed-forward part (Raffel et al. 2020).
import { isDeferred, type Parameter } from '../cell.js'
import { Embedding } from '../nn/embedding.js'
import { normal } from '../nn/initialize.js'
import { Dropout } from '../nn/layers.js'
import { Linear } from '../nn/linear.js'
import { Module } from '../nn/module.js'
import { RMSNorm } from '../nn/norm.js'
import { scaledDotProductAttention } from '../ops/attention.js'
import { add, mul } from '../ops/element.js'
import type { FloatDType } from '../schema/dtype.js'
import type { Tensor } from '../tensor.js'
import { type Activation, activationOf } from './activation.js'
import type { CacheSlots, KeysAndValues } from './cache.js'
import { ConfigReader, type ModelConfig } from './config.js'
import { headsOf, joinHeads } from './layers.js'
import { initializeWeights, type ModelOptions } from './model.js'

export interface T5Settings {
  readonly vocabSize: number
  readonly width: number
  readonly headWidth: number
  readonly heads: number
  readonly inner: number
  readonly layers: number
  readonly decoderLayers: number
  readonly buckets: number
  readonly longest: number
  readonly dropout: number
  readonly eps: number
  readonly factor: number
  readonly activation: Activation
  readonly gated: boolean
  readonly tied: boolean
  /** Fills short rows up; the decoder's first token. */
  readonly padding: number
  readonly start: number
  readonly dtype: FloatDType
}

/** With the defaults of transformers' `T5Config`. */
export function t5Settings(owner: string, config: ModelConfig, { dtype = 'f32' }: ModelOptions): T5Settings {
  const reader = new ConfigReader(owner, config)
  const layers = reader.layers('num_layers', 6)
  const vocabSize = reader.integer('vocab_size', 32128)
  const kinds = ['relu', 'gelu', 'silu', 'gated-relu', 'gated-gelu', 'gated-silu'] as const
  const kind = reader.oneOf('feed_forward_proj', kinds, 'relu')
  // transformers means the tanh GELU where it says gated-gelu.
  const named = kind === 'gated-gelu' ? 'gelu_new' : kind.replace('gated-', '')
  const buckets = reader.integer('relative_attention_num_buckets', 32, 4)
  const padding = reader.padding(0, vocabSize) ?? 0
  return {
    vocabSize,
    layers,
    buckets,
    padding,
    width: reader.integer('d_model', 512),
    headWidth: reader.integer('d_kv', 64),
    heads: reader.integer('num_heads', 8),
    inner: reader.integer('d_ff', 2048),
    decoderLayers: reader.layers('num_decoder_layers', layers),
    // Above the distances that have buckets of their own.
    longest: reader.integer('relative_attention_max_distance', 128, Math.floor(buckets / 2) + 1, 2 ** 16),
    dropout: reader.number('dropout_rate', 0.1, 0, 1),
    eps: reader.number('layer_norm_epsilon', 1e-6),
    factor: reader.number('initializer_factor', 1),
    activation: activationOf(new ConfigReader(owner, { act: named }), 'act', 'relu'),
    gated: kind.startsWith('gated-'),
    tied: reader.boolean('tie_word_embeddings', true),
    start: reader.integer('decoder_start_token_id', padding, 0, vocabSize - 1),
    dtype,
  }
}

/** What self-attention of a block is given. */
export interface SelfInputs {
  /** Added to scores; -30000 where nothing is to be seen. */
  readonly biases: Tensor
  /** Where the new tokens stand in a cache, if there is one. */
  readonly slots?: CacheSlots | undefined
}

/** Attention without a scale and without biases in its maps. */
export class T5Attention extends Module {
  readonly q: Linear
  readonly k: Linear
  readonly v: Linear
  readonly o: Linear
  /** Of the first layer alone, which all layers use. */
  readonly relative_attention_bias: Embedding | undefined
  private readonly heads: number
  private readonly dropout: number

  constructor({ width, headWidth, heads, buckets, dropout, dtype }: T5Settings, relative: boolean) {
    super()
    const inner = heads * headWidth
    this.heads = heads
    this.dropout = dropout
    this.q = new Linear(width, inner, { bias: false, dtype })
    this.k = new Linear(width, inner, { bias: false, dtype })
    this.v = new Linear(width, inner, { bias: false, dtype })
    this.o = new Linear(inner, width, { bias: false, dtype })
    this.relative_attention_bias = relative ? new Embedding(buckets, heads, { dtype }) : undefined
  }

  /** What others attend to, of [B,S,width]. */
  project(x: Tensor): KeysAndValues {
    return { keys: headsOf(this.k.forward(x), this.heads), values: headsOf(this.v.forward(x), this.heads) }
  }

  /** [B,T,width] on keys and values; `mask` is added to the scores, or says which keys are seen. */
  forward(x: Tensor, { keys, values }: KeysAndValues, mask: Tensor | undefined): Tensor {
    const dropout = this.training ? this.dropout : 0
    const q = headsOf(this.q.forward(x), this.heads)
    return this.o.forward(joinHeads(scaledDotProductAttention(q, keys, values, { mask, dropout, scale: 1 })))
  }
}

/** A branch: its norm in front, dropout behind. */
abstract class Branch extends Module {
  readonly layer_norm: RMSNorm
  readonly dropout: Dropout

  constructor({ width, eps, dropout, dtype }: T5Settings) {
    super()
    this.layer_norm = new RMSNorm(width, { eps, dtype })
    this.dropout = new Dropout(dropout)
  }
}

class SelfBranch extends Branch {
  readonly SelfAttention: T5Attention

  constructor(settings: T5Settings, relative: boolean) {
    super(settings)
    this.SelfAttention = new T5Attention(settings, relative)
  }

  forward(x: Tensor, place: number, { biases, slots }: SelfInputs): Tensor {
    const normed = this.layer_norm.forward(x)
    const fresh = this.SelfAttention.project(normed)
    const seen = slots ? slots.write(place, fresh.keys, fresh.values) : fresh
    return add(x, this.dropout.forward(this.SelfAttention.forward(normed, seen, biases)))
  }
}

/** On what the encoder gave. */
export class CrossBranch extends Branch {
  readonly EncDecAttention: T5Attention

  constructor(settings: T5Settings) {
    super(settings)
    this.EncDecAttention = new T5Attention(settings, false)
  }

  forward(x: Tensor, cross: KeysAndValues, mask: Tensor | undefined): Tensor {
    const attended = this.EncDecAttention.forward(this.layer_norm.forward(x), cross, mask)
    return add(x, this.dropout.forward(attended))
  }
}

/** Wide inside: activated, dropped and narrowed again. */
abstract class FeedForward extends Module {
  readonly wo: Linear
  readonly dropout: Dropout
  protected readonly activation: Activation

  constructor({ width, inner, dropout, activation, dtype }: T5Settings) {
    super()
    this.activation = activation
    this.wo = new Linear(inner, width, { bias: false, dtype })
    this.dropout = new Dropout(dropout)
  }

  protected abstract widened(x: Tensor): Tensor

  forward(x: Tensor): Tensor {
    return this.wo.forward(this.dropout.forward(this.widened(x)))
  }
}

/** wo(activation(wi x)). */
class PlainFeedForward extends FeedForward {
  readonly wi: Linear

  constructor(settings: T5Settings) {
    super(settings)
    this.wi = new Linear(settings.width, settings.inner, { bias: false, dtype: settings.dtype })
  }

  protected widened(x: Tensor): Tensor {
    return this.activation(this.wi.forward(x))
  }
}

/** wo(activation(wi_0 x) * wi_1 x) (Shazeer 2020). */
class GatedFeedForward extends FeedForward {
  readonly wi_0: Linear
  readonly wi_1: Linear

  constructor(settings: T5Settings) {
    super(settings)
    const { width, inner, dtype } = settings
    this.wi_0 = new Linear(width, inner, { bias: false, dtype })
    this.wi_1 = new Linear(width, inner, { bias: false, dtype })
  }

  protected widened(x: Tensor): Tensor {
    return mul(this.activation(this.wi_0.forward(x)), this.wi_1.forward(x))
  }
}

class FeedForwardBranch extends Branch {
  readonly DenseReluDense: FeedForward

  constructor(settings: T5Settings) {
    super(settings)
    this.DenseReluDense = settings.gated ? new GatedFeedForward(settings) : new PlainFeedForward(settings)
  }

  forward(x: Tensor): Tensor {
    return add(x, this.dropout.forward(this.DenseReluDense.forward(this.layer_norm.forward(x))))
  }
}

/** Self-attention and a feed-forward part; in a decoder attention on the encoder's result between them. */
export class T5Block extends Module {
  readonly layer: readonly [SelfBranch, FeedForwardBranch] | readonly [SelfBranch, CrossBranch, FeedForwardBranch]

  constructor(
    settings: T5Settings,
    private readonly place: number,
    isDecoder: boolean,
  ) {
    super()
    const own = new SelfBranch(settings, place === 0)
    const ending = new FeedForwardBranch(settings)
    this.layer = isDecoder ? [own, new CrossBranch(settings), ending] : [own, ending]
  }

  /** The branch that sees the encoder's result; undefined in an encoder. */
  get cross(): CrossBranch | undefined {
    return this.layer.length === 3 ? this.layer[1] : undefined
  }

  get relativeBias(): Parameter | undefined {
    return this.layer[0].SelfAttention.relative_attention_bias?.weight
  }

  forward(x: Tensor, inputs: SelfInputs, cross?: KeysAndValues, crossMask?: Tensor): Tensor {
    const attended = this.layer[0].forward(x, this.place, inputs)
    const informed = this.cross && cross ? this.cross.forward(attended, cross, crossMask) : attended
    return (this.layer.at(-1) as FeedForwardBranch).forward(informed)
  }
}

/** Fresh weights as transformers starts them, so that scores need no scale. */
export function initializeT5(model: Module, { width, headWidth, heads, inner, factor, dtype }: T5Settings): void {
  if (isDeferred()) return
  const stds: readonly (readonly [RegExp, number])[] = [
    [/^(shared|lm_head)\./, 1],
    [/\.q\.weight$/, (width * headWidth) ** -0.5],
    [/\.o\.weight$/, (heads * headWidth) ** -0.5],
    [/\.wo\.weight$/, inner ** -0.5],
    [/\.(k|v|wi|wi_0|wi_1|relative_attention_bias)\.weight$/, width ** -0.5],
  ]
  for (const [name, parameter] of model.namedParameters()) {
    const found = stds.find(([pattern]) => pattern.test(name))
    if (found) parameter.assign(normal(parameter.shape, { std: found[1] * factor, dtype }))
    else initializeWeights([[name, parameter]], factor)
  }
}
