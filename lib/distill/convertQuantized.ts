// The second half of quantisation: int8 layers in the places of aware ones, or of float ones for a state that was saved.
import { Conv2d } from '../nn/conv.js'
import type { Module } from '../nn/module.js'
import { replaceModules } from '../nn/replace.js'
import { cast } from '../ops/element.js'
import { ArgumentError, StateDictError } from '../runtime/errors.js'
import type { StateDict } from '../state.js'
import { AwareConv2d, type AwareLayer, geometryOf } from './awareLayers.js'
import { gridOf, weightScale, weightSteps } from './fakeQuantize.js'
import {
  DynamicQuantizedLinear,
  Folded,
  type InputGrid,
  inputGrid,
  QuantizedConv2d,
  type QuantizedLayerParts,
  QuantizedLinear,
} from './quantizedLayers.js'
import { awareSites, floatSites } from './quantizeStructure.js'

/** What quantisation did to one layer. */
export interface QuantizedLayerReport {
  readonly name: string
  readonly kind: 'Linear' | 'Conv2d'
  /** Whether a ReLU became part of it. */
  readonly relu: boolean
  /** The smallest and the largest input that an integer stands for. */
  readonly range: readonly [number, number]
  /** Whether it hands integers to the next quantised layer. */
  readonly integersOut: boolean
  /** Power of the layer's f32 result over that of its error, in dB, on the first calibration batch; without one unknown. */
  readonly signalToNoise: number | undefined
}

export interface QuantizationReport {
  readonly layers: readonly QuantizedLayerReport[]
  /** Layers that could have been quantised, but are f32. */
  readonly left: readonly string[]
  /** Of all parameters and buffers. */
  readonly bytes: { readonly before: number; readonly after: number }
}

export interface Quantized<M extends Module> {
  readonly model: M
  readonly report: QuantizationReport
}

export const bytesOf = (model: Module): number =>
  [...model.parameters(), ...model.buffers()].reduce((sum, { state }) => sum + state.bytes, 0)

/** The elements of a layer's int8 counterpart. */
interface Elements {
  readonly weight: Int8Array
  readonly weightScale: Float32Array
  readonly bias: Float32Array | undefined
  readonly scale: number
  readonly zeroPoint: number
}

async function elementsOf({ weight, bias, low, high }: AwareLayer): Promise<Elements> {
  const scales = weightScale(weight)
  const grid = gridOf(low, high)
  const [steps, perChannel, offset, scale, zeroPoint] = await Promise.all([
    cast(weightSteps(weight, scales), 'i8').data(),
    scales.data() as Promise<Float32Array>,
    bias?.data() as Promise<Float32Array> | undefined,
    grid.scale.item(),
    grid.zeroPoint.item(),
  ])
  return { weight: steps, weightScale: perChannel, bias: offset, scale: Number(scale), zeroPoint: Number(zeroPoint) }
}

/**
 * Puts int8 layers in the places of those that `quantizationAware` made. The model then computes what it computed before
 * in `eval` mode, up to rounding. Throws `ArgumentError` where there are none.
 */
export async function convertQuantized<M extends Module>(model: M): Promise<Quantized<M>> {
  return convert(model, { before: bytesOf(model), left: floatSites(model, () => true).map(({ name }) => name) })
}

/** @internal With what is known from the preparation. */
export async function convert<M extends Module>(
  model: M,
  known: {
    readonly before: number
    readonly left: readonly string[]
    readonly ratios?: ReadonlyMap<string, number>
  },
): Promise<Quantized<M>> {
  const sites = awareSites(model)
  if (sites.length === 0)
    throw new ArgumentError('convertQuantized: the model has no layers that quantizationAware has made')
  const elements = new Map(await Promise.all(sites.map(async ({ layer }) => [layer, await elementsOf(layer)] as const)))
  const of = (layer: AwareLayer): Elements => elements.get(layer) as Elements
  const grids = new Map(sites.map(({ name, layer }) => [layer, inputGrid(name, of(layer).zeroPoint !== 0)]))
  const places = new Map<Module, Module>()
  const layers: QuantizedLayerReport[] = []
  for (const { name, layer, next, dropouts } of sites) {
    const { weight, weightScale: scales, bias, scale, zeroPoint } = of(layer)
    const parts: QuantizedLayerParts = {
      weightShape: layer.weight.shape,
      hasBias: bias !== undefined,
      input: grids.get(layer) as InputGrid,
      output: next && grids.get(next.layer),
      relu: layer.relu,
    }
    const convolves = layer instanceof AwareConv2d
    const quantized = convolves ? new QuantizedConv2d(parts, layer.geometry) : new QuantizedLinear(parts)
    quantized.weight.write(weight)
    quantized.weightScale.write(scales)
    if (bias) quantized.bias?.write(bias)
    quantized.inputScale.write(Float32Array.of(scale))
    quantized.inputZeroPoint?.write(Int32Array.of(zeroPoint))
    places.set(layer, quantized)
    if (next) for (const dropout of dropouts) places.set(dropout, new Folded('Dropout'))
    layers.push({
      name,
      kind: convolves ? 'Conv2d' : 'Linear',
      relu: layer.relu,
      range: [-zeroPoint * scale, (255 - zeroPoint) * scale],
      integersOut: next !== undefined,
      signalToNoise: known.ratios?.get(name),
    })
  }
  replaceModules(model, (module) => places.get(module))
  return {
    model: model.eval(),
    report: { layers, left: known.left, bytes: { before: known.before, after: bytesOf(model) } },
  }
}

/**
 * Gives a float model, as it was before it was quantised, the int8 layers of a saved state, and loads that: the layers
 * whose weight is i8 in it. In place. Throws `StateDictError`, with the model as it was, where the state is of another
 * model.
 */
export function loadQuantized<M extends Module>(model: M, state: StateDict): M {
  const quantized = (name: string): boolean => state[`${name}.weight`]?.dtype === 'i8'
  const has = (name: string): boolean => Object.hasOwn(state, name)
  const sites = floatSites(model, quantized)
  if (sites.length === 0)
    throw new StateDictError('loadQuantized: no layer of the model has an i8 weight in the state; was it quantised?')
  const previous = new Map(sites.flatMap(({ name, next }) => (next ? [[next.name, name] as const] : [])))
  const isStatic = (name: string): boolean => has(`${name}.inputScale`) || has(`${previous.get(name)}.outputScale`)
  const grids = new Map(
    sites.map(({ name }) => [
      name,
      inputGrid(name, has(`${name}.inputZeroPoint`) || has(`${previous.get(name)}.outputZeroPoint`)),
    ]),
  )
  const places = new Map<Module, Module>()
  for (const { name, layer, batchNorm, relu, next, dropouts } of sites) {
    const [weightShape, hasBias] = [layer.weight.shape, has(`${name}.bias`)]
    if (!isStatic(name)) {
      places.set(layer, new DynamicQuantizedLinear(weightShape, hasBias))
      continue
    }
    const parts: QuantizedLayerParts = {
      weightShape,
      hasBias,
      input: grids.get(name) as InputGrid,
      output: next && grids.get(next.name),
      relu: relu !== undefined,
    }
    places.set(
      layer,
      layer instanceof Conv2d ? new QuantizedConv2d(parts, geometryOf(layer)) : new QuantizedLinear(parts),
    )
    if (batchNorm) places.set(batchNorm, new Folded('BatchNorm2d'))
    if (relu) places.set(relu, new Folded('ReLU'))
    if (next) for (const dropout of dropouts) places.set(dropout, new Folded('Dropout'))
  }
  const replaced = replaceModules(model, (module) => places.get(module))
  try {
    model.loadStateDict(state)
  } catch (error) {
    const back = new Map(replaced.map(({ before, after }) => [after, before]))
    replaceModules(model, (module) => back.get(module))
    throw error
  }
  return model.eval()
}
