// Chains of layers in a Sequential: which layer makes the channels that another takes, and what stands between them.
import { Conv1d, Conv2d } from '../nn/conv.js'
import { Linear } from '../nn/linear.js'
import type { Layer } from '../nn/module.js'
import { BatchNorm1d, BatchNorm2d, LayerNorm } from '../nn/norm.js'
import { Sequential } from '../nn/sequential.js'
import { keepsChannels } from './plainLayers.js'

export type Producer = Linear | Conv1d | Conv2d

export const isConv = (layer: unknown): layer is Conv1d | Conv2d => layer instanceof Conv1d || layer instanceof Conv2d

/** Channels (or neurons) that one layer makes and the next takes: they can go without changing any other layer. */
export interface Channels {
  /** Dotted name of the layer that makes them. */
  readonly producer: string
  readonly count: number
  /** Norms in between. */
  readonly norms: readonly string[]
  readonly consumer: string
  /** Inputs of the consumer to each channel: more than 1 behind `Flatten`. */
  readonly spread: number
}

/** The layers of a Sequential and of those in it, in order, with dotted names. */
export function* leaves(model: Sequential, prefix = ''): Generator<readonly [string, Layer]> {
  for (const [position, layer] of model.layers.entries()) {
    const name = `${prefix}${position}`
    if (layer instanceof Sequential) yield* leaves(layer, `${name}.`)
    else yield [name, layer]
  }
}

/** Inputs of a layer, outputs; undefined of grouped convolutions, whose channels belong together. */
const insOf = (layer: Producer): number | undefined =>
  layer instanceof Linear ? layer.inFeatures : layer.groups === 1 ? layer.inChannels : undefined
const outsOf = (layer: Producer): number | undefined =>
  layer instanceof Linear ? layer.outFeatures : layer.groups === 1 ? layer.outChannels : undefined

/** All channels of a Sequential that can be removed. What a layer that is not known stands between is left out. */
export function channelsOf(model: Sequential): Channels[] {
  const found: Channels[] = []
  let open: { readonly producer: string; readonly count: number; readonly norms: string[] } | undefined
  for (const [name, layer] of leaves(model)) {
    if (layer instanceof Linear || isConv(layer)) {
      const ins = insOf(layer)
      // A convolution takes channels as they are; Linear may take the places of each.
      const fits = open && ins !== undefined && (isConv(layer) ? ins === open.count : ins % open.count === 0)
      if (open && fits) found.push({ ...open, consumer: name, spread: (ins as number) / open.count })
      const count = outsOf(layer)
      open = count === undefined ? undefined : { producer: name, count, norms: [] }
    } else if (layer instanceof BatchNorm1d || layer instanceof BatchNorm2d) {
      if (open && layer.channels === open.count) open.norms.push(name)
      else open = undefined
    } else if (layer instanceof LayerNorm) {
      if (open && layer.shape.length === 1 && layer.shape[0] === open.count) open.norms.push(name)
      else open = undefined
    } else if (!keepsChannels(layer)) open = undefined
  }
  return found
}
