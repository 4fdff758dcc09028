// Which layers of a model can be quantised, what is folded into them, and which hand integers to the next.
import { Conv2d } from '../nn/conv.js'
import { Dropout, Flatten, MaxPool1d, MaxPool2d, ReLU } from '../nn/layers.js'
import type { Linear } from '../nn/linear.js'
import { Module } from '../nn/module.js'
import { BatchNorm2d } from '../nn/norm.js'
import { Sequential } from '../nn/sequential.js'
import { AwareLayer } from './awareLayers.js'
import { Folded, isQuantizable } from './quantizedLayers.js'

/** A layer that can be quantised and its surroundings in a `Sequential`. */
export interface Site<L extends Module = Module> {
  readonly name: string
  readonly layer: L
  /** Right behind it: what becomes part of it. */
  readonly batchNorm: BatchNorm2d | undefined
  readonly relu: ReLU | undefined
  /** The layer that is next but for what moves integers as well as floats. */
  next: Site<L> | undefined
  /** Dropouts on the way there. */
  readonly dropouts: readonly Dropout[]
}

/** In how many places of sequences each layer stands: behind one that has several, each place has other layers. */
const positionsOf = (model: Module): Map<unknown, number> => {
  const modules = [model, ...model.namedModules().map(([, module]) => module)]
  const layers = modules.flatMap((module): unknown[] => (module instanceof Sequential ? module.layers : []))
  const counts = new Map<unknown, number>()
  for (const layer of layers) counts.set(layer, (counts.get(layer) ?? 0) + 1)
  return counts
}

/** Layers that give the same for integers as for what they stand for. */
const movesIntegers = (layer: unknown): boolean =>
  layer instanceof MaxPool1d ||
  layer instanceof MaxPool2d ||
  layer instanceof Flatten ||
  layer instanceof Dropout ||
  layer instanceof Folded

const isPlain = (module: Module): module is Linear | Conv2d => isQuantizable(module)

/** The sites of layers that `takes` says yes to, in the order of their names. */
function sitesOf<L extends Module>(model: Module, takes: (module: Module, name: string) => module is L): Site<L>[] {
  const named = model.namedModules()
  const names = new Map(named.map(([name, module]) => [module, name]))
  const counts = positionsOf(model)
  const sites = new Map<Module, Site<L>>()
  const around = new Map<Module, readonly unknown[]>()
  for (const owner of [model, ...names.keys()]) {
    if (!(owner instanceof Sequential)) continue
    const { layers } = owner
    layers.forEach((layer, i) => {
      if (counts.get(layer) === 1 && layer instanceof Module) around.set(layer, layers.slice(i + 1))
    })
  }
  for (const [name, layer] of named) {
    if (!takes(layer, name)) continue
    const rest = [...(around.get(layer) ?? [])]
    // Behind a linear layer batch norm may be over another axis than the features; it stays what it is.
    const normalised = layer instanceof Conv2d && rest[0] instanceof BatchNorm2d
    const batchNorm = normalised ? (rest.shift() as BatchNorm2d) : undefined
    const rectifier = rest.find((other) => !(other instanceof Folded))
    const relu = rectifier instanceof ReLU && !(layer instanceof AwareLayer) ? rectifier : undefined
    const after = relu ? rest.slice(rest.indexOf(relu) + 1) : rest
    const until = after.findIndex((other) => !movesIntegers(other))
    const between = until < 0 ? after : after.slice(0, until)
    const dropouts = between.filter((other): other is Dropout => other instanceof Dropout)
    around.set(layer, until < 0 ? [] : [after[until]])
    sites.set(layer, { name, layer, batchNorm, relu, next: undefined, dropouts })
  }
  for (const [layer, site] of sites) site.next = sites.get(around.get(layer)?.[0] as Module)
  return [...sites.values()]
}

/** `Linear` and `Conv2d`, where `takes` has them. */
export const floatSites = (model: Module, takes: (name: string) => boolean): Site<Linear | Conv2d>[] =>
  sitesOf(model, (module, name): module is Linear | Conv2d => isPlain(module) && takes(name))

/** What `quantizationAware` made. */
export const awareSites = (model: Module): Site<AwareLayer>[] =>
  sitesOf(model, (module): module is AwareLayer => module instanceof AwareLayer)
