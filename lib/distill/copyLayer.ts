// Copies of layers, whole or with some of their inputs, outputs and channels.
import { Cell, withoutMemory } from '../cell.js'
import { Conv1d, Conv2d } from '../nn/conv.js'
import { Embedding } from '../nn/embedding.js'
import { Linear } from '../nn/linear.js'
import { type Layer, Module } from '../nn/module.js'
import { BatchNorm1d, BatchNorm2d, LayerNorm, RMSNorm } from '../nn/norm.js'
import { StudentError } from '../runtime/errors.js'
import type { FloatDType } from '../schema/dtype.js'
import { madeAgain } from './plainLayers.js'
import { type Places, selected } from './selection.js'

/** Which inputs and outputs of a layer, or channels of a norm, a copy keeps; undefined: all. */
export interface KeptPlaces {
  readonly inputs?: readonly number[] | undefined
  readonly outputs?: readonly number[] | undefined
}

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
    const { groups, weight, bias, sliding } = layer
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
  const again = madeAgain(layer)
  if (again) return [again, () => []]
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
