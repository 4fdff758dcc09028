// The model that the service is measured with: a small CNN for pictures of 32 x 32, 0.6 million parameters, 0.13 GFLOP each.
import { mean, nn, type Tensor } from '../../lib/index.js'

export const EXTENT = 32
export const CHANNELS = 3
export const CLASSES = 10
/** Bytes of a picture, and values of its tensor. */
export const PIXELS = CHANNELS * EXTENT * EXTENT

export interface Layout {
  readonly inputs: number
  readonly outputs: number
  readonly stride: number
}

const WIDTH = 48
/** Convolutions of 3 x 3, each with a ReLU behind it. */
export const CONVOLUTIONS: readonly Layout[] = [
  { inputs: CHANNELS, outputs: WIDTH, stride: 1 },
  { inputs: WIDTH, outputs: 2 * WIDTH, stride: 2 },
  { inputs: 2 * WIDTH, outputs: 2 * WIDTH, stride: 1 },
  { inputs: 2 * WIDTH, outputs: 4 * WIDTH, stride: 2 },
  { inputs: 4 * WIDTH, outputs: 4 * WIDTH, stride: 1 },
]

/** f32[B,3,32,32] -> logits f32[B,10]. */
export class Classifier extends nn.Module {
  readonly convolutions = CONVOLUTIONS.map(
    ({ inputs, outputs, stride }) => new nn.Conv2d(inputs, outputs, 3, { stride, padding: 1 }),
  )
  readonly head = new nn.Linear(4 * WIDTH, CLASSES)

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
