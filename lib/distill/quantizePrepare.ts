// The first half of quantisation: aware layers in the places of float ones, their ranges found by examples.
import { Conv2d } from '../nn/conv.js'
import type { Linear } from '../nn/linear.js'
import type { Module } from '../nn/module.js'
import { replaceModules } from '../nn/replace.js'
import { integerFrom, numberIn, oneOf, optionsOf } from '../ops/arguments.js'
import { add, div, mul, sqrt, sub } from '../ops/element.js'
import { reshape } from '../ops/view.js'
import { matcher, type Pattern } from '../pattern.js'
import { ArgumentError, DTypeError } from '../runtime/errors.js'
import { describe } from '../schema/describe.js'
import { scope, Tensor, tensor } from '../tensor.js'
import { Observation, RANGE_METHODS, type RangeOptions } from './activationRanges.js'
import {
  type Affine,
  AwareConv2d,
  type AwareLayer,
  AwareLinear,
  geometryOf,
  type RangeTraining,
} from './awareLayers.js'
import { bytesOf } from './convertQuantized.js'
import { Folded } from './quantizedLayers.js'
import { awareSites, floatSites, type Site } from './quantizeStructure.js'

type Forward<M, B> = (model: M, batch: B) => unknown

export interface CalibrationOptions<M extends Module, B> extends RangeOptions {
  /** Names of layers that stay f32. Default: none. */
  readonly except?: Pattern
  /** Passes a batch through the model. Default: `model.forward` of the batch, or of its first element. */
  readonly forward?: Forward<M, B>
  /** At most so many batches are looked at. Default: all. */
  readonly batches?: number
}

/** The layer's weight and bias, with batch norm's running statistics folded in. */
async function affineOf({ layer, batchNorm }: Site<Linear | Conv2d>): Promise<Affine> {
  const { weight, bias } = layer
  if (!batchNorm) return { weight, bias }
  const { weight: gain, bias: shift, runningMean, runningVariance, eps } = batchNorm
  const factor = div(gain, sqrt(add(runningVariance, eps)))
  const channels = [factor.size, ...weight.shape.slice(1).map(() => 1)]
  return {
    weight: mul(weight, reshape(factor, channels)),
    bias: add(mul(sub(bias ?? 0, runningMean), factor), shift),
  }
}

export function checkSites(
  op: string,
  model: Module,
  sites: readonly Site<Linear | Conv2d>[],
  except: Pattern | undefined,
) {
  if (sites.length === 0) {
    const kinds = [...new Set(model.namedModules().map(([, { constructor }]) => constructor.name))]
    const why = except === undefined ? '' : ` that \`except\` (${String(except)}) does not name`
    throw new ArgumentError(
      `${op}: there is no Linear and no Conv2d inside the model${why}; its modules are ${kinds.join(', ') || '(none)'}`,
    )
  }
  for (const { name, layer } of sites)
    if (layer.weight.dtype !== 'f32')
      throw new DTypeError(`${op}: the weight of ${name} is ${layer.weight.dtype}; only f32 layers can be quantised`)
}

/** Puts modules in the places of others. */
export function put(model: Module, places: ReadonlyMap<Module, Module>): void {
  replaceModules(model, (module) => places.get(module))
}

function inputOf(op: string, batch: unknown): Tensor {
  const first: unknown = Array.isArray(batch) ? batch[0] : batch
  if (first instanceof Tensor) return first
  throw new ArgumentError(`${op}: a batch is ${describe(batch)}, not a tensor; say how it passes by \`forward\``)
}

async function calibrate<M extends Module, B>(
  op: string,
  model: M,
  layers: readonly Site<AwareLayer>[],
  calibration: Iterable<B> | AsyncIterable<B>,
  options: CalibrationOptions<M, B>,
): Promise<void> {
  const { range = 'mse', percentile = 99.99, batches = Number.POSITIVE_INFINITY } = options
  const forward = options.forward ?? ((module, batch) => (module as never as Linear).forward(inputOf(op, batch)))
  for (const { name, layer } of layers) layer.observation = new Observation(name, range, percentile)
  let count = 0
  for await (const batch of calibration) {
    await scope(async () => {
      await forward(model, batch)
      for (const { layer } of layers) await (layer.observation as Observation).settle()
    })
    if (++count >= batches) break
  }
  if (count === 0) throw new ArgumentError(`${op}: the calibration has no batches`)
  for (const { layer } of layers) {
    const [low, high] = (layer.observation as Observation).range()
    layer.low.write(Float32Array.of(low))
    layer.high.write(Float32Array.of(high))
  }
}

/** 10 log10 of the power of `x` over that of x - y; infinite where they are equal. */
async function signalToNoise(layer: AwareLayer, observation: Observation): Promise<number> {
  const { data, shape } = observation.sample as NonNullable<Observation['sample']>
  return scope(async () => {
    const x = tensor(data, { shape })
    const wanted = layer.compute(x, layer.weight)
    const error = sub(wanted, layer.asQuantized(x))
    const [signal, noise] = await Promise.all([mul(wanted, wanted).sum().item(), mul(error, error).sum().item()])
    return 10 * Math.log10(Number(signal) / Number(noise))
  })
}

export interface Preparation {
  /** Names of layers that stay f32. */
  readonly left: readonly string[]
  /** Bytes of the model as it was. */
  readonly before: number
  /** Signal to noise of each layer, in dB. */
  readonly ratios: ReadonlyMap<string, number>
}

/**
 * Puts aware layers in the places of `Linear` and `Conv2d`, batch norm and ReLU folded in, and finds their ranges. Where
 * that fails the model is as it was.
 */
export async function prepare<M extends Module, B>(
  op: string,
  model: M,
  calibration: Iterable<B> | AsyncIterable<B>,
  options: CalibrationOptions<M, B>,
  ranges: RangeTraining,
): Promise<Preparation> {
  const { except, range = 'mse', percentile = 99.99, batches } = optionsOf(op, options)
  oneOf(op, 'range', range, RANGE_METHODS)
  numberIn(op, 'percentile', percentile, 0, 100)
  if (batches !== undefined) integerFrom(op, 'batches', batches, 1)
  const excepted = except === undefined ? () => false : matcher(op, except)
  const sites = floatSites(model, (name) => !excepted(name))
  checkSites(op, model, sites, except)
  const left = floatSites(model, excepted).map(({ name }) => name)
  const before = bytesOf(model)
  const modes = [model, ...model.namedModules().map(([, module]) => module)].map((m) => [m, m.training] as const)
  const places = new Map<Module, Module>()
  const undo = new Map<Module, Module>()
  const exchange = (was: Module, now: Module): void => {
    places.set(was, now)
    undo.set(now, was)
  }
  for (const site of sites) {
    const { layer, batchNorm, relu } = site
    const affine = await affineOf(site)
    const aware =
      layer instanceof Conv2d
        ? new AwareConv2d(affine, relu !== undefined, ranges, geometryOf(layer))
        : new AwareLinear(affine, relu !== undefined, ranges)
    aware.weight.trainable = layer.weight.trainable
    if (aware.bias) aware.bias.trainable = (layer.bias ?? layer.weight).trainable
    exchange(layer, aware)
    if (batchNorm) exchange(batchNorm, new Folded('BatchNorm2d'))
    if (relu) exchange(relu, new Folded('ReLU'))
  }
  put(model, places)
  const aware = awareSites(model)
  try {
    const { training } = model
    model.eval()
    await calibrate(op, model, aware, calibration, options)
    const ratios = new Map<string, number>()
    for (const { name, layer } of aware) ratios.set(name, await signalToNoise(layer, layer.observation as Observation))
    for (const { layer } of aware) {
      layer.observation = undefined
      layer.training = training
    }
    return { left, before, ratios }
  } catch (error) {
    put(model, undo)
    throw error
  } finally {
    for (const [module, mode] of modes) module.training = mode
  }
}
