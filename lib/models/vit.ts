// ViT: a transformer on the patches of an image (Dosovitskiy et al. 2021).
import { Parameter } from '../cell.js'
import { Conv2d } from '../nn/conv.js'
import { zeros } from '../nn/initialize.js'
import { Dropout } from '../nn/layers.js'
import { Linear } from '../nn/linear.js'
import { Module } from '../nn/module.js'
import { LayerNorm } from '../nn/norm.js'
import { concat } from '../ops/concat.js'
import { add } from '../ops/element.js'
import { broadcastTo, flatten, slice, transpose } from '../ops/view.js'
import type { FloatDType } from '../schema/dtype.js'
import type { Tensor } from '../tensor.js'
import { type Activation, activationOf } from './activation.js'
import { BertPooler, Intermediate, SelfAttention } from './bertLayers.js'
import { ConfigReader, type ModelConfig } from './config.js'
import { throughLayers } from './layers.js'
import { type Family, initializeWeights, initialStd, type ModelOptions, PretrainedModel } from './model.js'
import { type ImageOutput, imagesFor } from './vision.js'

interface Settings {
  readonly width: number
  readonly layers: number
  readonly heads: number
  readonly inner: number
  readonly activation: Activation
  readonly dropout: number
  readonly attentionDropout: number
  readonly eps: number
  readonly size: readonly [number, number]
  readonly patch: readonly [number, number]
  readonly channels: number
  readonly bias: boolean
  readonly dtype: FloatDType
}

/** With the defaults of transformers' `ViTConfig`. */
function settingsOf(owner: string, config: ModelConfig, { dtype = 'f32' }: ModelOptions): Settings {
  const reader = new ConfigReader(owner, config)
  const width = reader.integer('hidden_size', 768)
  const heads = reader.integer('num_attention_heads', 12)
  reader.headWidth('hidden_size', width, 'num_attention_heads', heads)
  const size = reader.extents('image_size', 224)
  const patch = reader.extents('patch_size', 16)
  if (patch[0] > size[0] || patch[1] > size[1]) throw reader.error('patch_size', `at most the image_size (${size})`)
  return {
    width,
    heads,
    size,
    patch,
    layers: reader.layers('num_hidden_layers', 12),
    inner: reader.integer('intermediate_size', 3072),
    activation: activationOf(reader, 'hidden_act', 'gelu'),
    dropout: reader.number('hidden_dropout_prob', 0, 0, 1),
    attentionDropout: reader.number('attention_probs_dropout_prob', 0, 0, 1),
    eps: reader.number('layer_norm_eps', 1e-12),
    channels: reader.integer('num_channels', 3),
    bias: reader.boolean('qkv_bias', true),
    dtype,
  }
}

/** Images [B,C,H,W] -> [B,1+patches,width]: a token for the image, then its patches, each with its position. */
class Embeddings extends Module {
  readonly cls_token: Parameter
  readonly position_embeddings: Parameter
  readonly patch_embeddings: { readonly projection: Conv2d }
  readonly dropout: Dropout
  private readonly size: readonly [number, number]

  constructor({ width, size, patch, channels, dropout, dtype }: Settings) {
    super()
    const patches = Math.floor(size[0] / patch[0]) * Math.floor(size[1] / patch[1])
    this.size = size
    this.cls_token = new Parameter(zeros([1, 1, width], { dtype }), { name: 'image token' })
    this.position_embeddings = new Parameter(zeros([1, 1 + patches, width], { dtype }), { name: 'positions' })
    this.patch_embeddings = { projection: new Conv2d(channels, width, patch, { stride: patch, dtype }) }
    this.dropout = new Dropout(dropout)
  }

  forward(images: Tensor): Tensor {
    const { projection } = this.patch_embeddings
    const pixels = imagesFor('ViTModel', images, projection.weight, this.size)
    const patches = transpose(flatten(projection.forward(pixels), 2))
    const [batch, , width] = patches.shape as readonly [number, number, number]
    const tokens = concat([broadcastTo(this.cls_token, [batch, 1, width]), patches], { axis: 1 })
    return this.dropout.forward(add(tokens, this.position_embeddings))
  }
}

/** A linear map and dropout. */
class Output extends Module {
  readonly dense: Linear
  readonly dropout: Dropout

  constructor(inFeatures: number, { width, dropout, dtype }: Settings) {
    super()
    this.dense = new Linear(inFeatures, width, { dtype })
    this.dropout = new Dropout(dropout)
  }

  forward(x: Tensor): Tensor {
    return this.dropout.forward(this.dense.forward(x))
  }
}

class Block extends Module {
  readonly attention: { readonly attention: SelfAttention; readonly output: Output }
  readonly intermediate: Intermediate
  readonly output: Output
  readonly layernorm_before: LayerNorm
  readonly layernorm_after: LayerNorm

  constructor(settings: Settings) {
    super()
    const { width, inner, eps, activation, dtype } = settings
    this.attention = { attention: new SelfAttention(settings), output: new Output(width, settings) }
    this.intermediate = new Intermediate(settings, activation)
    this.output = new Output(inner, settings)
    this.layernorm_before = new LayerNorm(width, { eps, dtype })
    this.layernorm_after = new LayerNorm(width, { eps, dtype })
  }

  forward(x: Tensor): Tensor {
    const { attention, output } = this.attention
    const attended = add(x, output.forward(attention.forward(this.layernorm_before.forward(x))))
    return add(attended, this.output.forward(this.intermediate.forward(this.layernorm_after.forward(attended))))
  }
}

/** The encoder and its pooler: images [B,C,H,W] -> `ImageOutput`. Config: that of transformers' `ViTConfig`. */
export class ViTModel extends PretrainedModel {
  readonly embeddings: Embeddings
  readonly encoder: { readonly layer: readonly Block[] }
  readonly layernorm: LayerNorm
  readonly pooler: BertPooler | undefined

  constructor(config: ModelConfig, options: ModelOptions & { readonly pooler?: boolean } = {}) {
    super(config)
    const settings = settingsOf('ViTModel', config, options)
    const { width, eps, dtype } = settings
    this.embeddings = new Embeddings(settings)
    this.encoder = { layer: Array.from({ length: settings.layers }, () => new Block(settings)) }
    this.layernorm = new LayerNorm(width, { eps, dtype })
    this.pooler = (options.pooler ?? true) ? new BertPooler(settings) : undefined
    initializeWeights(this.namedParameters(), initialStd(config))
  }

  forward(images: Tensor): ImageOutput {
    const layers = this.encoder.layer.map((layer) => (x: Tensor) => layer.forward(x))
    const output = throughLayers(this.embeddings.forward(images), layers, this.layernorm)
    return { ...output, poolerOutput: this.pooler?.forward(output.lastHiddenState) }
  }
}

/** One label per image: [B,C,H,W] -> logits [B,labels]. As many labels as `num_labels` or `id2label` say; default 2. */
export class ViTForImageClassification extends PretrainedModel {
  readonly vit: ViTModel
  readonly classifier: Linear

  constructor(config: ModelConfig, options: ModelOptions = {}) {
    super(config)
    const owner = 'ViTForImageClassification'
    const { width, dtype } = settingsOf(owner, config, options)
    this.vit = new ViTModel(config, { ...options, pooler: false })
    this.classifier = new Linear(width, new ConfigReader(owner, config).labels(), { dtype })
    initializeWeights(this.namedParameters(), initialStd(config))
  }

  forward(images: Tensor): Tensor {
    return this.classifier.forward(slice(this.vit.forward(images).lastHiddenState, undefined, 0))
  }
}

export const VIT: Family = {
  modelTypes: ['vit'],
  architectures: { ViTModel, ViTForImageClassification },
  prefix: 'vit',
  // Heads, pooler and the token of masked patches belong to other architectures.
  passesOver: (name) => /^(vit\.)?(pooler\.|embeddings\.mask_token$)|^(classifier|decoder)\./.test(name),
}
