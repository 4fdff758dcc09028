// DistilBERT: a BERT of half the layers, without token types and pooler (Sanh et al. 2019).
import { Parameter } from '../cell.js'
import { Embedding } from '../nn/embedding.js'
import { Dropout } from '../nn/layers.js'
import { Linear } from '../nn/linear.js'
import { Module } from '../nn/module.js'
import { LayerNorm } from '../nn/norm.js'
import { relu } from '../ops/activation.js'
import { arange, zeros } from '../ops/create.js'
import { add } from '../ops/element.js'
import { slice } from '../ops/view.js'
import type { FloatDType } from '../schema/dtype.js'
import type { Tensor } from '../tensor.js'
import { type Activation, activationOf } from './activation.js'
import type { EncoderInputs, EncoderOutput } from './bertLayers.js'
import { ConfigReader, type ModelConfig } from './config.js'
import { attend, checkTokens, keyMask, TiedLinear, throughLayers } from './layers.js'
import { type Family, initializeWeights, initialStd, type ModelOptions, PretrainedModel } from './model.js'

interface Settings {
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
  readonly positions: number
  readonly padding: number | undefined
  readonly dtype: FloatDType
}

/** Added under the root in every norm; no config says otherwise. */
const EPS = 1e-12

/** With the defaults of transformers' `DistilBertConfig`. */
function settingsOf(owner: string, config: ModelConfig, { dtype = 'f32' }: ModelOptions): Settings {
  const reader = new ConfigReader(owner, config)
  const width = reader.integer('dim', 768)
  const heads = reader.integer('n_heads', 12)
  reader.headWidth('dim', width, 'n_heads', heads)
  const layers = reader.layers('n_layers', 6)
  const vocabSize = reader.integer('vocab_size', 30522)
  return {
    vocabSize,
    width,
    heads,
    layers,
    layerHeads: reader.headsKept(layers, heads),
    inner: reader.integer('hidden_dim', 3072),
    activation: activationOf(reader, 'activation', 'gelu'),
    dropout: reader.number('dropout', 0.1, 0, 1),
    attentionDropout: reader.number('attention_dropout', 0.1, 0, 1),
    headDropout: reader.number('seq_classif_dropout', 0.2, 0, 1),
    positions: reader.integer('max_position_embeddings', 512),
    padding: reader.padding(0, vocabSize),
    dtype,
  }
}

class Embeddings extends Module {
  readonly word_embeddings: Embedding
  readonly position_embeddings: Embedding
  readonly LayerNorm: LayerNorm
  readonly dropout: Dropout

  constructor({ vocabSize, width, positions, dropout, padding, dtype }: Settings) {
    super()
    const paddingIndex = padding === undefined ? {} : { paddingIndex: padding }
    this.word_embeddings = new Embedding(vocabSize, width, { dtype, ...paddingIndex })
    this.position_embeddings = new Embedding(positions, width, { dtype })
    this.LayerNorm = new LayerNorm(width, { eps: EPS, dtype })
    this.dropout = new Dropout(dropout)
  }

  forward(tokens: Tensor, positions: Tensor | undefined): Tensor {
    const [, length] = checkTokens('DistilBertModel', tokens, this.position_embeddings.count)
    const places = this.position_embeddings.forward(positions ?? arange(length))
    return this.dropout.forward(this.LayerNorm.forward(add(this.word_embeddings.forward(tokens), places)))
  }
}

class Attention extends Module {
  readonly q_lin: Linear
  readonly k_lin: Linear
  readonly v_lin: Linear
  readonly out_lin: Linear
  readonly heads: number
  readonly dropout: number

  constructor({ width, heads, layerHeads, attentionDropout, dtype }: Settings, place: number) {
    super()
    this.heads = layerHeads[place] as number
    this.dropout = attentionDropout
    const all = (width / heads) * this.heads
    this.q_lin = new Linear(width, all, { dtype })
    this.k_lin = new Linear(width, all, { dtype })
    this.v_lin = new Linear(width, all, { dtype })
    this.out_lin = new Linear(all, width, { dtype })
  }

  forward(x: Tensor, mask: Tensor | undefined): Tensor {
    const dropout = this.training ? this.dropout : 0
    const [q, k, v] = [this.q_lin.forward(x), this.k_lin.forward(x), this.v_lin.forward(x)]
    return this.out_lin.forward(attend(q, k, v, this.heads, { mask, dropout }))
  }
}

class FeedForward extends Module {
  readonly lin1: Linear
  readonly lin2: Linear
  readonly dropout: Dropout
  private readonly activation: Activation

  constructor({ width, inner, dropout, activation, dtype }: Settings) {
    super()
    this.activation = activation
    this.lin1 = new Linear(width, inner, { dtype })
    this.lin2 = new Linear(inner, width, { dtype })
    this.dropout = new Dropout(dropout)
  }

  forward(x: Tensor): Tensor {
    return this.dropout.forward(this.lin2.forward(this.activation(this.lin1.forward(x))))
  }
}

class Block extends Module {
  readonly attention: Attention
  readonly sa_layer_norm: LayerNorm
  readonly ffn: FeedForward
  readonly output_layer_norm: LayerNorm

  constructor(settings: Settings, place: number) {
    super()
    const { width, dtype } = settings
    this.attention = new Attention(settings, place)
    this.sa_layer_norm = new LayerNorm(width, { eps: EPS, dtype })
    this.ffn = new FeedForward(settings)
    this.output_layer_norm = new LayerNorm(width, { eps: EPS, dtype })
  }

  forward(x: Tensor, mask: Tensor | undefined): Tensor {
    const attended = this.sa_layer_norm.forward(add(this.attention.forward(x, mask), x))
    return this.output_layer_norm.forward(add(this.ffn.forward(attended), attended))
  }
}

/** The encoder: tokens [B,T] -> `EncoderOutput`. Config: that of transformers' `DistilBertConfig`. It has no token types. */
export class DistilBertModel extends PretrainedModel {
  readonly embeddings: Embeddings
  readonly transformer: { readonly layer: readonly Block[] }

  constructor(config: ModelConfig, options: ModelOptions = {}) {
    super(config)
    const settings = settingsOf('DistilBertModel', config, options)
    this.embeddings = new Embeddings(settings)
    this.transformer = { layer: Array.from({ length: settings.layers }, (_, place) => new Block(settings, place)) }
    initializeWeights(this.namedParameters(), initialStd(config))
  }

  forward(tokens: Tensor, { mask, positions }: Omit<EncoderInputs, 'tokenTypes'> = {}): EncoderOutput {
    const embedded = this.embeddings.forward(tokens, positions)
    const keys = keyMask('DistilBertModel', mask, tokens)
    return throughLayers(
      embedded,
      this.transformer.layer.map((layer) => (x) => layer.forward(x, keys)),
    )
  }
}

/** One label per text: tokens [B,T] -> logits [B,labels]. As many labels as `num_labels` or `id2label` say; default 2. */
export class DistilBertForSequenceClassification extends PretrainedModel {
  readonly distilbert: DistilBertModel
  readonly pre_classifier: Linear
  readonly classifier: Linear
  readonly dropout: Dropout

  constructor(config: ModelConfig, options: ModelOptions = {}) {
    super(config)
    const owner = 'DistilBertForSequenceClassification'
    const { width, headDropout, dtype } = settingsOf(owner, config, options)
    this.distilbert = new DistilBertModel(config, options)
    this.pre_classifier = new Linear(width, width, { dtype })
    this.classifier = new Linear(width, new ConfigReader(owner, config).labels(), { dtype })
    this.dropout = new Dropout(headDropout)
    initializeWeights(this.namedParameters(), initialStd(config))
  }

  forward(tokens: Tensor, inputs: Omit<EncoderInputs, 'tokenTypes'> = {}): Tensor {
    const first = slice(this.distilbert.forward(tokens, inputs).lastHiddenState, undefined, 0)
    return this.classifier.forward(this.dropout.forward(relu(this.pre_classifier.forward(first))))
  }
}

/** What stands in for masked tokens: tokens [B,T] -> logits [B,T,vocabulary]. Its output layer is the table of tokens. */
export class DistilBertForMaskedLM extends PretrainedModel {
  readonly distilbert: DistilBertModel
  readonly vocab_transform: Linear
  readonly vocab_layer_norm: LayerNorm
  readonly vocab_projector: TiedLinear
  private readonly activation: Activation

  constructor(config: ModelConfig, options: ModelOptions = {}) {
    super(config)
    const { width, vocabSize, activation, dtype } = settingsOf('DistilBertForMaskedLM', config, options)
    this.activation = activation
    this.distilbert = new DistilBertModel(config, options)
    this.vocab_transform = new Linear(width, width, { dtype })
    this.vocab_layer_norm = new LayerNorm(width, { eps: EPS, dtype })
    const bias = new Parameter(zeros([vocabSize], { dtype }), { name: 'prediction bias' })
    this.vocab_projector = new TiedLinear(this.distilbert.embeddings.word_embeddings.weight, bias)
    initializeWeights(this.namedParameters(), initialStd(config))
  }

  forward(tokens: Tensor, inputs: Omit<EncoderInputs, 'tokenTypes'> = {}): Tensor {
    const hidden = this.distilbert.forward(tokens, inputs).lastHiddenState
    const transformed = this.vocab_layer_norm.forward(this.activation(this.vocab_transform.forward(hidden)))
    return this.vocab_projector.forward(transformed)
  }
}

export const DISTILBERT: Family = {
  modelTypes: ['distilbert'],
  architectures: { DistilBertModel, DistilBertForSequenceClassification, DistilBertForMaskedLM },
  prefix: 'distilbert',
  // Positions are counted; heads belong to other architectures.
  passesOver: (name) =>
    /^(distilbert\.)?embeddings\.position_ids$|^(vocab_(transform|layer_norm|projector)|pre_classifier|classifier)\./.test(
      name,
    ),
}
