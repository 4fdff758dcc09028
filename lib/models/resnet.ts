// ResNet: convolutions around which the input is added, basic and bottleneck (He et al. 2016).
import { isDeferred } from '../cell.js'
import { Conv2d } from '../nn/conv.js'
import { kaimingNormal } from '../nn/initialize.js'
import { Flatten } from '../nn/layers.js'
import { Linear } from '../nn/linear.js'
import { type Layer, Module } from '../nn/module.js'
import { Sequential } from '../nn/sequential.js'
import { add } from '../ops/element.js'
import { maxPool2d } from '../ops/pool.js'
import type { FloatDType } from '../schema/dtype.js'
import type { Tensor } from '../tensor.js'
import { type Activation, activationOf } from './activation.js'
import { ConfigReader, type ModelConfig } from './config.js'
import { type Family, type ModelOptions, PretrainedModel } from './model.js'
import { BatchNorm2d, type ImageOutput, imagesFor, spatialMean } from './vision.js'

interface Settings {
  readonly channels: number
  readonly stem: number
  readonly widths: readonly number[]
  readonly depths: readonly number[]
  readonly bottleneck: boolean
  readonly activation: Activation
  /** Whether the first stage halves the extents too; whether a bottleneck does so in its first convolution. */
  readonly halveFirst: boolean
  readonly halveEarly: boolean
  readonly dtype: FloatDType
}

/** With the defaults of transformers' `ResNetConfig`. */
function settingsOf(owner: string, config: ModelConfig, { dtype = 'f32' }: ModelOptions): Settings {
  const reader = new ConfigReader(owner, config)
  const widths = reader.integers('hidden_sizes', [256, 512, 1024, 2048])
  const depths = reader.integers('depths', [3, 4, 6, 3])
  if (depths.length !== widths.length)
    throw reader.error('depths', `a list of ${widths.length} integers, as hidden_sizes has`)
  const bottleneck = reader.oneOf('layer_type', ['basic', 'bottleneck'], 'bottleneck') === 'bottleneck'
  if (bottleneck && widths.some((width) => width < 4)) throw reader.error('hidden_sizes', 'at least 4 in a bottleneck')
  return {
    widths,
    depths,
    bottleneck,
    channels: reader.integer('num_channels', 3),
    stem: reader.integer('embedding_size', 64),
    activation: activationOf(reader, 'hidden_act', 'relu'),
    halveFirst: reader.boolean('downsample_in_first_stage', false),
    halveEarly: reader.boolean('downsample_in_bottleneck', false),
    dtype,
  }
}

interface ConvOptions {
  readonly kernel: number
  readonly stride?: number
  readonly activation?: Activation
  readonly dtype: FloatDType
}

/** A convolution without bias, batch norm, and an activation where one is given. */
class ConvLayer extends Module {
  readonly convolution: Conv2d
  readonly normalization: BatchNorm2d
  private readonly activation: Activation | undefined

  constructor(from: number, to: number, { kernel, stride = 1, activation, dtype }: ConvOptions) {
    super()
    const padding = Math.floor(kernel / 2)
    this.activation = activation
    this.convolution = new Conv2d(from, to, kernel, { stride, padding, bias: false, dtype })
    this.normalization = new BatchNorm2d(to, { dtype })
  }

  forward(x: Tensor): Tensor {
    const y = this.normalization.forward(this.convolution.forward(x))
    return this.activation ? this.activation(y) : y
  }
}

/** Two convolutions, or three of which the middle one has a quarter of the channels, and what goes around them. */
class Block extends Module {
  readonly shortcut: ConvLayer | undefined
  readonly layer: readonly ConvLayer[]
  private readonly activation: Activation

  constructor(from: number, to: number, stride: number, { bottleneck, activation, halveEarly, dtype }: Settings) {
    super()
    const inner = Math.floor(to / 4)
    this.activation = activation
    this.shortcut = from !== to || stride !== 1 ? new ConvLayer(from, to, { kernel: 1, stride, dtype }) : undefined
    this.layer = bottleneck
      ? [
          // transformers' inner convolutions have ReLU whatever the config says.
          new ConvLayer(from, inner, { kernel: 1, stride: halveEarly ? stride : 1, activation: RELU, dtype }),
          new ConvLayer(inner, inner, { kernel: 3, stride: halveEarly ? 1 : stride, activation: RELU, dtype }),
          new ConvLayer(inner, to, { kernel: 1, dtype }),
        ]
      : [
          new ConvLayer(from, to, { kernel: 3, stride, activation: RELU, dtype }),
          new ConvLayer(to, to, { kernel: 3, dtype }),
        ]
  }

  forward(x: Tensor): Tensor {
    const y = this.layer.reduce((value, layer) => layer.forward(value), x)
    return this.activation(add(y, this.shortcut ? this.shortcut.forward(x) : x))
  }
}

const RELU = activationOf(new ConfigReader('ResNetModel', {}), 'hidden_act', 'relu')

interface Stage {
  readonly layers: readonly Block[]
}

/** Fresh convolutions normal by their fan out, as transformers starts them; the others start as their layers do. */
function initialize(model: PretrainedModel): void {
  if (isDeferred()) return
  for (const [, parameter] of model.namedParameters()) {
    const { shape } = parameter
    const dtype = parameter.dtype as FloatDType
    if (shape.length === 4) parameter.assign(kaimingNormal(shape, { mode: 'fanOut', nonlinearity: 'relu', dtype }))
  }
}

/** The convolutions and the mean over height and width: images [B,C,H,W] -> `ImageOutput`. Config: transformers' `ResNetConfig`. */
export class ResNetModel extends PretrainedModel {
  readonly embedder: { readonly embedder: ConvLayer }
  readonly encoder: { readonly stages: readonly Stage[] }

  constructor(config: ModelConfig, options: ModelOptions = {}) {
    super(config)
    const settings = settingsOf('ResNetModel', config, options)
    const { channels, stem, widths, depths, activation, halveFirst, dtype } = settings
    this.embedder = { embedder: new ConvLayer(channels, stem, { kernel: 7, stride: 2, activation, dtype }) }
    const stages = widths.map((to, i): Stage => {
      const from = i === 0 ? stem : (widths[i - 1] as number)
      const first = i === 0 && !halveFirst ? 1 : 2
      const block = (_: unknown, j: number): Block => new Block(j === 0 ? from : to, to, j === 0 ? first : 1, settings)
      return { layers: Array.from({ length: depths[i] as number }, block) }
    })
    this.encoder = { stages }
    initialize(this)
  }

  forward(images: Tensor): ImageOutput {
    const { embedder } = this.embedder
    const pixels = imagesFor('ResNetModel', images, embedder.convolution.weight)
    let x = maxPool2d(embedder.forward(pixels), 3, { stride: 2, padding: 1 })
    const hiddenStates = [x]
    for (const { layers } of this.encoder.stages)
      hiddenStates.push((x = layers.reduce((value, block) => block.forward(value), x)))
    return { lastHiddenState: x, poolerOutput: spatialMean(x), hiddenStates }
  }
}

/** One label per image: [B,C,H,W] -> logits [B,labels]. As many labels as `num_labels` or `id2label` say; default 2. */
export class ResNetForImageClassification extends PretrainedModel {
  readonly resnet: ResNetModel
  readonly classifier: Sequential

  constructor(config: ModelConfig, options: ModelOptions = {}) {
    super(config)
    const owner = 'ResNetForImageClassification'
    const { widths, dtype } = settingsOf(owner, config, options)
    this.resnet = new ResNetModel(config, options)
    const head: Layer = new Linear(widths.at(-1) as number, new ConfigReader(owner, config).labels(), { dtype })
    this.classifier = new Sequential(new Flatten(), head)
  }

  forward(images: Tensor): Tensor {
    return this.classifier.forward(this.resnet.forward(images).poolerOutput as Tensor)
  }
}

export const RESNET: Family = {
  modelTypes: ['resnet'],
  architectures: { ResNetModel, ResNetForImageClassification },
  prefix: 'resnet',
  passesOver: (name) => /^classifier\./.test(name),
}
