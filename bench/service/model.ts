// The models that the service is measured with: CNNs for pictures of 32 x 32 in two sizes.
import { mean, nn, type Tensor } from '../../lib/index.js'

export const EXTENT = 32
export const CHANNELS = 3
export const CLASSES = 10
/** Bytes of a picture, and values of its tensor. */
export const PIXELS = CHANNELS * EXTENT * EXTENT

/** Channels of the first layer. Small: 0.15 million parameters, 0.033 GFLOP a picture; large: 4 million, 0.93 GFLOP. */
export const WIDTHS = { small: 24, large: 128 } as const
export type ModelSize = keyof typeof WIDTHS

export interface Layout {
  readonly inputs: number
  readonly outputs: number
  readonly stride: number
}

/** Convolutions of 3 x 3, each with a ReLU behind it. */
const convolutionsOf = (width: number): Layout[] => [
  { inputs: CHANNELS, outputs: width, stride: 1 },
  { inputs: width, outputs: 2 * width, stride: 2 },
  { inputs: 2 * width, outputs: 2 * width, stride: 1 },
  { inputs: 2 * width, outputs: 4 * width, stride: 2 },
  { inputs: 4 * width, outputs: 4 * width, stride: 1 },
]

/** f32[B,3,32,32] -> logits f32[B,10]. */
export class Classifier extends nn.Module {
  readonly layouts: readonly Layout[]
  readonly convolutions: readonly nn.Conv2d[]
  readonly head: nn.Linear

  constructor(size: ModelSize) {
    super()
    const width = WIDTHS[size]
    this.layouts = convolutionsOf(width)
    this.convolutions = this.layouts.map(
      ({ inputs, outputs, stride }) => new nn.Conv2d(inputs, outputs, 3, { stride, padding: 1 }),
    )
    this.head = new nn.Linear(4 * width, CLASSES)
  }

  forward(pictures: Tensor): Tensor {
    const features = this.convolutions.reduce((x, convolution) => convolution.forward(x).relu(), pictures)
    return this.head.forward(mean(features, { axes: [2, 3] }))
  }
}

/** A picture's bytes as the model takes them: from -1 to 1. */
export function valuesOf(bytes: Uint8Array): Float32Array {
  const values = new Float32Array(bytes.length)
  for (let i = 0; i < bytes.length; i++) values[i] = (bytes[i] as number) / 127.5 - 1
  return values
}
