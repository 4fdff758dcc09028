// Students of the transformer families: fewer layers, heads, neurons, or a smaller width; their weights from the teacher.
import { withoutMemory } from '../cell.js'
import { ConfigReader, type ModelConfig } from '../models/config.js'
import type { ModelClass, PretrainedModel } from '../models/model.js'
import { ArgumentError, StudentError } from '../runtime/errors.js'
import { describe } from '../schema/describe.js'
import type { FloatDType } from '../schema/dtype.js'
import type { StateDict } from '../state.js'
import { addAlong, largest, magnitudeScores, type Scores } from './importance.js'
import { type Axis, axesOf, type Layout, layerOf, layoutOf } from './layout.js'
import { membersOf, selected } from './selection.js'

/** What a student keeps of a transformer; what is left out stays as it is. */
export interface TransformerWidths {
  /** Heads of each layer. */
  readonly heads?: number
  /** Neurons of each layer's feed-forward part. */
  readonly inner?: number
  /** The width between layers; a whole number of heads, except for Llama and Qwen2. */
  readonly width?: number
}

/** A model of the same class with another config, filled with `state`. */
function madeLike<M extends PretrainedModel>(model: M, config: ModelConfig, state: StateDict): M {
  const Model = model.constructor as ModelClass<M>
  const dtype = (model.parameters()[0]?.dtype ?? 'f32') as FloatDType
  const bare = 'pooler' in model && model['pooler'] === undefined ? { pooler: false } : {}
  const student = withoutMemory(() => new Model(config, { dtype, ...bare }))
  student.loadStateDict(state)
  return student.train(model.training)
}

const layersOf = (op: string, model: PretrainedModel, layout: Layout): number =>
  new Set(model.namedParameters().flatMap(([name]) => layerOf(layout, name) ?? [])).size ||
  new ConfigReader(op, model.config).layers(layout.layers, 1)

/** A student with the layers `kept` of a transformer, in their order. */
export async function withLayers<M extends PretrainedModel>(op: string, model: M, kept: readonly number[]): Promise<M> {
  const layout = layoutOf(op, model)
  const places = new Map(kept.map((layer, place) => [layer, place]))
  const state = await model.stateDict({ bits: true })
  const entries = Object.entries(state).flatMap(([name, value]) => {
    const [, before, layer, behind] = layout.layer.exec(name) ?? []
    if (layer === undefined) return [[name, value] as const]
    const place = places.get(Number(layer))
    return place === undefined ? [] : [[`${before}${place}${behind}`, value] as const]
  })
  const pruned = model.config['pruned_heads'] as Readonly<Record<string, unknown>> | undefined
  const renumbered = Object.entries(pruned ?? {}).flatMap(([layer, heads]) => {
    const place = places.get(Number(layer))
    return place === undefined ? [] : [[String(place), heads] as const]
  })
  const changes = pruned ? { pruned_heads: Object.fromEntries(renumbered) } : {}
  return madeLike(model, { ...model.config, [layout.layers]: kept.length, ...changes }, Object.fromEntries(entries))
}

/** How many layers a transformer has. */
export const transformerLayers = (op: string, model: PretrainedModel): number =>
  layersOf(op, model, layoutOf(op, model))

/** The extents of a transformer as it is. */
interface Extents {
  readonly layers: number
  /** Of each layer. */
  readonly heads: number
  readonly headWidth: number
  /** Query heads to each head of keys and values. */
  readonly group: number
  readonly inner: number
  readonly width: number
}

function extentsOf(op: string, model: PretrainedModel, layout: Layout): Extents {
  const found: Partial<Record<Axis, number>> = {}
  for (const [name, { shape }] of model.namedParameters())
    axesOf(layout, name).forEach((axis, i) => {
      const extent = shape[i] as number
      if (axis && layerOf(layout, name) !== undefined) {
        if (found[axis] !== undefined && found[axis] !== extent && axis === 'heads')
          throw new StudentError(
            `${op}: layers have different numbers of heads; narrow a model that has as many in each`,
          )
        found[axis] = extent
      }
    })
  const reader = new ConfigReader(op, model.config)
  const [width = 0, heads = found.qkv === undefined ? 0 : found.qkv / 3] = [found.width, found.heads]
  const configured = reader.integer(layout.heads, layout.keyHeads ? 32 : 12)
  const headWidth = reader.integer('head_dim', 0, 0) || width / configured
  return {
    layers: layersOf(op, model, layout),
    heads: heads / headWidth,
    headWidth,
    group: found.keyHeads === undefined ? 1 : heads / found.keyHeads,
    inner: found.inner ?? 0,
    width,
  }
}

/** The extents of a transformer. */
export const transformerExtents = (op: string, model: PretrainedModel): Extents =>
  extentsOf(op, model, layoutOf(op, model))

/** What each wanted extent would have to be, where it is not; a line of a table each. */
function problemsOf(has: Extents, { heads, inner, width }: Required<TransformerWidths>, layout: Layout): string[] {
  const line = (what: string, from: number, to: number, fault: string): string =>
    `  ${what}: ${from} -> ${to}: ${fault}`
  const found: string[] = []
  for (const [what, from, to] of [
    ['heads', has.heads, heads],
    ['inner', has.inner, inner],
    ['width', has.width, width],
  ] as const)
    if (!(Number.isInteger(to) && to >= 1 && to <= from))
      found.push(line(what, from, to, `an integer from 1 to ${from} is possible`))
  if (heads % has.group !== 0)
    found.push(line('heads', has.heads, heads, `${has.group} heads share keys and values and are kept together`))
  if (!layout.keyHeads && width !== has.width && width !== heads * has.headWidth)
    found.push(
      line(
        'width',
        has.width,
        width,
        `it is that of all heads, ${heads} of ${has.headWidth}: ${heads * has.headWidth}`,
      ),
    )
  return found
}

/** The sums of scores of each unit along an axis, in one layer or (undefined) in all parameters. */
function unitScores(
  model: PretrainedModel,
  layout: Layout,
  scores: Scores,
  wanted: Axis,
  layer: number | undefined,
): Float64Array {
  let totals: Float64Array | undefined
  for (const [name, { shape }] of model.namedParameters()) {
    if (layer !== undefined && layerOf(layout, name) !== layer) continue
    axesOf(layout, name).forEach((axis, i) => {
      if (axis !== wanted || !scores[name]) return
      totals ??= new Float64Array(shape[i] as number)
      addAlong(totals, scores[name], shape, i)
    })
  }
  return totals ?? new Float64Array(0)
}

/** Scores of single places as those of groups of `size` behind one another, added to `totals`. */
function grouped(totals: Float64Array, places: Float64Array, size: number): Float64Array {
  places.forEach((score, i) => {
    const group = Math.floor(i / size) % totals.length
    totals[group] = (totals[group] as number) + score
  })
  return totals
}

/** Which groups of heads a layer keeps: those that share keys and values, of one head each where none do. */
function headGroups(
  model: PretrainedModel,
  layout: Layout,
  scores: Scores,
  has: Extents,
  heads: number,
  layer: number | undefined,
): number[] {
  const of = (axis: Axis): Float64Array => unitScores(model, layout, scores, axis, layer)
  const totals = new Float64Array(has.heads / has.group)
  grouped(totals, of('heads'), has.headWidth * has.group)
  grouped(totals, of('keyHeads'), has.headWidth)
  // Of queries, keys and values behind one another, each begins with the first head.
  grouped(totals, of('qkv'), has.headWidth)
  return largest(totals, heads / has.group)
}

/**
 * A student with the most important heads, neurons and places of the width of a transformer. Heads and neurons are chosen in
 * each layer, the width once for all.
 */
export async function narrowTransformer<M extends PretrainedModel>(
  op: string,
  model: M,
  widths: TransformerWidths,
  given: Scores | undefined,
): Promise<M> {
  const layout = layoutOf(op, model)
  const has = extentsOf(op, model, layout)
  const { width = has.width, inner = has.inner } = widths
  // Where a width is that of all heads, it says how many there are.
  const tied = !layout.keyHeads && widths.width !== undefined
  const { heads = tied ? width / has.headWidth : has.heads } = widths
  const problems = problemsOf(has, { heads, inner, width }, layout)
  if (problems.length > 0)
    throw new StudentError(
      `${op}: a student of ${model.constructor.name} can not have these extents\n${problems.join('\n')}`,
    )
  const scores = given ?? (await magnitudeScores(model))
  const keptWidth =
    width === has.width ? undefined : largest(unitScores(model, layout, scores, 'width', undefined), width)
  const keptHeads = Array.from({ length: has.layers }, (_, layer) =>
    headGroups(model, layout, scores, has, heads, layer),
  )
  const keptInner = Array.from({ length: has.layers }, (_, layer) =>
    largest(unitScores(model, layout, scores, 'inner', layer), inner),
  )
  const placesAlong = (axis: Axis | undefined, layer: number | undefined): readonly number[] | undefined => {
    if (axis === undefined) return undefined
    if (axis === 'width') return keptWidth
    if (layer === undefined) throw new ArgumentError(`${op}: heads outside of layers: ${describe(axis)}`)
    if (axis === 'inner') return inner === has.inner ? undefined : keptInner[layer]
    if (heads === has.heads) return undefined
    const groups = keptHeads[layer] as number[]
    if (axis === 'keyHeads') return membersOf(groups, has.headWidth)
    const places = membersOf(groups, has.headWidth * has.group)
    const all = has.heads * has.headWidth
    return axis === 'qkv' ? [0, all, 2 * all].flatMap((start) => places.map((place) => start + place)) : places
  }
  const state = await model.stateDict({ bits: true })
  const entries = Object.entries(state).map(([name, value]) => {
    const layer = layerOf(layout, name)
    return [
      name,
      selected(
        value,
        axesOf(layout, name).map((axis) => placesAlong(axis, layer)),
      ),
    ] as const
  })
  const changes = configChanges(model, layout, has, { heads, inner, width }, keptHeads)
  return madeLike(model, { ...model.config, ...changes }, Object.fromEntries(entries))
}

/** What a narrower student's config says otherwise. */
function configChanges(
  { config }: PretrainedModel,
  layout: Layout,
  has: Extents,
  { heads, inner, width }: Required<TransformerWidths>,
  keptHeads: readonly (readonly number[])[],
): ModelConfig {
  const sizes = { [layout.inner]: inner, [layout.width]: width }
  if (layout.keyHeads)
    return { ...sizes, [layout.heads]: heads, [layout.keyHeads]: heads / has.group, head_dim: has.headWidth }
  // A new width is that of all heads that are left.
  if (width !== has.width) return { ...sizes, [layout.heads]: heads, pruned_heads: {} }
  if (heads === has.heads) return sizes
  const before = (config['pruned_heads'] ?? {}) as Readonly<Record<string, readonly number[]>>
  const all = has.width / has.headWidth
  const pruned = keptHeads.map((kept, layer) => {
    const gone = new Set(before[layer] ?? [])
    // Heads are counted among those that are there.
    const there = Array.from({ length: all }, (_, head) => head).filter((head) => !gone.has(head))
    const left = new Set(kept.map((head) => there[head]))
    return [String(layer), Array.from({ length: all }, (_, head) => head).filter((head) => !left.has(head))] as const
  })
  return { ...sizes, pruned_heads: Object.fromEntries(pruned) }
}
