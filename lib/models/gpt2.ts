// GPT-2 (Radford et al. 2019): its linear layers keep their weights as [in, out].
import { Parameter } from '../cell.js'
import { Embedding } from '../nn/embedding.js'
import { normal } from '../nn/initialize.js'
import { Dropout } from '../nn/layers.js'
import type { Linear } from '../nn/linear.js'
import { type Layer, Module } from '../nn/module.js'
import { LayerNorm } from '../nn/norm.js'
import { scaledDotProductAttention } from '../ops/attention.js'
import { split } from '../ops/concat.js'
import { zeros } from '../ops/create.js'
import { add, cast } from '../ops/element.js'
import { matmul } from '../ops/matmul.js'
import type { FloatDType } from '../schema/dtype.js'
import type { Tensor } from '../tensor.js'
import { type Activation, activationOf } from './activation.js'
import type { CacheShape } from './cache.js'
import { CausalLanguageModel, type DecoderLayerInputs, DecoderModel, outputLayer } from './causal.js'
import { ConfigReader, type ModelConfig } from './config.js'
import { headsOf, joinHeads, type TiedLinear } from './layers.js'
import { type Family, initializeWeights, initialStd, type ModelOptions, type PretrainedModel } from './model.js'

interface Settings {
  readonly vocabSize: number
  readonly width: number
  readonly layers: number
  readonly heads: number
  /** Heads that each layer has: fewer where some were pruned. */
  readonly headsKept: number
  readonly inner: number
  readonly positions: number
  readonly activation: Activation
  readonly eps: number
  readonly embeddingDropout: number
  readonly attentionDropout: number
  readonly dropout: number
  readonly scaled: boolean
  readonly scaledByLayer: boolean
  readonly dtype: FloatDType
}

/** With the defaults of transformers' `GPT2Config`. */
function settingsOf(owner: string, config: ModelConfig, { dtype = 'f32' }: ModelOptions): Settings {
  const reader = new ConfigReader(owner, config)
  const width = reader.integer('n_embd', 768)
  const heads = reader.integer('n_head', 12)
  reader.headWidth('n_embd', width, 'n_head', heads)
  if (reader.boolean('add_cross_attention', false)) throw reader.error('add_cross_attention', 'false')
  const layers = reader.layers('n_layer', 12)
  const [headsKept = heads, ...rest] = reader.headsKept(layers, heads)
  // The cache of keys and values has one shape for all layers.
  if (rest.some((kept) => kept !== headsKept)) throw reader.error('pruned_heads', 'as many heads in each layer')
  return {
    vocabSize: reader.integer('vocab_size', 50257),
    width,
    heads,
    headsKept,
    layers,
    inner: reader.integer('n_inner', 4 * width),
    positions: reader.integer('n_positions', 1024),
    activation: activationOf(reader, 'activation_function', 'gelu_new'),
    eps: reader.number('layer_norm_epsilon', 1e-5),
    embeddingDropout: reader.number('embd_pdrop', 0.1, 0, 1),
    attentionDropout: reader.number('attn_pdrop', 0.1, 0, 1),
    dropout: reader.number('resid_pdrop', 0.1, 0, 1),
    scaled: reader.boolean('scale_attn_weights', true),
    scaledByLayer: reader.boolean('scale_attn_by_inverse_layer_idx', false),
    dtype,
  }
}

/** x weight + bias: [..., in] -> [..., out], weight [in, out]. transformers calls it Conv1D. */
export class Conv1D extends Module {
  readonly weight: Parameter
  readonly bias: Parameter

  constructor(inFeatures: number, outFeatures: number, { dtype = 'f32' }: { readonly dtype?: FloatDType } = {}) {
    super()
    this.weight = new Parameter(normal([inFeatures, outFeatures], { std: 0.02, dtype }), { name: 'Conv1D weight' })
    this.bias = new Parameter(zeros([outFeatures], { dtype }), { name: 'Conv1D bias' })
  }

  forward(x: Tensor): Tensor {
    const y = matmul(x, this.weight)
    return cast(add(y, this.bias), y.dtype)
  }
}

class Attention extends Module {
  readonly c_attn: Conv1D
  readonly c_proj: Conv1D
  readonly resid_dropout: Dropout
  readonly heads: number
  readonly dropout: number
  readonly scale: number

  constructor(
    { width, heads, headsKept, attentionDropout, dropout, scaled, scaledByLayer, dtype }: Settings,
    private readonly place: number,
  ) {
    super()
    this.heads = headsKept
    this.dropout = attentionDropout
    this.scale = (scaled ? 1 / Math.sqrt(width / heads) : 1) / (scaledByLayer ? place + 1 : 1)
    const all = (width / heads) * headsKept
    this.c_attn = new Conv1D(width, 3 * all, { dtype })
    this.c_proj = new Conv1D(all, width, { dtype })
    this.resid_dropout = new Dropout(dropout)
  }

  forward(x: Tensor, { mask, slots }: DecoderLayerInputs): Tensor {
    const { heads, scale } = this
    const joined = this.c_attn.forward(x)
    const parts = split(joined, (joined.shape[2] as number) / 3, -1).map((part) => headsOf(part, heads))
    const [q, k, v] = parts as [Tensor, Tensor, Tensor]
    const dropout = this.training ? this.dropout : 0
    const mixed = slots
      ? slots.attend(this.place, q, k, v, scale)
      : scaledDotProductAttention(q, k, v, { causal: true, mask, dropout, scale })
    return this.resid_dropout.forward(this.c_proj.forward(joinHeads(mixed)))
  }
}

class FeedForward extends Module {
  readonly c_fc: Conv1D
  readonly c_proj: Conv1D
  readonly dropout: Dropout
  private readonly activation: Activation

  constructor({ width, inner, activation, dropout, dtype }: Settings) {
    super()
    this.activation = activation
    this.c_fc = new Conv1D(width, inner, { dtype })
    this.c_proj = new Conv1D(inner, width, { dtype })
    this.dropout = new Dropout(dropout)
  }

  forward(x: Tensor): Tensor {
    return this.dropout.forward(this.c_proj.forward(this.activation(this.c_fc.forward(x))))
  }
}

class Block extends Module {
  readonly ln_1: LayerNorm
  readonly attn: Attention
  readonly ln_2: LayerNorm
  readonly mlp: FeedForward

  constructor(settings: Settings, place: number) {
    super()
    const { width, eps, dtype } = settings
    this.ln_1 = new LayerNorm(width, { eps, dtype })
    this.attn = new Attention(settings, place)
    this.ln_2 = new LayerNorm(width, { eps, dtype })
    this.mlp = new FeedForward(settings)
  }

  forward(x: Tensor, inputs: DecoderLayerInputs): Tensor {
    const attended = add(x, this.attn.forward(this.ln_1.forward(x), inputs))
    return add(attended, this.mlp.forward(this.ln_2.forward(attended)))
  }
}

/** Fresh weights; those at the end of a branch are smaller, as there are two branches to a layer. */
function initialize(model: PretrainedModel): void {
  const std = initialStd(model.config)
  const layers = new ConfigReader('GPT2Model', model.config).layers('n_layer', 12)
  const [ends, others] = [true, false].map((ending) =>
    model.namedParameters().filter(([name]) => name.endsWith('c_proj.weight') === ending),
  )
  initializeWeights(others ?? [], std)
  initializeWeights(ends ?? [], std / Math.sqrt(2 * layers))
}

/** GPT-2 without its head: tokens [B,T] -> `DecoderOutput`. Config: that of transformers' `GPT2Config`. */
export class GPT2Model extends DecoderModel {
  readonly wte: Embedding
  readonly wpe: Embedding
  readonly drop: Dropout
  readonly h: readonly Block[]
  readonly ln_f: LayerNorm
  readonly cacheShape: CacheShape

  constructor(config: ModelConfig, options: ModelOptions = {}) {
    super(config)
    const settings = settingsOf('GPT2Model', config, options)
    const { vocabSize, width, heads, headsKept, positions, eps, layers, embeddingDropout, dtype } = settings
    this.wte = new Embedding(vocabSize, width, { dtype })
    this.wpe = new Embedding(positions, width, { dtype })
    this.drop = new Dropout(embeddingDropout)
    this.h = Array.from({ length: layers }, (_, place) => new Block(settings, place))
    this.ln_f = new LayerNorm(width, { eps, dtype })
    this.cacheShape = { layers, heads: headsKept, width: width / heads, dtype }
    initialize(this)
  }

  override get maxTokens(): number {
    return this.wpe.count
  }

  get vocabSize(): number {
    return this.wte.count
  }

  protected get lastNorm(): Layer {
    return this.ln_f
  }

  protected embed(tokens: Tensor, positions: Tensor): Tensor {
    return this.drop.forward(add(this.wte.forward(tokens), this.wpe.forward(positions)))
  }

  protected layersFor(inputs: DecoderLayerInputs): readonly ((x: Tensor) => Tensor)[] {
    return this.h.map((block) => (x) => block.forward(x, inputs))
  }
}

/** GPT-2 as a language model: tokens [B,T] -> logits [B,T,vocabulary]. The output layer is the table of tokens. */
export class GPT2LMHeadModel extends CausalLanguageModel {
  readonly transformer: GPT2Model
  readonly lm_head: TiedLinear | Linear

  constructor(config: ModelConfig, options: ModelOptions = {}) {
    super(config)
    this.transformer = new GPT2Model(config, options)
    const tied = new ConfigReader('GPT2LMHeadModel', config).boolean('tie_word_embeddings', true)
    this.lm_head = outputLayer(this.transformer.wte.weight, tied)
    initialize(this)
  }

  protected get decoder(): DecoderModel {
    return this.transformer
  }
}

export const GPT2: Family = {
  modelTypes: ['gpt2'],
  architectures: { GPT2Model, GPT2LMHeadModel },
  prefix: 'transformer',
  // Old files hold the causal mask; heads belong to other architectures.
  passesOver: (name) => /(^|\.)attn\.(bias|masked_bias)$|^(lm_head|score|multiple_choice_head)\./.test(name),
}
