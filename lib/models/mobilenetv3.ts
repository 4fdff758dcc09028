// MobileNetV3 (Howard et al. 2019) as timm has it: its parameters' names, and folders whose config.json says `architecture`.
import { Conv2d } from '../nn/conv.js'
import { Dropout } from '../nn/layers.js'
import { Linear } from '../nn/linear.js'
import { type Layer, Module } from '../nn/module.js'
import { hardsigmoid, hardswish, relu } from '../ops/activation.js'
import { add, mul } from '../ops/element.js'
import { mean } from '../ops/reduce.js'
import { flatten } from '../ops/view.js'
import type { Padding } from '../ops/window.js'
import type { FloatDType } from '../schema/dtype.js'
import type { Tensor } from '../tensor.js'
import type { Activation } from './activation.js'
import { ConfigReader, type ModelConfig } from './config.js'
import { type Family, type ModelOptions, PretrainedModel } from './model.js'
import { BatchNorm2d, dropPath, imagesFor } from './vision.js'

interface Row {
  readonly repeats: number
  readonly kernel: number
  readonly stride: number
  /** Channels inside by channels in front of it; a row without it has no pointwise convolution first. */
  readonly expand?: number
  readonly channels: number
  /** Whether it squeezes and excites (Hu et al. 2018). */
  readonly excite: boolean
  /** hardswish unless it is ReLU. */
  readonly relu: boolean
}

const row = (
  repeats: number,
  kernel: number,
  stride: number,
  expand: number | undefined,
  channels: number,
  flags = '',
): Row => ({
  repeats,
  kernel,
  stride,
  ...(expand === undefined ? {} : { expand }),
  channels,
  excite: flags.includes('excite'),
  relu: flags.includes('relu'),
})

interface Variant {
  /** Rows by stage. */
  readonly stages: readonly (readonly Row[])[]
  readonly last: number
  readonly features: number
}

/** Tables 1 and 2 of the paper, by stage as timm numbers them. */
const VARIANTS: Readonly<Record<'small' | 'large', Variant>> = {
  small: {
    stages: [
      [row(1, 3, 2, undefined, 16, 'excite relu')],
      [row(1, 3, 2, 4.5, 24, 'relu'), row(1, 3, 1, 3.67, 24, 'relu')],
      [row(1, 5, 2, 4, 40, 'excite'), row(2, 5, 1, 6, 40, 'excite')],
      [row(2, 5, 1, 3, 48, 'excite')],
      [row(3, 5, 2, 6, 96, 'excite')],
    ],
    last: 576,
    features: 1024,
  },
  large: {
    stages: [
      [row(1, 3, 1, undefined, 16, 'relu')],
      [row(1, 3, 2, 4, 24, 'relu'), row(1, 3, 1, 3, 24, 'relu')],
      [row(3, 5, 2, 3, 40, 'excite relu')],
      [row(1, 3, 2, 6, 80), row(1, 3, 1, 2.5, 80), row(2, 3, 1, 2.3, 80)],
      [row(2, 3, 1, 6, 112, 'excite')],
      [row(3, 5, 2, 6, 160, 'excite')],
    ],
    last: 960,
    features: 1280,
  },
}

/** The next multiple of 8, at most a tenth below. */
function rounded(channels: number): number {
  const near = Math.max(8, Math.floor((channels + 4) / 8) * 8)
  return near < 0.9 * channels ? near + 8 : near
}

/** Names as timm has them: weights by Google (`tf_`) pad as TensorFlow does and add more under the root. */
const NAME = /^(tf_)?mobilenetv3_(small|large)_(\d{3})$/

interface Settings {
  readonly variant: Variant
  readonly factor: number
  readonly eps: number
  readonly same: boolean
  readonly labels: number
  readonly channels: number
  readonly dropout: number
  readonly dropPath: number
  readonly dtype: FloatDType
}

function settingsOf(config: ModelConfig, { dtype = 'f32' }: ModelOptions): Settings {
  const reader = new ConfigReader('MobileNetV3', config)
  const named = config['architecture'] ?? 'mobilenetv3_large_100'
  const [, google, variant, percent] = (typeof named === 'string' && NAME.exec(named)) || []
  if (variant === undefined || Number(percent) === 0)
    throw reader.error('architecture', 'as mobilenetv3_small_075 or tf_mobilenetv3_large_100')
  const given = new ConfigReader('MobileNetV3: model_args', reader.record('model_args') ?? {})
  return {
    variant: VARIANTS[variant as 'small' | 'large'],
    factor: Number(percent) / 100,
    eps: google ? 1e-3 : 1e-5,
    same: google !== undefined,
    labels: reader.integer('num_classes', 1000),
    channels: given.integer('in_chans', 3),
    dropout: given.number('drop_rate', 0, 0, 1),
    dropPath: given.number('drop_path_rate', 0, 0, 1),
    dtype,
  }
}

interface ConvOptions {
  readonly stride?: number
  readonly groups?: number
  readonly bias?: boolean
}

function conv(from: number, to: number, kernel: number, settings: Settings, options: ConvOptions = {}): Conv2d {
  const padding: Padding = settings.same ? 'same' : Math.floor(kernel / 2)
  return new Conv2d(from, to, kernel, { bias: false, ...options, padding, dtype: settings.dtype })
}

const norm = (channels: number, { eps, dtype }: Settings): BatchNorm2d => new BatchNorm2d(channels, { eps, dtype })

/** Channels weighted by what their means say. */
class SqueezeExcite extends Module {
  readonly conv_reduce: Conv2d
  readonly conv_expand: Conv2d

  constructor(channels: number, settings: Settings) {
    super()
    const inner = rounded(channels / 4)
    this.conv_reduce = conv(channels, inner, 1, settings, { bias: true })
    this.conv_expand = conv(inner, channels, 1, settings, { bias: true })
  }

  forward(x: Tensor): Tensor {
    const squeezed = relu(this.conv_reduce.forward(mean(x, { axes: [2, 3], keepDims: true })))
    return mul(x, hardsigmoid(this.conv_expand.forward(squeezed)))
  }
}

interface BlockSettings extends Row {
  readonly from: number
  readonly to: number
  readonly dropPath: number
}

/** What both kinds of blocks have in common: what goes around them, dropped paths, squeeze and excitation. */
abstract class Block extends Module {
  abstract readonly se: SqueezeExcite | undefined
  protected readonly activation: Activation
  private readonly around: boolean
  private readonly dropPath: number

  constructor({ from, to, stride, relu: isRelu, dropPath: p }: BlockSettings) {
    super()
    this.activation = isRelu ? relu : hardswish
    this.around = from === to && stride === 1
    this.dropPath = p
  }

  protected abstract branch(x: Tensor): Tensor

  forward(x: Tensor): Tensor {
    const y = this.branch(x)
    return this.around ? add(dropPath(y, this.dropPath, this.training), x) : y
  }
}

class DepthwiseSeparable extends Block {
  readonly conv_dw: Conv2d
  readonly bn1: BatchNorm2d
  readonly se: SqueezeExcite | undefined
  readonly conv_pw: Conv2d
  readonly bn2: BatchNorm2d

  constructor(block: BlockSettings, settings: Settings) {
    super(block)
    const { from, to, kernel, stride, excite } = block
    this.conv_dw = conv(from, from, kernel, settings, { stride, groups: from })
    this.bn1 = norm(from, settings)
    this.se = excite ? new SqueezeExcite(from, settings) : undefined
    this.conv_pw = conv(from, to, 1, settings)
    this.bn2 = norm(to, settings)
  }

  protected branch(x: Tensor): Tensor {
    const y = this.activation(this.bn1.forward(this.conv_dw.forward(x)))
    return this.bn2.forward(this.conv_pw.forward(this.se ? this.se.forward(y) : y))
  }
}

class InvertedResidual extends Block {
  readonly conv_pw: Conv2d
  readonly bn1: BatchNorm2d
  readonly conv_dw: Conv2d
  readonly bn2: BatchNorm2d
  readonly se: SqueezeExcite | undefined
  readonly conv_pwl: Conv2d
  readonly bn3: BatchNorm2d

  constructor(block: BlockSettings, settings: Settings) {
    super(block)
    const { from, to, kernel, stride, expand = 1, excite } = block
    const inner = rounded(from * expand)
    this.conv_pw = conv(from, inner, 1, settings)
    this.bn1 = norm(inner, settings)
    this.conv_dw = conv(inner, inner, kernel, settings, { stride, groups: inner })
    this.bn2 = norm(inner, settings)
    this.se = excite ? new SqueezeExcite(inner, settings) : undefined
    this.conv_pwl = conv(inner, to, 1, settings)
    this.bn3 = norm(to, settings)
  }

  protected branch(x: Tensor): Tensor {
    const wide = this.activation(this.bn1.forward(this.conv_pw.forward(x)))
    const y = this.activation(this.bn2.forward(this.conv_dw.forward(wide)))
    return this.bn3.forward(this.conv_pwl.forward(this.se ? this.se.forward(y) : y))
  }
}

/** A convolution at each place, batch norm, hardswish. */
class ConvBlock extends Module {
  readonly conv: Conv2d
  readonly bn1: BatchNorm2d

  constructor(from: number, to: number, settings: Settings) {
    super()
    this.conv = conv(from, to, 1, settings)
    this.bn1 = norm(to, settings)
  }

  forward(x: Tensor): Tensor {
    return hardswish(this.bn1.forward(this.conv.forward(x)))
  }
}

/** Blocks by stage. */
function blocksOf(stem: number, settings: Settings): Layer[][] {
  const { variant, factor } = settings
  const total = variant.stages.flat().reduce((sum, { repeats }) => sum + repeats, 1)
  let from = stem
  let before = 0
  const stages = variant.stages.map((rows) =>
    rows.flatMap((one) =>
      Array.from({ length: one.repeats }, (_, i): Layer => {
        const to = rounded(one.channels * factor)
        const dropped = (settings.dropPath * before++) / total
        const block = { ...one, from, to, stride: i === 0 ? one.stride : 1, dropPath: dropped }
        from = to
        return one.expand === undefined
          ? new DepthwiseSeparable(block, settings)
          : new InvertedResidual(block, settings)
      }),
    ),
  )
  return [...stages, [new ConvBlock(from, rounded(variant.last * factor), settings)]]
}

/**
 * MobileNetV3, small or large: images [B,C,H,W] -> logits [B,labels]. Config: that of timm's folders, as
 * `{ architecture: 'mobilenetv3_small_100', num_classes: 10 }`; default mobilenetv3_large_100 with 1000 classes.
 */
export class MobileNetV3 extends PretrainedModel {
  readonly conv_stem: Conv2d
  readonly bn1: BatchNorm2d
  readonly blocks: readonly (readonly Layer[])[]
  readonly conv_head: Conv2d
  readonly dropout: Dropout
  readonly classifier: Linear

  constructor(config: ModelConfig, options: ModelOptions = {}) {
    super(config)
    const settings = settingsOf(config, options)
    const { variant, factor, channels, labels, dropout, dtype } = settings
    // Narrow variants keep their first convolution.
    const stem = factor < 0.75 ? 16 : rounded(16 * factor)
    this.conv_stem = conv(channels, stem, 3, settings, { stride: 2 })
    this.bn1 = norm(stem, settings)
    this.blocks = blocksOf(stem, settings)
    this.conv_head = conv(rounded(variant.last * factor), variant.features, 1, settings, { bias: true })
    this.dropout = new Dropout(dropout)
    this.classifier = new Linear(variant.features, labels, { dtype })
  }

  /** What the classifier sees: images [B,C,H,W] -> [B,features]. */
  features(images: Tensor): Tensor {
    const pixels = imagesFor('MobileNetV3', images, this.conv_stem.weight)
    let x = hardswish(this.bn1.forward(this.conv_stem.forward(pixels)))
    for (const block of this.blocks.flat()) x = block.forward(x)
    return flatten(hardswish(this.conv_head.forward(mean(x, { axes: [2, 3], keepDims: true }))), 1)
  }

  forward(images: Tensor): Tensor {
    return this.classifier.forward(this.dropout.forward(this.features(images)))
  }
}

export const MOBILENETV3: Family = {
  modelTypes: ['mobilenetv3'],
  architectures: { MobileNetV3 },
  recognizes: ({ architecture }) => typeof architecture === 'string' && NAME.test(architecture),
  prefix: '',
  passesOver: () => false,
}
