// CLIP: texts and images as vectors of one space (Radford et al. 2021).
import { isDeferred, Parameter } from '../cell.js'
import { Conv2d } from '../nn/conv.js'
import { Embedding } from '../nn/embedding.js'
import { constant, normal, zeros } from '../nn/initialize.js'
import { Linear } from '../nn/linear.js'
import { Module } from '../nn/module.js'
import { LayerNorm } from '../nn/norm.js'
import { concat } from '../ops/concat.js'
import { arange } from '../ops/create.js'
import { crossEntropy } from '../ops/crossEntropy.js'
import { add, cast, eq, exp, mul } from '../ops/element.js'
import { argmax } from '../ops/gather.js'
import { matmul } from '../ops/matmul.js'
import { broadcastTo, flatten, slice, transpose } from '../ops/view.js'
import type { FloatDType } from '../schema/dtype.js'
import type { Tensor } from '../tensor.js'
import type { EncoderInputs } from './bertLayers.js'
import { ClipLayer, initializeTower, type TowerSettings, towerSettings } from './clipLayers.js'
import { ConfigReader, type ModelConfig } from './config.js'
import { checkTokens, hiddenAt, keyMask, normalized, throughLayers } from './layers.js'
import { type Family, firstPart, type ModelOptions, PretrainedModel } from './model.js'
import { type ImageOutput, imagesFor } from './vision.js'

type TextInputs = Omit<EncoderInputs, 'tokenTypes'>

interface TextSettings extends TowerSettings {
  readonly vocabSize: number
  readonly positions: number
  readonly end: number
}

/** With the defaults of transformers' `CLIPTextConfig`. */
function textSettings(owner: string, config: ModelConfig, { dtype = 'f32' }: ModelOptions): TextSettings {
  const reader = new ConfigReader(owner, config)
  return {
    ...towerSettings(reader, { width: 512, heads: 8, inner: 2048 }, dtype),
    vocabSize: reader.integer('vocab_size', 49408),
    positions: reader.integer('max_position_embeddings', 77),
    end: reader.integer('eos_token_id', 49407, 0),
  }
}

interface VisionSettings extends TowerSettings {
  readonly size: number
  readonly patch: number
  readonly channels: number
}

/** With the defaults of transformers' `CLIPVisionConfig`. */
function visionSettings(owner: string, config: ModelConfig, { dtype = 'f32' }: ModelOptions): VisionSettings {
  const reader = new ConfigReader(owner, config)
  const size = reader.integer('image_size', 224)
  return {
    ...towerSettings(reader, { width: 768, heads: 12, inner: 3072 }, dtype),
    size,
    patch: reader.integer('patch_size', 32, 1, size),
    channels: reader.integer('num_channels', 3),
  }
}

/** Texts: tokens [B,T] -> hidden states, and that of each text's end token. */
class TextTower extends Module {
  readonly embeddings: { readonly token_embedding: Embedding; readonly position_embedding: Embedding }
  readonly encoder: { readonly layers: readonly ClipLayer[] }
  readonly final_layer_norm: LayerNorm
  private readonly end: number

  constructor(settings: TextSettings) {
    super()
    const { vocabSize, positions, width, layers, eps, end, dtype } = settings
    this.end = end
    this.embeddings = {
      token_embedding: new Embedding(vocabSize, width, { dtype }),
      position_embedding: new Embedding(positions, width, { dtype }),
    }
    this.encoder = { layers: Array.from({ length: layers }, () => new ClipLayer(settings)) }
    this.final_layer_norm = new LayerNorm(width, { eps, dtype })
    initializeTower(this, { ...settings, std: 0.02 })
  }

  get longest(): number {
    return this.embeddings.position_embedding.count
  }

  forward(op: string, tokens: Tensor, { mask, positions }: TextInputs): ImageOutput {
    const [, length] = checkTokens(op, tokens, this.longest)
    const { token_embedding, position_embedding } = this.embeddings
    const places = position_embedding.forward(positions ?? arange(length))
    const seen = { causal: true, mask: keyMask(op, mask, tokens) }
    const layers = this.encoder.layers.map((layer) => (x: Tensor) => layer.forward(x, seen))
    const output = throughLayers(add(token_embedding.forward(tokens), places), layers, this.final_layer_norm)
    // The first configs say 2, which is none of its tokens: there the end is the token with the highest number.
    const ends = this.end === 2 ? tokens : eq(tokens, this.end)
    const at = cast(argmax(cast(ends, 'f32'), { axis: -1 }), 'i32')
    return { ...output, poolerOutput: hiddenAt(output.lastHiddenState, at) }
  }
}

/** Images [B,C,H,W] -> hidden states of an image token and the patches, and that of the image token, normed. */
class VisionTower extends Module {
  readonly embeddings: {
    readonly class_embedding: Parameter
    readonly patch_embedding: Conv2d
    readonly position_embedding: Embedding
  }
  /** As the files spell it. */
  readonly pre_layrnorm: LayerNorm
  readonly encoder: { readonly layers: readonly ClipLayer[] }
  readonly post_layernorm: LayerNorm
  private readonly size: number

  constructor(settings: VisionSettings) {
    super()
    const { size, patch, channels, width, layers, eps, dtype } = settings
    this.size = size
    this.embeddings = {
      class_embedding: new Parameter(zeros([width], { dtype }), { name: 'image token' }),
      patch_embedding: new Conv2d(channels, width, patch, { stride: patch, bias: false, dtype }),
      position_embedding: new Embedding(Math.floor(size / patch) ** 2 + 1, width, { dtype }),
    }
    this.pre_layrnorm = new LayerNorm(width, { eps, dtype })
    this.encoder = { layers: Array.from({ length: layers }, () => new ClipLayer(settings)) }
    this.post_layernorm = new LayerNorm(width, { eps, dtype })
    initializeTower(this, settings)
  }

  forward(op: string, images: Tensor): ImageOutput {
    const { class_embedding, patch_embedding, position_embedding } = this.embeddings
    const pixels = imagesFor(op, images, patch_embedding.weight, [this.size, this.size])
    const patches = transpose(flatten(patch_embedding.forward(pixels), 2))
    const [batch, , width] = patches.shape as readonly [number, number, number]
    const tokens = concat([broadcastTo(class_embedding, [batch, 1, width]), patches], { axis: 1 })
    let x = this.pre_layrnorm.forward(add(tokens, position_embedding.weight))
    const hiddenStates = [x]
    for (const layer of this.encoder.layers) hiddenStates.push((x = layer.forward(x, {})))
    return { lastHiddenState: x, poolerOutput: this.post_layernorm.forward(slice(x, undefined, 0)), hiddenStates }
  }
}

/** A map into the common space, without bias. */
function projection(width: number, to: number, { factor, dtype }: TowerSettings): Linear {
  const linear = new Linear(width, to, { bias: false, dtype })
  if (!isDeferred()) linear.weight.assign(normal([to, width], { std: width ** -0.5 * factor, dtype }))
  return linear
}

/** The part of a config that is about one tower: the config itself where it is of that tower alone. */
const partOf = (owner: string, config: ModelConfig, name: string): ModelConfig =>
  new ConfigReader(owner, config).record(name) ?? config

const projectionWidth = (owner: string, config: ModelConfig): number =>
  new ConfigReader(owner, config).integer('projection_dim', 512)

/** Says whose config it is where nobody did, for transformers. */
const typed = (config: ModelConfig, type: string): ModelConfig => ({
  ...config,
  model_type: config['model_type'] ?? type,
})

export interface ClipOutput {
  /** `[images,texts]`: cosines times e^logit_scale, and the same the other way round. */
  readonly logitsPerImage: Tensor
  readonly logitsPerText: Tensor
  /** [B,projection_dim], of length 1. */
  readonly textEmbeddings: Tensor
  readonly imageEmbeddings: Tensor
}

/** Both towers: tokens [B,T] and images [B,C,H,W] -> `ClipOutput`. Config: that of transformers' `CLIPConfig`. */
export class CLIPModel extends PretrainedModel {
  readonly logit_scale: Parameter
  readonly text_model: TextTower
  readonly vision_model: VisionTower
  readonly visual_projection: Linear
  readonly text_projection: Linear

  constructor(config: ModelConfig, options: ModelOptions = {}) {
    super(config)
    const owner = 'CLIPModel'
    const reader = new ConfigReader(owner, config)
    const scale = reader.number('logit_scale_init_value', 2.6592, Number.NEGATIVE_INFINITY)
    const text = textSettings(`${owner}: text_config`, reader.record('text_config') ?? {}, options)
    const vision = visionSettings(`${owner}: vision_config`, reader.record('vision_config') ?? {}, options)
    const width = projectionWidth(owner, config)
    this.logit_scale = new Parameter(constant([], scale, { dtype: text.dtype as FloatDType }), { name: 'logit scale' })
    this.text_model = new TextTower(text)
    this.vision_model = new VisionTower(vision)
    this.visual_projection = projection(vision.width, width, vision)
    this.text_projection = projection(text.width, width, text)
  }

  override get maxTokens(): number {
    return this.text_model.longest
  }

  /** tokens [B,T] -> [B,projection_dim], not normalised. */
  textFeatures(tokens: Tensor, inputs: TextInputs = {}): Tensor {
    return this.text_projection.forward(this.text_model.forward('CLIPModel', tokens, inputs).poolerOutput as Tensor)
  }

  /** images [B,C,H,W] -> [B,projection_dim], not normalised. */
  imageFeatures(images: Tensor): Tensor {
    return this.visual_projection.forward(this.vision_model.forward('CLIPModel', images).poolerOutput as Tensor)
  }

  forward(tokens: Tensor, images: Tensor, inputs: TextInputs = {}): ClipOutput {
    const textEmbeddings = normalized(this.textFeatures(tokens, inputs))
    const imageEmbeddings = normalized(this.imageFeatures(images))
    const logitsPerText = mul(matmul(textEmbeddings, transpose(imageEmbeddings)), exp(this.logit_scale))
    return { logitsPerText, logitsPerImage: transpose(logitsPerText), textEmbeddings, imageEmbeddings }
  }
}

/** The mean cross entropy of texts among images and images among texts, where those of the same row belong together. */
export function contrastiveLoss({ logitsPerText, logitsPerImage }: ClipOutput): Tensor {
  const targets = arange(logitsPerText.shape[0] as number)
  return mul(add(crossEntropy(logitsPerText, targets), crossEntropy(logitsPerImage, targets)), 0.5)
}

export interface ProjectedOutput extends ImageOutput {
  /** [B,projection_dim], not normalised. */
  readonly embeddings: Tensor
}

/** The tower of texts alone: tokens [B,T] -> `ProjectedOutput`. Config: that of transformers' `CLIPTextConfig` or `CLIPConfig`. */
export class CLIPTextModelWithProjection extends PretrainedModel {
  readonly text_model: TextTower
  readonly text_projection: Linear

  constructor(config: ModelConfig, options: ModelOptions = {}) {
    super(typed(config, 'clip_text_model'))
    const owner = 'CLIPTextModelWithProjection'
    const part = partOf(owner, config, 'text_config')
    const settings = textSettings(owner, part, options)
    this.text_model = new TextTower(settings)
    this.text_projection = projection(settings.width, projectionWidth(owner, part), settings)
  }

  override get maxTokens(): number {
    return this.text_model.longest
  }

  forward(tokens: Tensor, inputs: TextInputs = {}): ProjectedOutput {
    const output = this.text_model.forward('CLIPTextModelWithProjection', tokens, inputs)
    return { ...output, embeddings: this.text_projection.forward(output.poolerOutput as Tensor) }
  }
}

/** The tower of images alone: [B,C,H,W] -> `ProjectedOutput`. Config: that of transformers' `CLIPVisionConfig` or `CLIPConfig`. */
export class CLIPVisionModelWithProjection extends PretrainedModel {
  readonly vision_model: VisionTower
  readonly visual_projection: Linear

  constructor(config: ModelConfig, options: ModelOptions = {}) {
    super(typed(config, 'clip_vision_model'))
    const owner = 'CLIPVisionModelWithProjection'
    const part = partOf(owner, config, 'vision_config')
    const settings = visionSettings(owner, part, options)
    this.vision_model = new VisionTower(settings)
    this.visual_projection = projection(settings.width, projectionWidth(owner, part), settings)
  }

  forward(images: Tensor): ProjectedOutput {
    const output = this.vision_model.forward('CLIPVisionModelWithProjection', images)
    return { ...output, embeddings: this.visual_projection.forward(output.poolerOutput as Tensor) }
  }
}

export const CLIP: Family = {
  modelTypes: ['clip', 'clip_text_model', 'clip_vision_model'],
  architectures: { CLIPModel, CLIPTextModelWithProjection, CLIPVisionModelWithProjection },
  prefix: '',
  // Positions are counted; a tower alone has not the other one.
  passesOver: (name, has) =>
    name.endsWith('.position_ids') ||
    (/^(text_model|vision_model|text_projection|visual_projection|logit_scale)\b/.test(name) && !has(firstPart(name))),
}
