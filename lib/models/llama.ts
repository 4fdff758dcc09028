// Llama (Touvron et al. 2023) and Qwen2 (Yang et al. 2024): RMS norm, rotary positions, grouped heads, SwiGLU.
import { Embedding } from '../nn/embedding.js'
import { Linear } from '../nn/linear.js'
import { type Layer, Module } from '../nn/module.js'
import { RMSNorm } from '../nn/norm.js'
import { scaledDotProductAttention } from '../ops/attention.js'
import { add, mul } from '../ops/element.js'
import type { FloatDType } from '../schema/dtype.js'
import { type Tensor, tensor } from '../tensor.js'
import { type Activation, activationOf } from './activation.js'
import type { CacheShape } from './cache.js'
import { CausalLanguageModel, type DecoderLayerInputs, DecoderModel, outputLayer } from './causal.js'
import { ConfigReader, type ModelConfig } from './config.js'
import { headsOf, joinHeads, type TiedLinear } from './layers.js'
import { type Family, initializeWeights, initialStd, type ModelOptions } from './model.js'
import { frequenciesOf, type Turn, turned, turnOf } from './rotary.js'

interface Settings {
  readonly vocabSize: number
  readonly width: number
  readonly inner: number
  readonly layers: number
  readonly heads: number
  readonly keyHeads: number
  readonly headWidth: number
  readonly positions: number
  readonly activation: Activation
  readonly eps: number
  readonly attentionDropout: number
  /** Biases of the projections of queries, keys and values; of the attention's output; of the feed-forward part. */
  readonly biases: { readonly qkv: boolean; readonly output: boolean; readonly mlp: boolean }
  readonly padding: number | undefined
  readonly dtype: FloatDType
}

const isQwen2 = (config: ModelConfig): boolean => config['model_type'] === 'qwen2'

/** With the defaults of transformers' `LlamaConfig`, or `Qwen2Config` where the `model_type` is qwen2. */
function settingsOf(owner: string, config: ModelConfig, { dtype = 'f32' }: ModelOptions): Settings {
  const reader = new ConfigReader(owner, config)
  const qwen2 = isQwen2(config)
  if (reader.boolean('use_sliding_window', false)) throw reader.error('use_sliding_window', 'false')
  const width = reader.integer('hidden_size', 4096)
  const heads = reader.integer('num_attention_heads', 32)
  const keyHeads = reader.integer('num_key_value_heads', qwen2 ? 32 : heads)
  if (heads % keyHeads !== 0) throw reader.error('num_key_value_heads', `a divisor of ${heads} heads`, keyHeads)
  const given = reader.integer('head_dim', 0, 0)
  const headWidth = given || reader.headWidth('hidden_size', width, 'num_attention_heads', heads)
  if (headWidth % 2 !== 0) throw reader.error('head_dim', 'even, as halves of a head are turned', headWidth)
  const vocabSize = reader.integer('vocab_size', qwen2 ? 151936 : 32000)
  const bias = reader.boolean('attention_bias', false)
  return {
    vocabSize,
    width,
    heads,
    keyHeads,
    headWidth,
    inner: reader.integer('intermediate_size', qwen2 ? 22016 : 11008),
    layers: reader.layers('num_hidden_layers', 32),
    positions: reader.integer('max_position_embeddings', qwen2 ? 32768 : 2048),
    activation: activationOf(reader, 'hidden_act', 'silu'),
    eps: reader.number('rms_norm_eps', 1e-6),
    attentionDropout: reader.number('attention_dropout', 0, 0, 1),
    biases: { qkv: qwen2 || bias, output: !qwen2 && bias, mlp: reader.boolean('mlp_bias', false) },
    padding: reader.padding(undefined, vocabSize),
    dtype,
  }
}

type LayerInputs = DecoderLayerInputs & { readonly turn: Turn }

class Attention extends Module {
  readonly q_proj: Linear
  readonly k_proj: Linear
  readonly v_proj: Linear
  readonly o_proj: Linear
  readonly heads: number
  readonly keyHeads: number
  readonly dropout: number

  constructor(
    { width, heads, keyHeads, headWidth, biases, attentionDropout, dtype }: Settings,
    private readonly place: number,
  ) {
    super()
    this.heads = heads
    this.keyHeads = keyHeads
    this.dropout = attentionDropout
    this.q_proj = new Linear(width, heads * headWidth, { bias: biases.qkv, dtype })
    this.k_proj = new Linear(width, keyHeads * headWidth, { bias: biases.qkv, dtype })
    this.v_proj = new Linear(width, keyHeads * headWidth, { bias: biases.qkv, dtype })
    this.o_proj = new Linear(heads * headWidth, width, { bias: biases.output, dtype })
  }

  forward(x: Tensor, { turn, mask, slots }: LayerInputs): Tensor {
    const q = turned(headsOf(this.q_proj.forward(x), this.heads), turn)
    const k = turned(headsOf(this.k_proj.forward(x), this.keyHeads), turn)
    const v = headsOf(this.v_proj.forward(x), this.keyHeads)
    const dropout = this.training ? this.dropout : 0
    const mixed = slots
      ? slots.attend(this.place, q, k, v)
      : scaledDotProductAttention(q, k, v, { causal: true, mask, dropout })
    return this.o_proj.forward(joinHeads(mixed))
  }
}

/** down(activation(gate x) * up x) (Shazeer 2020). */
class FeedForward extends Module {
  readonly gate_proj: Linear
  readonly up_proj: Linear
  readonly down_proj: Linear
  private readonly activation: Activation

  constructor({ width, inner, biases, activation, dtype }: Settings) {
    super()
    this.activation = activation
    this.gate_proj = new Linear(width, inner, { bias: biases.mlp, dtype })
    this.up_proj = new Linear(width, inner, { bias: biases.mlp, dtype })
    this.down_proj = new Linear(inner, width, { bias: biases.mlp, dtype })
  }

  forward(x: Tensor): Tensor {
    return this.down_proj.forward(mul(this.activation(this.gate_proj.forward(x)), this.up_proj.forward(x)))
  }
}

class DecoderLayer extends Module {
  readonly self_attn: Attention
  readonly mlp: FeedForward
  readonly input_layernorm: RMSNorm
  readonly post_attention_layernorm: RMSNorm

  constructor(settings: Settings, place: number) {
    super()
    const { width, eps, dtype } = settings
    this.self_attn = new Attention(settings, place)
    this.mlp = new FeedForward(settings)
    this.input_layernorm = new RMSNorm(width, { eps, dtype })
    this.post_attention_layernorm = new RMSNorm(width, { eps, dtype })
  }

  forward(x: Tensor, inputs: LayerInputs): Tensor {
    const attended = add(x, this.self_attn.forward(this.input_layernorm.forward(x), inputs))
    return add(attended, this.mlp.forward(this.post_attention_layernorm.forward(attended)))
  }
}

/** Llama without its head: tokens [B,T] -> `DecoderOutput`. Config: that of transformers' `LlamaConfig`. */
export class LlamaModel extends DecoderModel {
  readonly embed_tokens: Embedding
  readonly layers: readonly DecoderLayer[]
  readonly norm: RMSNorm
  readonly cacheShape: CacheShape
  private readonly positions: number
  private readonly frequencies: Tensor

  constructor(config: ModelConfig, options: ModelOptions = {}) {
    super(config)
    const settings = settingsOf('LlamaModel', config, options)
    const { vocabSize, width, eps, padding, keyHeads, headWidth, layers, dtype } = settings
    this.positions = settings.positions
    this.embed_tokens = new Embedding(vocabSize, width, {
      dtype,
      ...(padding === undefined ? {} : { paddingIndex: padding }),
    })
    this.layers = Array.from({ length: layers }, (_, place) => new DecoderLayer(settings, place))
    this.norm = new RMSNorm(width, { eps, dtype })
    this.cacheShape = { layers, heads: keyHeads, width: headWidth, dtype }
    this.frequencies = tensor(frequenciesOf('LlamaModel', config, headWidth))
    initializeWeights(this.namedParameters(), initialStd(config))
  }

  override get maxTokens(): number {
    return this.positions
  }

  get vocabSize(): number {
    return this.embed_tokens.count
  }

  protected get lastNorm(): Layer {
    return this.norm
  }

  protected embed(tokens: Tensor): Tensor {
    return this.embed_tokens.forward(tokens)
  }

  protected layersFor(inputs: DecoderLayerInputs): readonly ((x: Tensor) => Tensor)[] {
    const turn = turnOf(inputs.positions, this.frequencies)
    return this.layers.map((layer) => (x) => layer.forward(x, { ...inputs, turn }))
  }
}

/** Llama as a language model: tokens [B,T] -> logits [B,T,vocabulary]. */
export class LlamaForCausalLM extends CausalLanguageModel {
  readonly model: LlamaModel
  readonly lm_head: Linear | TiedLinear

  constructor(config: ModelConfig, options: ModelOptions = {}) {
    super(config)
    this.model = new LlamaModel(config, options)
    const tied = new ConfigReader('LlamaForCausalLM', config).boolean('tie_word_embeddings', false)
    this.lm_head = outputLayer(this.model.embed_tokens.weight, tied)
    initializeWeights(this.namedParameters(), initialStd(config))
  }

  protected get decoder(): DecoderModel {
    return this.model
  }
}

const qwen2 = (config: ModelConfig): ModelConfig => ({ ...config, model_type: 'qwen2' })

/** Qwen2 without its head: Llama whose projections of queries, keys and values have biases. */
export class Qwen2Model extends LlamaModel {
  constructor(config: ModelConfig, options: ModelOptions = {}) {
    super(qwen2(config), options)
  }
}

/** Qwen2 as a language model: tokens [B,T] -> logits [B,T,vocabulary]. */
export class Qwen2ForCausalLM extends LlamaForCausalLM {
  constructor(config: ModelConfig, options: ModelOptions = {}) {
    super(qwen2(config), options)
  }
}

/** Old files hold the frequencies; heads belong to other architectures. */
const passesOver = (name: string): boolean => /(^|\.)rotary_emb\.inv_freq$|^(lm_head|score)\./.test(name)

export const LLAMA: Family = {
  modelTypes: ['llama'],
  architectures: { LlamaModel, LlamaForCausalLM },
  prefix: 'model',
  passesOver,
}

export const QWEN2: Family = {
  modelTypes: ['qwen2'],
  architectures: { Qwen2Model, Qwen2ForCausalLM },
  prefix: 'model',
  passesOver,
}
