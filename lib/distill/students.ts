// Students made of their teachers: with fewer layers, or narrower ones, the weights of what is kept.

import { PretrainedModel } from '../models/model.js'
import type { Layer } from '../nn/module.js'
import { Module } from '../nn/module.js'
import { Sequential } from '../nn/sequential.js'
import { optionsOf } from '../ops/arguments.js'
import { ArgumentError, StudentError } from '../runtime/errors.js'
import { describe } from '../schema/describe.js'
import { channelsOf, leaves } from './chain.js'
import { copyLayer, type KeptPlaces } from './copyLayer.js'
import { addAlong, largest, magnitudeScores, type Scores } from './importance.js'
import { evenlySpread } from './losses/hidden.js'
import { membersOf } from './selection.js'
import { narrowTransformer, type TransformerWidths, transformerLayers, withLayers } from './transformerStudents.js'

/** Positions to keep, checked: those given, or as many, evenly spread. */
function keptOf(op: string, keep: number | readonly number[], layers: number): number[] {
  const list = typeof keep === 'number' ? evenlySpread(keep, layers) : [...keep]
  const fits =
    list.length > 0 &&
    list.every((layer, i) => Number.isInteger(layer) && layer >= 0 && layer < layers && layer > (list[i - 1] ?? -1))
  if (fits) return list
  throw new ArgumentError(
    `${op}: of ${layers} layers, a number from 1 to ${layers} or a rising list of positions can be kept, not ${JSON.stringify(keep)}`,
  )
}

/** A Sequential of copies, each with what it keeps. */
async function copyOf(
  model: Sequential,
  keptOf: (name: string) => KeptPlaces,
  stays: (name: string) => boolean = () => true,
  prefix = '',
): Promise<Sequential> {
  const layers: Layer[] = []
  for (const [position, layer] of model.layers.entries()) {
    const name = `${prefix}${position}`
    if (!stays(name)) continue
    layers.push(
      layer instanceof Sequential
        ? await copyOf(layer, keptOf, () => true, `${name}.`)
        : await copyLayer(layer, keptOf(name)),
    )
  }
  const copy = new Sequential(...layers)
  copy.training = model.training
  return copy
}

/** Layers of a chain that do not fit one another, a line each. */
function misfits(model: Sequential): string[] {
  const found: string[] = []
  let before: { readonly name: string; readonly outs: number } | undefined
  for (const [name, layer] of leaves(model)) {
    const { inFeatures, inChannels, outFeatures, outChannels, channels } = layer as Partial<
      Record<'inFeatures' | 'inChannels' | 'outFeatures' | 'outChannels' | 'channels', number>
    >
    const ins = inFeatures ?? inChannels ?? channels
    const fits =
      before === undefined ||
      ins === undefined ||
      (inFeatures !== undefined ? ins % before.outs === 0 : ins === before.outs)
    if (!fits) found.push(`  ${before?.name} gives ${before?.outs}, ${name} (${layer.constructor.name}) takes ${ins}`)
    const outs = outFeatures ?? outChannels
    if (outs !== undefined) before = { name, outs }
    else if (!(layer instanceof Module)) before = undefined
  }
  return found
}

/**
 * A student with some layers of its teacher, copies of theirs: a number, evenly spread and the last among them (3 of 6 are 1, 3
 * and 5), or positions from 0. For BERT, RoBERTa, DistilBERT, GPT-2, Llama and Qwen2 (embeddings and heads are kept whole, the config
 * says how many layers are left) and for `Sequential`, whose layers behind one another must fit. Throws `StudentError`,
 * with a table of what does not fit, and `ArgumentError` for layers that are not there. The teacher stays as it is.
 *
 * @example const student = await dropLayers(teacher, [0, 2, 4])
 */
export async function dropLayers<M extends PretrainedModel | Sequential>(
  teacher: M,
  keep: number | readonly number[],
): Promise<M> {
  const op = 'dropLayers'
  if (teacher instanceof PretrainedModel)
    return withLayers(op, teacher, keptOf(op, keep, transformerLayers(op, teacher)))
  if (!(teacher instanceof Sequential))
    throw new ArgumentError(`${op}: it takes a model of heddle/models or a Sequential, not ${describe(teacher)}`)
  const kept = new Set(keptOf(op, keep, teacher.layers.length).map(String))
  const student = await copyOf(
    teacher,
    () => ({}),
    (name) => kept.has(name),
  )
  const problems = misfits(student)
  if (problems.length > 0)
    throw new StudentError(
      `${op}: what is left does not fit together (positions among what is left)\n${problems.join('\n')}`,
    )
  return student as M & Sequential
}

/** Neurons or channels that layers of a Sequential keep: by dotted name, or a share of all. */
export type LayerWidths = Readonly<Record<string, number>> | number

export interface NarrowOptions {
  /** What counts how much: `taylorScores`, `magnitudeScores` or your own. Default: L1 norms. */
  readonly scores?: Scores
}

/** The scores of the channels of each producer: its outputs' and what takes them. */
export function channelScores(model: Sequential, scores: Scores): Map<string, Float64Array> {
  const shapes = new Map(model.namedParameters().map(([name, { shape }]) => [name, shape]))
  const add = (totals: Float64Array, name: string, axis: number): void => {
    const [values, shape] = [scores[name], shapes.get(name)]
    if (values && shape) addAlong(totals, values, shape, axis)
  }
  return new Map(
    channelsOf(model).map(({ producer, count, spread, consumer }) => {
      const totals = new Float64Array(count)
      for (const kind of ['weight', 'bias']) add(totals, `${producer}.${kind}`, 0)
      const taken = new Float64Array(count * spread)
      add(taken, `${consumer}.weight`, 1)
      taken.forEach((score, i) => {
        const channel = Math.floor(i / spread)
        totals[channel] = (totals[channel] as number) + score
      })
      return [producer, totals]
    }),
  )
}

/** A Sequential of copies with those channels of each producer alone, by its name. */
export function withChannels(model: Sequential, kept: ReadonlyMap<string, readonly number[]>): Promise<Sequential> {
  const places = new Map<string, { inputs?: readonly number[]; outputs?: readonly number[] }>()
  const at = (name: string) => {
    const found = places.get(name) ?? {}
    places.set(name, found)
    return found
  }
  for (const { producer, norms, consumer, spread } of channelsOf(model)) {
    const list = kept.get(producer)
    if (!list) continue
    at(producer).outputs = list
    for (const norm of norms) at(norm).outputs = list
    at(consumer).inputs = membersOf(list, spread)
  }
  return copyOf(model, (name) => places.get(name) ?? {})
}

/**
 * A narrower student with the most important parts of its teacher. Of a transformer (the families of `dropLayers`): `{ heads, inner,
 * width }` as many in each layer; heads that are gone are written to the config's `pruned_heads`, so that the student can be saved
 * and loaded as any other. Of a `Sequential`: neurons and channels by layer, `{ '0': 16 }`, or a share of all, `0.5`, with batch
 * norms and what takes them; outputs of the last layer always stay. Importance is the L1 norm, unless `scores` say otherwise.
 * Throws `StudentError`, with a table, for widths that can not be. The teacher stays as it is.
 *
 * @example const student = await narrow(teacher, { heads: 6, inner: 768 })
 */
export async function narrow<M extends PretrainedModel | Sequential>(
  teacher: M,
  widths: M extends PretrainedModel ? TransformerWidths : LayerWidths,
  options: NarrowOptions = {},
): Promise<M> {
  const op = 'narrow'
  const { scores } = optionsOf(op, options)
  if (teacher instanceof PretrainedModel) return narrowTransformer(op, teacher, widths as TransformerWidths, scores)
  if (!(teacher instanceof Sequential))
    throw new ArgumentError(`${op}: it takes a model of heddle/models or a Sequential, not ${describe(teacher)}`)
  const channels = channelsOf(teacher)
  const counts = new Map(channels.map(({ producer, count }) => [producer, count]))
  const wanted =
    typeof widths === 'number'
      ? channels.map(({ producer, count }) => [producer, Math.max(1, Math.round(widths * count))] as const)
      : Object.entries(widths as Readonly<Record<string, number>>)
  const problems = wanted.flatMap(([name, width]) => {
    const count = counts.get(name)
    if (count === undefined) return [`  ${name}: no layer of that name makes channels that another layer takes`]
    return Number.isInteger(width) && width >= 1 && width <= count
      ? []
      : [`  ${name}: ${count} -> ${width}: an integer from 1 to ${count} is possible`]
  })
  if (problems.length > 0)
    throw new StudentError(
      `${op}: a student can not have these widths; layers that can be narrowed are ${[...counts].map(([name, count]) => `${name} (${count})`).join(', ') || 'none'}\n${problems.join('\n')}`,
    )
  const totals = channelScores(teacher, scores ?? (await magnitudeScores(teacher)))
  const kept = new Map(wanted.map(([name, width]) => [name, largest(totals.get(name) as Float64Array, width)]))
  return (await withChannels(teacher, kept)) as M & Sequential
}
