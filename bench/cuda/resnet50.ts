// ResNet-50 (He et al. 2015, with the stride in the 3x3 convolutions) as it is trained: on random images, by SGD.
import {
  add,
  cast,
  compile,
  crossEntropy,
  type FloatDType,
  grad,
  nn,
  optim,
  permute,
  randomNormal,
  randomUniform,
  relu,
  type Tensor,
} from '../../lib/index.js'
import { heldIn, recordedIn, type StepPrecision } from './precision.js'
import type { StepSubject } from './steps.js'

export interface ResNet50Sizes {
  readonly batch: number
  readonly extent: number
  readonly classes: number
  /** Channels of the first stage's 3x3 convolutions. */
  readonly width: number
  readonly blocks: readonly number[]
}

const FULL: ResNet50Sizes = { batch: 128, extent: 224, classes: 1000, width: 64, blocks: [3, 4, 6, 3] }
const QUICK: ResNet50Sizes = { batch: 2, extent: 32, classes: 10, width: 4, blocks: [1, 1, 1, 1] }
export const resnet50Sizes = (quick: boolean): ResNet50Sizes => (quick ? QUICK : FULL)

/** A block's channels are this many times those of its 3x3 convolution. */
const EXPANSION = 4

type WindowOptions = { readonly stride?: number; readonly padding?: number; readonly dtype: FloatDType }

/** A convolution without bias and the batch norm behind it. */
class ConvNorm extends nn.Module {
  readonly conv: nn.Conv2d
  readonly norm: nn.BatchNorm2d

  constructor(channels: number, outputs: number, kernel: number, { stride = 1, padding = 0, dtype }: WindowOptions) {
    super()
    this.conv = new nn.Conv2d(channels, outputs, kernel, { stride, padding, bias: false, dtype })
    this.norm = new nn.BatchNorm2d(outputs, { dtype })
  }

  forward(x: Tensor): Tensor {
    return this.norm.forward(this.conv.forward(x))
  }
}

class Bottleneck extends nn.Module {
  readonly reduce: ConvNorm
  readonly conv: ConvNorm
  readonly expand: ConvNorm
  readonly shortcut: ConvNorm | undefined

  constructor(channels: number, width: number, stride: number, dtype: FloatDType) {
    super()
    const outputs = width * EXPANSION
    this.reduce = new ConvNorm(channels, width, 1, { dtype })
    this.conv = new ConvNorm(width, width, 3, { stride, padding: 1, dtype })
    this.expand = new ConvNorm(width, outputs, 1, { dtype })
    this.shortcut =
      stride !== 1 || channels !== outputs ? new ConvNorm(channels, outputs, 1, { stride, dtype }) : undefined
  }

  forward(x: Tensor): Tensor {
    const inner = relu(this.conv.forward(relu(this.reduce.forward(x))))
    return relu(add(this.expand.forward(inner), this.shortcut ? this.shortcut.forward(x) : x))
  }
}

/** [N,3,H,W] -> logits [N,classes]. */
export class ResNet50 extends nn.Module {
  readonly stem: ConvNorm
  readonly pool: nn.MaxPool2d
  readonly blocks: readonly Bottleneck[]
  readonly globalPool: nn.AdaptiveAvgPool
  readonly head: nn.Linear

  constructor({ width, blocks, classes }: ResNet50Sizes, dtype: FloatDType) {
    super()
    this.stem = new ConvNorm(3, width, 7, { stride: 2, padding: 3, dtype })
    this.pool = new nn.MaxPool2d(3, { stride: 2, padding: 1 })
    let channels = width
    this.blocks = blocks.flatMap((count, stage) =>
      Array.from({ length: count }, (_, i) => {
        const block = new Bottleneck(channels, width * 2 ** stage, stage > 0 && i === 0 ? 2 : 1, dtype)
        channels = width * 2 ** stage * EXPANSION
        return block
      }),
    )
    this.globalPool = new nn.AdaptiveAvgPool(1)
    this.head = new nn.Linear(channels, classes, { dtype })
  }

  forward(x: Tensor): Tensor {
    let y = this.pool.forward(relu(this.stem.forward(x)))
    for (const block of this.blocks) y = block.forward(y)
    return this.head.forward(this.globalPool.forward(y).flatten(1))
  }
}

/** Operations of a training step per image of 224 x 224: three times a forward pass of 4.09e9 multiply-adds. */
const FLOPS_PER_IMAGE = 3 * 2 * 4.09e9
const FLOPS_EXTENT = 224

/** Momentum and the running statistics are f32. */
export function resnet50(precision: StepPrecision, sizes: ResNet50Sizes): StepSubject {
  const { batch, extent, classes } = sizes
  const dtype = heldIn(precision)
  const model = new ResNet50(sizes, dtype)
  const parameters = model.parameters()
  const sgd = new optim.SGD(parameters, { lr: 0.01, momentum: 0.9, weightDecay: 1e-4 })
  const step = compile(
    (images: Tensor, labels: Tensor) => {
      // Images are channels-last in memory.
      const loss = recordedIn(precision, () => crossEntropy(model.forward(permute(images, [0, 3, 1, 2])), labels))
      sgd.step(grad(loss, parameters))
      return loss
    },
    { name: 'resnet50' },
  )
  const weights = parameters.reduce((sum, { size }) => sum + size, 0)
  return {
    step,
    inputs: [
      randomNormal([batch, extent, extent, 3], { dtype }).realize(),
      cast(randomUniform([batch], { high: classes }), 'i32').realize(),
    ],
    weights,
    flops: extent === FLOPS_EXTENT ? batch * FLOPS_PER_IMAGE : 0,
    items: batch,
  }
}
