// int8 quantisation of linear layers without calibration.
import { Linear } from '../nn/linear.js'
import type { Module } from '../nn/module.js'
import { replaceModules } from '../nn/replace.js'
import { optionsOf } from '../ops/arguments.js'
import { cast } from '../ops/element.js'
import { matcher, type Pattern } from '../pattern.js'
import { weightScale, weightSteps } from './fakeQuantize.js'
import { DynamicQuantizedLinear } from './quantizedLayers.js'
import { checkSites } from './quantizePrepare.js'
import { floatSites } from './quantizeStructure.js'

/**
 * Gives every `Linear` i8 weights with a scale per output feature, in place; each row of its input is quantised by its
 * own largest element when it comes. Needs no calibration and suits transformers, whose activations differ much between
 * tokens. Throws `ArgumentError` where there is none, `DTypeError` for weights that are not f32.
 */
export async function quantizeDynamic<M extends Module>(
  model: M,
  options: { readonly except?: Pattern } = {},
): Promise<M> {
  const op = 'quantizeDynamic'
  const { except } = optionsOf(op, options)
  const excepted = except === undefined ? () => false : matcher(op, except)
  const sites = floatSites(model, (name) => !excepted(name)).filter(({ layer }) => layer instanceof Linear)
  checkSites(op, model, sites, except)
  const places = new Map<Module, Module>()
  for (const { layer } of sites) {
    const { weight, bias } = layer
    const scales = weightScale(weight)
    const quantized = new DynamicQuantizedLinear(weight.shape, bias !== undefined)
    quantized.weight.write(await cast(weightSteps(weight, scales), 'i8').data())
    quantized.weightScale.write((await scales.data()) as Float32Array)
    if (bias) quantized.bias?.write((await bias.data()) as Float32Array)
    places.set(layer, quantized)
  }
  replaceModules(model, (module) => places.get(module))
  return model.eval()
}
