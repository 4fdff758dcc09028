// ConvNeXt: depthwise convolutions and a feed-forward part at each place (Liu et al. 2022).
import { isDeferred, Parameter } from '../cell.js'
import { Conv2d } from '../nn/conv.js'
import { constant } from '../nn/initialize.js'
import { Linear } from '../nn/linear.js'
import { type Layer, Module } from '../nn/module.js'
import { LayerNorm } from '../nn/norm.js'
import { add, mul } from '../ops/element.js'
import { permute } from '../ops/view.js'
import type { FloatDType } from '../schema/dtype.js'
import type { Tensor } from '../tensor.js'
import { type Activation, activationOf } from './activation.js'
import { ConfigReader, type ModelConfig } from './config.js'
import { type Family, initializeWeights, initialStd, type ModelOptions, PretrainedModel } from './model.js'
import { dropPath, type ImageOutput, imagesFor, spatialMean } from './vision.js'

interface Settings {
  readonly channels: number
  readonly patch: number
  readonly widths: readonly number[]
  readonly depths: readonly number[]
  readonly activation: Activation
  readonly eps: number
  /** What branches are multiplied with at the start; 0: they have no factors. */
  readonly scale: number
  /** Of the last layer; those before drop less, the first nothing. */
  readonly dropPath: number
  readonly dtype: FloatDType
}

/** In all norms but the last; no config says otherwise. */
const EPS = 1e-6

/** With the defaults of transformers' `ConvNextConfig`. */
function settingsOf(owner: string, config: ModelConfig, { dtype = 'f32' }: ModelOptions): Settings {
  const reader = new ConfigReader(owner, config)
  const widths = reader.integers('hidden_sizes', [96, 192, 384, 768])
  const depths = reader.integers('depths', [3, 3, 9, 3])
  const stages = reader.integer('num_stages', widths.length)
  if (widths.length !== stages || depths.length !== stages)
    throw reader.error(
      'num_stages',
      `the length of hidden_sizes (${widths.length}) and depths (${depths.length})`,
      stages,
    )
  return {
    widths,
    depths,
    channels: reader.integer('num_channels', 3),
    patch: reader.integer('patch_size', 4),
    activation: activationOf(reader, 'hidden_act', 'gelu'),
    eps: reader.number('layer_norm_eps', 1e-12),
    scale: reader.number('layer_scale_init_value', 1e-6),
    dropPath: reader.number('drop_path_rate', 0, 0, 1),
    dtype,
  }
}

const last = (x: Tensor): Tensor => permute(x, [0, 2, 3, 1])
const first = (x: Tensor): Tensor => permute(x, [0, 3, 1, 2])

/** Layer norm over the channels of [B,C,H,W]. */
class ChannelNorm extends LayerNorm {
  override forward(x: Tensor): Tensor {
    return first(super.forward(last(x)))
  }
}

class Block extends Module {
  readonly layer_scale_parameter: Parameter | undefined
  readonly dwconv: Conv2d
  readonly layernorm: LayerNorm
  readonly pwconv1: Linear
  readonly pwconv2: Linear
  private readonly activation: Activation

  constructor(
    width: number,
    private readonly dropPath: number,
    { scale, activation, dtype }: Settings,
  ) {
    super()
    this.activation = activation
    this.layer_scale_parameter =
      scale > 0 ? new Parameter(constant([width], scale, { dtype }), { name: 'factors of a branch' }) : undefined
    this.dwconv = new Conv2d(width, width, 7, { padding: 3, groups: width, dtype })
    this.layernorm = new LayerNorm(width, { eps: EPS, dtype })
    this.pwconv1 = new Linear(width, 4 * width, { dtype })
    this.pwconv2 = new Linear(4 * width, width, { dtype })
  }

  forward(x: Tensor): Tensor {
    const inner = this.activation(this.pwconv1.forward(this.layernorm.forward(last(this.dwconv.forward(x)))))
    const y = this.pwconv2.forward(inner)
    const branch = first(this.layer_scale_parameter ? mul(y, this.layer_scale_parameter) : y)
    return add(x, dropPath(branch, this.dropPath, this.training))
  }
}

interface Stage {
  /** A norm and a convolution that halves the extents; the first stage has none. */
  readonly downsampling_layer: readonly Layer[]
  readonly layers: readonly Block[]
}

/** Fresh weights, and factors of branches as the config gives them. */
function initialize(model: PretrainedModel, scale: number): void {
  const named = model.namedParameters()
  const isScale = ([name]: readonly [string, Parameter]): boolean => name.endsWith('layer_scale_parameter')
  initializeWeights(
    named.filter((entry) => !isScale(entry)),
    initialStd(model.config),
  )
  if (isDeferred()) return
  for (const [, parameter] of named.filter(isScale))
    parameter.assign(constant(parameter.shape, scale, { dtype: parameter.dtype as FloatDType }))
}

/** The stages and the normed mean over height and width: images [B,C,H,W] -> `ImageOutput`. Config: transformers' `ConvNextConfig`. */
export class ConvNextModel extends PretrainedModel {
  readonly embeddings: { readonly patch_embeddings: Conv2d; readonly layernorm: ChannelNorm }
  readonly encoder: { readonly stages: readonly Stage[] }
  readonly layernorm: LayerNorm

  constructor(config: ModelConfig, options: ModelOptions = {}) {
    super(config)
    const settings = settingsOf('ConvNextModel', config, options)
    const { channels, patch, widths, depths, eps, scale, dtype } = settings
    const stem = widths[0] as number
    this.embeddings = {
      patch_embeddings: new Conv2d(channels, stem, patch, { stride: patch, dtype }),
      layernorm: new ChannelNorm(stem, { eps: EPS, dtype }),
    }
    const blocks = depths.reduce((sum, depth) => sum + depth, 0)
    let before = 0
    const stages = widths.map((width, i): Stage => {
      const from = widths[i - 1] as number
      const layers = Array.from({ length: depths[i] as number }, () => {
        const p = blocks > 1 ? (settings.dropPath * before) / (blocks - 1) : 0
        before++
        return new Block(width, p, settings)
      })
      const halve =
        i === 0 ? [] : [new ChannelNorm(from, { eps: EPS, dtype }), new Conv2d(from, width, 2, { stride: 2, dtype })]
      return { downsampling_layer: halve, layers }
    })
    this.encoder = { stages }
    this.layernorm = new LayerNorm(widths.at(-1) as number, { eps, dtype })
    initialize(this, scale)
  }

  forward(images: Tensor): ImageOutput {
    const { patch_embeddings, layernorm } = this.embeddings
    let x = layernorm.forward(patch_embeddings.forward(imagesFor('ConvNextModel', images, patch_embeddings.weight)))
    const hiddenStates = [x]
    for (const { downsampling_layer, layers } of this.encoder.stages)
      hiddenStates.push((x = [...downsampling_layer, ...layers].reduce((value, layer) => layer.forward(value), x)))
    return { lastHiddenState: x, poolerOutput: this.layernorm.forward(spatialMean(x)), hiddenStates }
  }
}

/** One label per image: [B,C,H,W] -> logits [B,labels]. As many labels as `num_labels` or `id2label` say; default 2. */
export class ConvNextForImageClassification extends PretrainedModel {
  readonly convnext: ConvNextModel
  readonly classifier: Linear

  constructor(config: ModelConfig, options: ModelOptions = {}) {
    super(config)
    const owner = 'ConvNextForImageClassification'
    const { widths, scale, dtype } = settingsOf(owner, config, options)
    this.convnext = new ConvNextModel(config, options)
    this.classifier = new Linear(widths.at(-1) as number, new ConfigReader(owner, config).labels(), { dtype })
    initialize(this, scale)
  }

  forward(images: Tensor): Tensor {
    return this.classifier.forward(this.convnext.forward(images).poolerOutput as Tensor)
  }
}

export const CONVNEXT: Family = {
  modelTypes: ['convnext'],
  architectures: { ConvNextModel, ConvNextForImageClassification },
  prefix: 'convnext',
  passesOver: (name) => /^classifier\./.test(name),
}
