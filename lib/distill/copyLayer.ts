// Copies of layers, whole or with some of their inputs, outputs and channels.
import { Cell, withoutMemory } from '../cell.js'
import { Conv1d, Conv2d } from '../nn/conv.js'
import { Embedding } from '../nn/embedding.js'
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
import { Linear } from '../nn/linear.js'
import { type Layer, Module } from '../nn/module.js'
import { BatchNorm1d, BatchNorm2d, LayerNorm, RMSNorm } from '../nn/norm.js'
import type { PoolOptions } from '../ops/pool.js'
import type { PerAxis } from '../ops/window.js'
import { StudentError } from '../runtime/errors.js'
import type { FloatDType } from '../schema/dtype.js'
import { type Places, selected } from './selection.js'

/** Which inputs and outputs of a layer, or channels of a norm, a copy keeps; undefined: all. */
export interface KeptPlaces {
  readonly inputs?: readonly number[] | undefined
  readonly outputs?: readonly number[] | undefined
}

/** What layers that pool were made with. */
interface Pool {
  readonly kernel: PerAxis
  readonly options?: PoolOptions
}

/** Layers without parameters: how each is made again. */
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

/** A layer with parameters of its own of the extents that are left, and which places each of its parameters keeps. */
function emptyCopy(
  layer: Module,
  { inputs, outputs }: KeptPlaces,
): readonly [Module & Layer, (name: string) => Places] {
  const own = Object.values(layer).find((value) => value instanceof Cell) as Cell | undefined
  const dtype = (own?.dtype ?? 'f32') as FloatDType
  if (layer instanceof Linear) {
    const options = { bias: layer.bias !== undefined, dtype }
    const copy = new Linear(inputs?.length ?? layer.inFeatures, outputs?.length ?? layer.outFeatures, options)
    return [copy, (name) => (name === 'weight' ? [outputs, inputs] : [outputs])]
  }
  if (layer instanceof Conv1d || layer instanceof Conv2d) {
    const { groups, weight, bias } = layer
    const sliding = layer['sliding']
    const options = { ...sliding, groups, bias: bias !== undefined, dtype }
    const [ins, outs] = [inputs?.length ?? layer.inChannels, outputs?.length ?? layer.outChannels]
    const kernel = weight.shape.slice(2)
    const copy =
      layer instanceof Conv1d
        ? new Conv1d(ins, outs, kernel[0] as number, options)
        : new Conv2d(ins, outs, kernel as [number, number], options)
    return [copy, (name) => (name === 'weight' ? [outputs, inputs] : [outputs])]
  }
  if (layer instanceof BatchNorm1d || layer instanceof BatchNorm2d) {
    const { eps, momentum, channels } = layer
    const Kind = layer instanceof BatchNorm1d ? BatchNorm1d : BatchNorm2d
    return [new Kind(outputs?.length ?? channels, { eps, momentum, dtype }), () => [outputs]]
  }
  if (layer instanceof LayerNorm) {
    const shape = outputs ? [outputs.length] : layer.shape
    return [new LayerNorm(shape, { eps: layer.eps, dtype, bias: layer.bias !== undefined }), () => [outputs]]
  }
  if (layer instanceof RMSNorm) return [new RMSNorm(layer.shape, { eps: layer.eps, dtype }), () => []]
  if (layer instanceof Embedding) {
    const { count, width, paddingIndex } = layer
    return [new Embedding(count, width, { dtype, ...(paddingIndex === undefined ? {} : { paddingIndex }) }), () => []]
  }
  const maker = MAKERS.find(([Kind]) => layer instanceof Kind)
  if (maker) return [maker[1](layer as never), () => []]
  throw new StudentError(
    `copies can be made of the layers of heddle's nn, and ${layer.constructor.name} is none of them; make the student yourself, and load what it keeps with loadStateDict`,
  )
}

/** A copy of a layer that shares nothing with it. Throws `StudentError` for layers other than those of `nn`. */
export async function copyLayer(layer: Layer, kept: KeptPlaces = {}): Promise<Layer> {
  // What is no module has no state.
  if (!(layer instanceof Module)) return layer
  const [copy, placesOf] = withoutMemory(() => emptyCopy(layer, kept))
  const state = await layer.stateDict({ bits: true })
  copy.loadStateDict(
    Object.fromEntries(Object.entries(state).map(([name, value]) => [name, selected(value, placesOf(name))])),
  )
  const trainable = new Map(layer.namedParameters().map(([name, parameter]) => [name, parameter.trainable]))
  for (const [name, parameter] of copy.namedParameters()) parameter.trainable = trainable.get(name) ?? true
  copy.train(layer.training)
  return copy
}
