// The layers that BERT and RoBERTa are made of: embeddings, post-norm encoder, pooler (Devlin et al. 2019).
import { Embedding } from '../nn/embedding.js'
import { Dropout } from '../nn/layers.js'
import { Linear } from '../nn/linear.js'
import { Module } from '../nn/module.js'
import { LayerNorm } from '../nn/norm.js'
import { arange, zeros } from '../ops/create.js'
import { add, tanh } from '../ops/element.js'
import { slice } from '../ops/view.js'
import type { FloatDType } from '../schema/dtype.js'
import type { Tensor } from '../tensor.js'
import { type Activation, activationOf } from './activation.js'
import { ConfigReader, type ModelConfig } from './config.js'
import { attend, checkTokens, type LayersOutput, throughLayers } from './layers.js'

/** What the layers need to know of a config. */
export interface BertSettings {
  readonly vocabSize: number
  readonly width: number
  readonly layers: number
  readonly heads: number
  /** Heads of each layer: fewer where some were pruned. */
  readonly layerHeads: readonly number[]
  readonly inner: number
  readonly activation: Activation
  readonly dropout: number
  readonly attentionDropout: number
  readonly headDropout: number
  /** Rows of the table of positions. */
  readonly positions: number
  readonly types: number
  readonly eps: number
  readonly padding: number | undefined
  readonly dtype: FloatDType
}

/** The settings of a config, with the defaults of transformers' `BertConfig`. Throws `PretrainedError`. */
export function bertSettings(owner: string, config: ModelConfig, dtype: FloatDType, padding: number): BertSettings {
  const reader = new ConfigReader(owner, config)
  reader.oneOf('position_embedding_type', ['absolute'], 'absolute')
  if (reader.boolean('is_decoder', false)) throw reader.error('is_decoder', 'false: this is an encoder')
  const width = reader.integer('hidden_size', 768)
  const heads = reader.integer('num_attention_heads', 12)
  reader.headWidth('hidden_size', width, 'num_attention_heads', heads)
  const layers = reader.layers('num_hidden_layers', 12)
  const vocabSize = reader.integer('vocab_size', 30522)
  const dropout = reader.number('hidden_dropout_prob', 0.1, 0, 1)
  return {
    vocabSize,
    width,
    heads,
    layers,
    layerHeads: reader.headsKept(layers, heads),
    inner: reader.integer('intermediate_size', 3072),
    activation: activationOf(reader, 'hidden_act', 'gelu'),
    dropout,
    attentionDropout: reader.number('attention_probs_dropout_prob', 0.1, 0, 1),
    headDropout: reader.number('classifier_dropout', dropout, 0, 1),
    positions: reader.integer('max_position_embeddings', 512),
    types: reader.integer('type_vocab_size', 2),
    eps: reader.number('layer_norm_eps', 1e-12),
    padding: reader.padding(padding, vocabSize),
    dtype,
  }
}

export interface EncoderInputs {
  /** [B,T], bool or numbers: other than 0 where a token is real, 0 where it only fills up the row. Default: all are real. */
  readonly mask?: Tensor | undefined
  /** [B,T], i32 or i64: which of the texts of a pair a token belongs to. Default 0. */
  readonly tokenTypes?: Tensor | undefined
  /** [B,T] or [T], i32 or i64: rows of the table of positions. Default: counted as the model was trained. */
  readonly positions?: Tensor | undefined
}

export type EncoderOutput = LayersOutput

/** A linear map, dropout, and the norm of its sum with what went around it. */
class AddAndNorm extends Module {
  readonly dense: Linear
  readonly LayerNorm: LayerNorm
  readonly dropout: Dropout

  constructor(inFeatures: number, { width, eps, dropout, dtype }: BertSettings) {
    super()
    this.dense = new Linear(inFeatures, width, { dtype })
    this.LayerNorm = new LayerNorm(width, { eps, dtype })
    this.dropout = new Dropout(dropout)
  }

  forward(x: Tensor, around: Tensor): Tensor {
    return this.LayerNorm.forward(add(this.dropout.forward(this.dense.forward(x)), around))
  }
}

/** What attention needs to know. */
export interface AttentionSettings {
  readonly width: number
  readonly heads: number
  readonly attentionDropout: number
  /** Biases of queries, keys and values. Default true. */
  readonly bias?: boolean
  readonly dtype: FloatDType
}

/** Attention of a sequence on itself, heads joined: [B,T,width] -> [B,T,width], without an output map. */
export class SelfAttention extends Module {
  readonly query: Linear
  readonly key: Linear
  readonly value: Linear
  readonly heads: number
  readonly dropout: number

  /** `kept`: where heads were cut off, how many are left. */
  constructor({ width, heads, attentionDropout, bias = true, dtype }: AttentionSettings, kept: number = heads) {
    super()
    this.heads = kept
    this.dropout = attentionDropout
    const all = (width / heads) * kept
    this.query = new Linear(width, all, { bias, dtype })
    this.key = new Linear(width, all, { bias, dtype })
    this.value = new Linear(width, all, { bias, dtype })
  }

  forward(x: Tensor, mask?: Tensor): Tensor {
    const dropout = this.training ? this.dropout : 0
    return attend(this.query.forward(x), this.key.forward(x), this.value.forward(x), this.heads, { mask, dropout })
  }
}

class Attention extends Module {
  readonly self: SelfAttention
  readonly output: AddAndNorm

  constructor(settings: BertSettings, place: number) {
    super()
    this.self = new SelfAttention(settings, settings.layerHeads[place])
    this.output = new AddAndNorm(this.self.query.outFeatures, settings)
  }

  forward(x: Tensor, mask: Tensor | undefined): Tensor {
    return this.output.forward(this.self.forward(x, mask), x)
  }
}

/** The first half of a feed-forward part: [...,width] -> [...,inner]. */
export class Intermediate extends Module {
  readonly dense: Linear

  constructor(
    { width, inner, dtype }: Pick<BertSettings, 'width' | 'inner' | 'dtype'>,
    private readonly activation: Activation,
  ) {
    super()
    this.dense = new Linear(width, inner, { dtype })
  }

  forward(x: Tensor): Tensor {
    return this.activation(this.dense.forward(x))
  }
}

class BertLayer extends Module {
  readonly attention: Attention
  readonly intermediate: Intermediate
  readonly output: AddAndNorm

  constructor(settings: BertSettings, place: number) {
    super()
    this.attention = new Attention(settings, place)
    this.intermediate = new Intermediate(settings, settings.activation)
    this.output = new AddAndNorm(settings.inner, settings)
  }

  forward(x: Tensor, mask: Tensor | undefined): Tensor {
    const attended = this.attention.forward(x, mask)
    return this.output.forward(this.intermediate.forward(attended), attended)
  }
}

/** Layers one after the other, under the name `layer`. */
export class BertEncoder extends Module {
  readonly layer: readonly BertLayer[]

  constructor(settings: BertSettings) {
    super()
    this.layer = Array.from({ length: settings.layers }, (_, place) => new BertLayer(settings, place))
  }

  forward(embedded: Tensor, mask: Tensor | undefined): EncoderOutput {
    return throughLayers(
      embedded,
      this.layer.map((layer) => (x) => layer.forward(x, mask)),
    )
  }
}

/** tanh of a linear map of the first token: [B,T,width] -> [B,width]. */
export class BertPooler extends Module {
  readonly dense: Linear

  constructor({ width, dtype }: Pick<BertSettings, 'width' | 'dtype'>) {
    super()
    this.dense = new Linear(width, width, { dtype })
  }

  forward(hidden: Tensor): Tensor {
    return tanh(this.dense.forward(slice(hidden, undefined, 0)))
  }
}

/** Sums of the embeddings of tokens, positions and token types, normed: [B,T] -> [B,T,width]. */
export class BertEmbeddings extends Module {
  readonly word_embeddings: Embedding
  readonly position_embeddings: Embedding
  readonly token_type_embeddings: Embedding
  readonly LayerNorm: LayerNorm
  readonly dropout: Dropout

  constructor({ vocabSize, width, positions, types, eps, dropout, padding, dtype }: BertSettings) {
    super()
    const paddingIndex = padding === undefined ? {} : { paddingIndex: padding }
    this.word_embeddings = new Embedding(vocabSize, width, { dtype, ...paddingIndex })
    this.position_embeddings = new Embedding(positions, width, { dtype })
    this.token_type_embeddings = new Embedding(types, width, { dtype })
    this.LayerNorm = new LayerNorm(width, { eps, dtype })
    this.dropout = new Dropout(dropout)
  }

  forward(tokens: Tensor, { tokenTypes, positions }: EncoderInputs): Tensor {
    const [batch, length] = checkTokens(this.constructor.name, tokens, this.longest)
    const places = positions ?? this.positionsOf(tokens, length)
    const types = tokenTypes ?? zeros([batch, length], { dtype: 'i32' })
    const sum = add(this.word_embeddings.forward(tokens), this.token_type_embeddings.forward(types))
    return this.dropout.forward(this.LayerNorm.forward(add(sum, this.position_embeddings.forward(places))))
  }

  /** The longest row of tokens. */
  get longest(): number {
    return this.position_embeddings.count
  }

  /** Rows of the table of positions, [T] or [B,T]: counted from the first token on. */
  protected positionsOf(_tokens: Tensor, length: number): Tensor {
    return arange(length)
  }
}
