// LoRA and DoRA: low-rank adapters on the layers of a model, everything else frozen (Hu et al. 2021, Liu et al. 2024).
import type { Parameter } from '../cell.js'
import { Module } from '../nn/module.js'
import { replaceModules } from '../nn/replace.js'
import { integerFrom, numberIn, oneOf, optionsOf } from '../ops/arguments.js'
import { matcher, type Pattern } from '../pattern.js'
import { ArgumentError } from '../runtime/errors.js'
import { describe } from '../schema/describe.js'
import { Adapter, adaptersOf, knownAdapters } from './adapter.js'
import { LoraLayer, type LoraSettings } from './loraLayer.js'
import { loraAround } from './loraLayers.js'
import { byPattern, defaultTargets } from './targets.js'

export interface LoraOptions {
  /** Names it among several. Default `default`. */
  readonly name?: string
  /** Rank of the change of each weight. Default 8. */
  readonly rank?: number
  /** The change is multiplied with alpha / rank. Default 8. */
  readonly alpha?: number
  /** Probability of dropping an input of the adapter while training. Default 0. */
  readonly dropout?: number
  /**
   * Names of the layers that are adapted, or of modules all of whose layers are: `nn.Linear`, `nn.Conv2d`, `nn.Embedding`,
   * GPT-2's linear layers. Default: what PEFT adapts, queries and values (`targets.ts`).
   */
  readonly targets?: Pattern
  /** DoRA: direction and magnitude of a weight are adapted apart. Default false. */
  readonly dora?: boolean
  /** Multiply with alpha / sqrt(rank) instead (Kalajdzievski 2023). Default false. */
  readonly useRslora?: boolean
  /** Which biases of the model are trained too: none (default), all, or those of adapted layers. */
  readonly biases?: 'none' | 'all' | 'adapted'
  /** Names of modules that are trained too, a new head for example; PEFT's `modules_to_save`. Default: none. */
  readonly alsoTrain?: Pattern
  /** Ranks of some layers, by regular expressions of the ends of their names, as PEFT's `rank_pattern`. */
  readonly rankPattern?: Readonly<Record<string, number>>
  /** The same for alpha. */
  readonly alphaPattern?: Readonly<Record<string, number>>
}

/** What an adapter was made with. */
export type LoraConfig = Required<Omit<LoraOptions, 'name' | 'targets' | 'alsoTrain'>> & {
  /** Names of the modules that are trained too. */
  readonly alsoTrain: readonly string[]
}

/** A layer that is going to be adapted. */
interface Place {
  readonly name: string
  readonly module: Module
  /** What will stand there; the module itself where it has adapters already. */
  readonly layer: LoraLayer
  readonly settings: LoraSettings
}

/** @internal An adapter that is not on the model yet: nothing has been changed. */
export interface LoraPlan {
  readonly name: string
  readonly config: LoraConfig
  readonly places: readonly Place[]
  readonly extra: ReadonlyMap<string, Parameter>
}

const firstNames = (named: readonly (readonly [string, unknown])[]): string =>
  named
    .slice(0, 5)
    .map(([name]) => name)
    .join(', ') || '(none)'

/** @internal Checks everything and finds the layers. Throws `ArgumentError`. */
export function planLora(op: string, model: Module, options: LoraOptions): LoraPlan {
  if (!(model instanceof Module)) throw new ArgumentError(`${op}: it takes a module, not ${describe(model)}`)
  const { name = 'default', targets, alsoTrain, ...given } = optionsOf(op, options)
  if (typeof name !== 'string' || !/^\w[\w-]*$/.test(name))
    throw new ArgumentError(`${op}: an adapter's name has letters, digits, _ and -, not ${describe(name)}`)
  const { all, active } = knownAdapters(model) ?? {}
  if (all?.has(name)) throw new ArgumentError(`${op}: the model has an adapter ${name} already`)
  if (active?.merged) throw new ArgumentError(`${op}: the adapter ${active.name} is merged; unmerge or remove it first`)
  const config: LoraConfig = {
    rank: integerFrom(op, 'rank', given.rank ?? 8, 1),
    alpha: numberIn(op, 'alpha', given.alpha ?? 8, 0),
    dropout: numberIn(op, 'dropout', given.dropout ?? 0, 0, 1),
    dora: given.dora ?? false,
    useRslora: given.useRslora ?? false,
    biases: oneOf(op, 'biases', given.biases ?? 'none', ['none', 'all', 'adapted']),
    rankPattern: given.rankPattern ?? {},
    alphaPattern: given.alphaPattern ?? {},
    alsoTrain: alsoTrain === undefined ? [] : outermost(op, model, alsoTrain),
  }
  const places = placesOf(op, model, targets ?? defaultTargets(op, model), config)
  const inside = places.find((place) => config.alsoTrain.some((path) => `${place.name}.`.startsWith(`${path}.`)))
  if (inside) throw new ArgumentError(`${op}: ${inside.name} is among the modules that are trained as a whole already`)
  return { name, config, places, extra: extraOf(model, places, config) }
}

/** The modules that fit, without those inside of others that do. */
function outermost(op: string, model: Module, pattern: Pattern): string[] {
  const fits = matcher(op, pattern)
  const named = model.namedModules()
  const names = named.map(([path]) => path).filter(fits)
  if (names.length === 0)
    throw new ArgumentError(`${op}: no module's name fits ${String(pattern)}; the first names are ${firstNames(named)}`)
  return names.filter((path) => !names.some((outer) => path.startsWith(`${outer}.`)))
}

function placesOf(op: string, model: Module, targets: Pattern, config: LoraConfig): Place[] {
  const fits = matcher(op, targets)
  const named = model.namedModules()
  const chosen = named.filter(([path]) => fits(path))
  const places = chosen.flatMap(([path, module]): Place[] => {
    const rank = integerFrom(op, `the rank of ${path}`, byPattern(config.rankPattern, path, config.rank), 1)
    const alpha = numberIn(op, `alpha of ${path}`, byPattern(config.alphaPattern, path, config.alpha), 0)
    const scale = alpha / (config.useRslora ? Math.sqrt(rank) : rank)
    const settings = { rank, scale, dropout: config.dropout, dora: config.dora }
    const layer = module instanceof LoraLayer ? module : loraAround(module, path, settings)
    return layer ? [{ name: path, module, layer, settings }] : []
  })
  if (places.length > 0) return places
  throw new ArgumentError(
    chosen.length > 0
      ? `${op}: none of the ${chosen.length} modules that fit ${String(targets)} can be adapted: Linear, Conv1D, Conv2d and Embedding can; the first is ${chosen[0]?.[0]} (${chosen[0]?.[1].constructor.name})`
      : `${op}: no module's name fits ${String(targets)}; a pattern is for whole names, as '*.query'; the first names are ${firstNames(named)}`,
  )
}

/** Parameters of the model that are trained besides the adapter. */
function extraOf(model: Module, places: readonly Place[], { biases, alsoTrain }: LoraConfig): Map<string, Parameter> {
  const own = new Set(places.map(({ name }) => `${name}.bias`))
  return new Map(
    model
      .namedParameters()
      .filter(
        ([path]) =>
          alsoTrain.some((module) => path.startsWith(`${module}.`)) ||
          (biases !== 'none' &&
            path.endsWith('bias') &&
            !path.includes('.lora_') &&
            (biases === 'all' || own.has(path))),
      ),
  )
}

/** @internal Puts it on the model. It takes part at once. `around` surrounds the making of its parameters. */
export function putOn(
  model: Module,
  { name, config, places, extra }: LoraPlan,
  around: (make: () => void) => void = (make) => make(),
): Adapter {
  try {
    around(() => {
      for (const { layer, settings } of places) layer.addAdapter(name, settings)
    })
  } catch (error) {
    for (const { layer } of places) layer.removeAdapter(name)
    throw error
  }
  const on = adaptersOf(model)
  const wrapped = new Map<Module, LoraLayer>(places.map(({ module, layer }) => [module, layer]))
  if (places.some(({ module, layer }) => module !== layer)) replaceModules(model, (module) => wrapped.get(module))
  const layers = new Map(places.map((place) => [place.name, place.layer]))
  return new Adapter(model, name, config, layers, extra, on).use()
}

/**
 * Adapts layers of a model in place: each is replaced by one that adds a change of low rank, which is all that is trained
 * from then on; every other parameter is frozen, but for `biases` and `alsoTrain`. The change is 0 at first. Throws
 * `ArgumentError` for options out of range and for patterns that no layer fits; the model is then as it was.
 *
 * @example
 * const adapter = lora(gpt2, { rank: 8, alpha: 16, targets: '*.c_attn' })
 * const adamw = new optim.AdamW(adapter.parameters(), { lr: 1e-3 })
 */
export const lora = (model: Module, options: LoraOptions = {}): Adapter =>
  putOn(model, planLora('lora', model, options))
