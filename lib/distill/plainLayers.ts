// Layers without parameters: how each is made again, and which keep channels to themselves.
import {
  AdaptiveAvgPool,
  AvgPool1d,
  AvgPool2d,
  Dropout,
  ELU,
  Flatten,
  GELU,
  Hardswish,
  LeakyReLU,
  LogSoftmax,
  MaxPool1d,
  MaxPool2d,
  Mish,
  ReLU,
  Sigmoid,
  SiLU,
  Softmax,
  Softplus,
  Tanh,
} from '../nn/layers.js'
import type { Layer, Module } from '../nn/module.js'
import type { PoolOptions } from '../ops/pool.js'
import type { PerAxis } from '../ops/window.js'

/** What layers that pool were made with. */
interface Pool {
  readonly kernel: PerAxis
  readonly options?: PoolOptions
}

/** How each is made again. */
const MAKERS: readonly (readonly [abstract new (...args: never[]) => Module, (layer: never) => Module & Layer])[] = [
  [ReLU, () => new ReLU()],
  [SiLU, () => new SiLU()],
  [Mish, () => new Mish()],
  [Hardswish, () => new Hardswish()],
  [Softplus, () => new Softplus()],
  [Sigmoid, () => new Sigmoid()],
  [Tanh, () => new Tanh()],
  [GELU, ({ options }: GELU) => new GELU(options)],
  [LeakyReLU, ({ slope }: LeakyReLU) => new LeakyReLU(slope)],
  [ELU, ({ alpha }: ELU) => new ELU(alpha)],
  [Softmax, ({ axis }: Softmax) => new Softmax(axis)],
  [LogSoftmax, ({ axis }: LogSoftmax) => new LogSoftmax(axis)],
  [Dropout, ({ p }: Dropout) => new Dropout(p)],
  [Flatten, ({ start, end }: Flatten) => new Flatten(start, end)],
  [AdaptiveAvgPool, ({ size }: AdaptiveAvgPool) => new AdaptiveAvgPool(size)],
  [MaxPool1d, ({ kernel, options }: Pool) => new MaxPool1d(kernel, options)],
  [MaxPool2d, ({ kernel, options }: Pool) => new MaxPool2d(kernel, options)],
  [AvgPool1d, ({ kernel, options }: Pool) => new AvgPool1d(kernel, options)],
  [AvgPool2d, ({ kernel, options }: Pool) => new AvgPool2d(kernel, options)],
]

/** Another layer that was made as this one; undefined where it is none of these. */
export const madeAgain = (layer: Module): (Module & Layer) | undefined =>
  MAKERS.find(([Kind]) => layer instanceof Kind)?.[1](layer as never)

/** Whether it computes each channel from that channel alone. */
export const keepsChannels = (layer: Layer): boolean =>
  MAKERS.some(([Kind]) => layer instanceof Kind) && !(layer instanceof Softmax || layer instanceof LogSoftmax)
