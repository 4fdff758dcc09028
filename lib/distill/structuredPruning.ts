// Structured pruning: whole channels, neurons and heads are removed for good; what is left is a smaller model.
import { PretrainedModel } from '../models/model.js'
import { Sequential } from '../nn/sequential.js'
import { numberIn, oneOf, optionsOf } from '../ops/arguments.js'
import { ArgumentError } from '../runtime/errors.js'
import { describe } from '../schema/describe.js'
import { channelsOf } from './chain.js'
import { largest, magnitudeScores, type Scores } from './importance.js'
import { channelScores, narrow, withChannels } from './students.js'
import { transformerExtents } from './transformerStudents.js'

export interface StructuredPruningOptions {
  /** The share of units that go, from 0 to below 1: of channels and neurons, or of heads and of neurons. */
  readonly share: number
  /**
   * Of a `Sequential`: as large a share of each layer (`layer`), or the least important of all layers (`global`), by scores that are
   * divided by the norm of each layer's. A layer keeps at least one. Default `layer`.
   */
  readonly scope?: 'layer' | 'global'
  /** Of a transformer: what is removed. Default both. */
  readonly units?: readonly ('heads' | 'neurons')[]
  /** What counts how much: `taylorScores`, or your own. Default: L1 norms (Li et al. 2017). */
  readonly scores?: Scores
}

/** Which channels of each layer stay where the least important of all layers go. */
function globally(totals: ReadonlyMap<string, Float64Array>, share: number): Map<string, number[]> {
  const all = [...totals].flatMap(([name, scores]) => {
    const norm = Math.hypot(...scores) || 1
    return Array.from(scores, (score, place) => ({ name, place, score: score / norm }))
  })
  all.sort((a, b) => a.score - b.score)
  const kept = new Map([...totals].map(([name, { length }]) => [name, new Set(Array.from({ length }, (_, i) => i))]))
  let left = Math.round(share * all.length)
  for (const { name, place } of all) {
    const places = kept.get(name) as Set<number>
    if (left === 0) break
    if (places.size === 1) continue
    places.delete(place)
    left--
  }
  return new Map([...kept].map(([name, places]) => [name, [...places]]))
}

/**
 * A smaller model without the least important channels and neurons (of a `Sequential`: with batch norms and what takes them) or
 * heads and neurons (of the transformers of `narrow`, as many in each layer). Train it further afterwards: `train`, or
 * `distill` with the whole model as the teacher. The model that is given stays as it is. Throws as `narrow` does.
 *
 * @example const smaller = await pruneUnits(model, { share: 0.5, scores: await taylorScores(model, loader, { loss }) })
 */
export async function pruneUnits<M extends PretrainedModel | Sequential>(
  model: M,
  options: StructuredPruningOptions,
): Promise<M> {
  const op = 'pruneUnits'
  const { share, scope = 'layer', units = ['heads', 'neurons'], scores } = optionsOf(op, options)
  if (numberIn(op, 'the share', share, 0, 1) === 1)
    throw new ArgumentError(`${op}: not all units can go; the share is below 1`)
  oneOf(op, 'the scope', scope, ['layer', 'global'])
  if (model instanceof PretrainedModel) {
    const { heads, group, inner } = transformerExtents(op, model)
    const kept = {
      ...(units.includes('heads') ? { heads: group * Math.max(1, Math.round(((1 - share) * heads) / group)) } : {}),
      ...(units.includes('neurons') ? { inner: Math.max(1, Math.round((1 - share) * inner)) } : {}),
    }
    return narrow<PretrainedModel>(model, kept, scores ? { scores } : {}) as Promise<M>
  }
  if (!(model instanceof Sequential))
    throw new ArgumentError(`${op}: it takes a model of heddle/models or a Sequential, not ${describe(model)}`)
  const totals = channelScores(model, scores ?? (await magnitudeScores(model)))
  const kept =
    scope === 'global'
      ? globally(totals, share)
      : new Map(
          channelsOf(model).map(({ producer, count }) => [
            producer,
            largest(totals.get(producer) as Float64Array, Math.max(1, Math.round((1 - share) * count))),
          ]),
        )
  return (await withChannels(model, kept)) as M & Sequential
}
