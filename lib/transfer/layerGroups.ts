// The layers of a model from its input to its output, found by names: what discriminative rates and gradual unfreezing go by.
import type { Parameter } from '../cell.js'
import { Module } from '../nn/module.js'
import { listOf, numberIn, optionsOf } from '../ops/arguments.js'
import type { ParameterGroup } from '../optim/optimizer.js'
import { matcher, type Pattern } from '../pattern.js'
import { ArgumentError } from '../runtime/errors.js'
import { describe } from '../schema/describe.js'

export interface LayerGroup {
  readonly name: string
  readonly parameters: readonly (readonly [string, Parameter])[]
}

export interface LayerOptions {
  /**
   * Patterns of parameters' names, from the input to the output; what fits none is among the last. Default: the longest
   * list of modules in the model, what stands before it as one group, and what stands behind it as another.
   */
  readonly layers?: readonly Pattern[]
}

/** The list with the most modules; of those as long, the outermost. Its name with a dot behind it, where it has one. */
function longestList(names: readonly string[]): string | undefined {
  const lists = new Map<string, Set<string>>()
  for (const name of names) {
    const parts = name.split('.')
    parts.slice(0, -1).forEach((part, i) => {
      if (!/^\d+$/.test(part)) return
      const prefix = parts
        .slice(0, i)
        .map((outer) => `${outer}.`)
        .join('')
      lists.set(prefix, (lists.get(prefix) ?? new Set()).add(part))
    })
  }
  const sorted = [...lists].sort(([a, x], [b, y]) => y.size - x.size || a.length - b.length)
  return sorted[0]?.[0]
}

/**
 * The parameters of a model in groups from its input to its output: embeddings, layer by layer, the rest. Known for every
 * family of heddle/models and for any model with a list of layers. Throws `ArgumentError` where no list is found and none
 * is given, and for a pattern that nothing fits.
 */
export function layerGroups(model: Module, options: LayerOptions = {}): readonly LayerGroup[] {
  const op = 'layerGroups'
  if (!(model instanceof Module)) throw new ArgumentError(`${op}: it takes a module, not ${describe(model)}`)
  const { layers } = optionsOf(op, options)
  const named = model.namedParameters()
  const groups = layers === undefined ? byList(op, model, named) : byPatterns(op, named, listOf(op, 'layers', layers))
  return groups.filter(({ parameters }) => parameters.length > 0)
}

type Named = readonly (readonly [string, Parameter])[]

function byList(op: string, model: Module, named: Named): LayerGroup[] {
  const prefix = longestList(named.map(([name]) => name))
  if (prefix === undefined)
    throw new ArgumentError(`${op}: ${model.constructor.name} has no list of layers; say them by layers`)
  const placeOf = (name: string): string | undefined =>
    name.startsWith(prefix) ? /^\d+(?=\.)/.exec(name.slice(prefix.length))?.[0] : undefined
  const places = named.map(([name]) => placeOf(name))
  const [first, last] = [
    places.findIndex((place) => place !== undefined),
    places.findLastIndex((place) => place !== undefined),
  ]
  const inner = [...new Set(places.filter((place) => place !== undefined))].sort((a, b) => Number(a) - Number(b))
  return [
    { name: 'before', parameters: named.slice(0, first) },
    ...inner.map((place) => ({
      name: prefix + place,
      parameters: named.filter((_, i) => places[i] === place),
    })),
    // What stands between layers without being in one counts as behind them.
    { name: 'behind', parameters: named.filter((_, i) => i > first && (i > last || places[i] === undefined)) },
  ]
}

function byPatterns(op: string, named: Named, patterns: readonly Pattern[]): LayerGroup[] {
  const taken = new Set<Parameter>()
  const groups = patterns.map((pattern): LayerGroup => {
    const fits = matcher(op, pattern)
    const parameters = named.filter(([name, parameter]) => fits(name) && !taken.has(parameter))
    if (parameters.length === 0) throw new ArgumentError(`${op}: no parameter that is left fits ${String(pattern)}`)
    for (const [, parameter] of parameters) taken.add(parameter)
    return { name: String(pattern), parameters }
  })
  const rest = named.filter(([, parameter]) => !taken.has(parameter))
  const last = groups.at(-1)
  return last ? [...groups.slice(0, -1), { ...last, parameters: [...last.parameters, ...rest] }] : []
}

export interface LayerwiseDecayOptions extends LayerOptions {
  /** Factor of the learning rate from each layer to the one before it. */
  readonly decay: number
  /** Names of parameters that are not decayed towards 0. Default: all that are no matrices, biases and norms that is. */
  readonly noWeightDecay?: Pattern
}

/**
 * Groups for an optimizer whose learning rate falls from the output to the input, as what is learnt first needs to change
 * least (Howard and Ruder 2018, discriminative fine-tuning, there with 1/2.6; Clark et al. 2020 with 0.8). The last group has
 * the optimizer's own rate. Only trainable parameters are in them.
 *
 * @example new optim.AdamW(layerwiseDecay(model, { decay: 0.8 }), { lr: 1e-4 })
 */
export function layerwiseDecay(model: Module, options: LayerwiseDecayOptions): ParameterGroup[] {
  const op = 'layerwiseDecay'
  const { decay, noWeightDecay, ...found } = optionsOf(op, options)
  numberIn(op, 'decay', decay, 0)
  const groups = layerGroups(model, found)
  const named = noWeightDecay === undefined ? undefined : matcher(op, noWeightDecay)
  return groups.flatMap(({ parameters }, i) => {
    const lrFactor = decay ** (groups.length - 1 - i)
    const trainable = parameters.filter(([, parameter]) => parameter.trainable)
    const [plain, decayed] = [true, false].map((wanted) =>
      trainable
        .filter(([name, parameter]) => (named ? named(name) : parameter.rank < 2) === wanted)
        .map(([, parameter]) => parameter),
    ) as [Parameter[], Parameter[]]
    return [
      ...(decayed.length > 0 ? [{ parameters: decayed, lrFactor }] : []),
      ...(plain.length > 0 ? [{ parameters: plain, lrFactor, weightDecay: 0 }] : []),
    ]
  })
}

/**
 * Groups for an optimizer with factors of its learning rate by pattern, the first that fits; 1 for what fits none. Only
 * trainable parameters are in them. Throws `ArgumentError` for a pattern that nothing fits.
 *
 * @example new optim.AdamW(rateFactors(model, [['bert.embeddings', 0.1], ['classifier', 10]]), { lr: 2e-5 })
 */
export function rateFactors(model: Module, factors: readonly (readonly [Pattern, number])[]): ParameterGroup[] {
  const op = 'rateFactors'
  const rules = listOf(op, 'the factors', factors).map(([pattern, factor]) => ({
    pattern,
    fits: matcher(op, pattern),
    factor: numberIn(op, `the factor of ${String(pattern)}`, factor, 0),
    parameters: [] as Parameter[],
  }))
  const others: Parameter[] = []
  for (const [name, parameter] of model.namedParameters({ trainable: true }))
    (rules.find(({ fits }) => fits(name))?.parameters ?? others).push(parameter)
  const empty = rules.find(({ parameters }) => parameters.length === 0)
  if (empty) throw new ArgumentError(`${op}: no trainable parameter that is left fits ${String(empty.pattern)}`)
  return [
    ...rules.map(({ factor, parameters }) => ({ lrFactor: factor, parameters })),
    ...(others.length > 0 ? [{ parameters: others }] : []),
  ]
}
