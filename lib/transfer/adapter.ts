// Adapters on a model: which there are, which one takes part, and how each is put on, merged and taken off.
import { assign, Cell, type Parameter } from '../cell.js'
import type { Module } from '../nn/module.js'
import { replaceModules } from '../nn/replace.js'
import { ArgumentError } from '../runtime/errors.js'
import { describe } from '../schema/describe.js'
import type { LoraConfig } from './lora.js'
import type { LoraLayer } from './loraLayer.js'

/** Everything that has been put on one model. */
class Adapters {
  readonly all = new Map<string, Adapter>()
  active: Adapter | undefined
  /** Which parameters were trainable before the first adapter came. */
  private readonly trainable: ReadonlyMap<Parameter, boolean>
  /** What parameters of the model that adapters have values of their own for hold without them. */
  readonly originals = new Map<Parameter, Cell>()

  constructor(private readonly model: Module) {
    this.trainable = new Map(model.parameters().map((parameter) => [parameter, parameter.trainable]))
  }

  /** Trains what the adapter has and nothing else. */
  trainOnly(adapter: Adapter): void {
    const own = new Set(adapter.parameters())
    for (const parameter of [...this.model.parameters(), ...own]) parameter.trainable = own.has(parameter)
  }

  restoreTrainable(): void {
    for (const [parameter, trainable] of this.trainable) parameter.trainable = trainable
  }
}

const onModels = new WeakMap<Module, Adapters>()

/** @internal The adapters on a model; undefined where there are none. */
export const knownAdapters = (model: Module): Adapters | undefined => onModels.get(model)

/** @internal The adapters on a model that gets one. */
export function adaptersOf(model: Module): Adapters {
  const found = onModels.get(model)
  if (found) return found
  const made = new Adapters(model)
  onModels.set(model, made)
  return made
}

/** The adapter of that name (default: the active one) on a model. Throws `ArgumentError` where there is none. */
export function adapterOf(model: Module, name?: string): Adapter {
  const found = onModels.get(model)
  const adapter = name === undefined ? found?.active : found?.all.get(name)
  if (adapter) return adapter
  const known = [...(found?.all.keys() ?? [])].join(', ') || 'none'
  throw new ArgumentError(`adapterOf: there is no ${name ?? 'active'} adapter on the model; there are: ${known}`)
}

/**
 * One low-rank adapter on a model, from `lora` or `loadAdapter`. Several may be on a model, one of them takes part. Those
 * parameters of the model that it trains too (biases, new heads) have values of its own: other adapters, and the model
 * without any, have theirs.
 */
export class Adapter {
  /** The adapter's own values of the model's parameters while it takes no part. */
  private readonly stored = new Map<Parameter, Cell>()
  private removed = false

  /** @internal */
  constructor(
    readonly model: Module,
    readonly name: string,
    /** What it was made with, defaults filled in. */
    readonly config: LoraConfig,
    /** The adapted layers by name. */
    readonly layers: ReadonlyMap<string, LoraLayer>,
    /** Parameters of the model that it trains too, by name. */
    readonly extra: ReadonlyMap<string, Parameter>,
    private readonly on: Adapters,
  ) {
    for (const parameter of extra.values())
      if (!on.originals.has(parameter))
        on.originals.set(parameter, new Cell(parameter, { name: `${parameter.state.label} without adapters` }))
    for (const parameter of extra.values()) this.stored.set(parameter, new Cell(on.originals.get(parameter) as Cell))
    on.all.set(name, this)
  }

  /** What it trains, by name: its own parameters, then those of the model. */
  namedParameters(): (readonly [string, Parameter])[] {
    const own = [...this.layers].flatMap(([path, layer]) =>
      layer
        .parametersOf(this.name)
        .map(([name, parameter]) => [`${path}.${named(name, this.name)}`, parameter] as const),
    )
    return [...own, ...this.extra]
  }

  parameters(): Parameter[] {
    return this.namedParameters().map(([, parameter]) => parameter)
  }

  /** @internal What holds its value of a parameter of the model. */
  valueOf(parameter: Parameter): Cell {
    return this.enabled ? parameter : (this.stored.get(parameter) ?? parameter)
  }

  /** Whether it takes part. Set to false, the model is what it was without adapters; set to true it is used again. */
  get enabled(): boolean {
    return this.on.active === this
  }

  set enabled(enabled: boolean) {
    if (typeof enabled !== 'boolean')
      throw new ArgumentError(`adapter: enabled is true or false, not ${describe(enabled)}`)
    if (enabled) this.use()
    else if (this.enabled) this.leave()
  }

  /** Whether its change is in the weights. */
  get merged(): boolean {
    return this.enabled && [...this.layers.values()].some(({ merged }) => merged)
  }

  /**
   * Makes it the one that takes part, and what it has the only parameters that are trained; or, with a name, another
   * adapter of the model. Throws `ArgumentError` while one is merged.
   */
  use(name = this.name): Adapter {
    const other = this.on.all.get(name)
    if (this.removed || !other)
      throw new ArgumentError(
        `adapter: there is no adapter ${name} on the model; there are ${[...this.on.all.keys()].join(', ') || 'none'}`,
      )
    if (this.on.active !== other) {
      this.on.active?.leave()
      for (const layer of other.layers.values()) layer.active = other.name
      assign([...other.extra.values()].map((parameter) => [parameter, other.stored.get(parameter) as Cell]))
      this.on.active = other
    }
    this.on.trainOnly(other)
    return other
  }

  private leave(): void {
    this.refuseMerged('be switched off')
    for (const [parameter, stored] of this.stored) stored.assign(parameter)
    assign([...this.extra.values()].map((parameter) => [parameter, this.on.originals.get(parameter) as Cell]))
    for (const layer of this.layers.values()) layer.active = undefined
    this.on.active = undefined
  }

  private refuseMerged(what: string): void {
    if (this.merged) throw new ArgumentError(`adapter: ${this.name} is merged and can not ${what}; unmerge it first`)
  }

  /**
   * Puts its change into the weights, so that the model costs what it did without it. Exact to the rounding of the weights.
   * With `keep` the weights as they were are kept beside them, as much memory again as the adapted layers have, and
   * `unmerge` gives the same bits back; without it, the change is taken off again, and weights differ by its rounding.
   */
  merge({ keep = false }: { readonly keep?: boolean } = {}): this {
    if (!this.enabled)
      throw new ArgumentError(`adapter: ${this.name} takes no part and can not be merged; use it first`)
    try {
      for (const layer of this.layers.values()) layer.merge(keep)
    } catch (error) {
      this.unmerge()
      throw error
    }
    return this
  }

  /** Takes the change out of the weights again. */
  unmerge(): this {
    if (this.enabled) for (const layer of this.layers.values()) layer.unmerge()
    return this
  }

  /**
   * Takes it off the model. Layers without adapters are those from before again, and where none is left, what was trainable
   * is so again. A merged one leaves its change in the weights, and what it trained besides, for good: `merge().remove()`
   * gives a plain model.
   */
  remove(): void {
    if (this.removed) return
    const { merged, on } = this
    if (merged) {
      for (const layer of this.layers.values()) layer.forgetMerged()
      for (const parameter of this.extra.values()) on.originals.get(parameter)?.assign(parameter)
      on.active = undefined
    } else if (this.enabled) this.leave()
    for (const cell of this.stored.values()) cell.dispose()
    for (const layer of this.layers.values()) layer.removeAdapter(this.name)
    on.all.delete(this.name)
    this.removed = true
    const empty = new Set<Module>([...this.layers.values()].filter(({ adapters }) => adapters.length === 0))
    if (empty.size > 0)
      replaceModules(this.model, (module) => (empty.has(module) ? (module as LoraLayer).base : undefined))
    if (on.all.size > 0) return
    on.restoreTrainable()
    for (const cell of on.originals.values()) cell.dispose()
    onModels.delete(this.model)
  }

  toString(): string {
    const size = this.parameters().reduce((sum, parameter) => sum + parameter.size, 0)
    return `Adapter ${this.name}: ${this.layers.size} layers, ${size} parameters`
  }
}

/** A name as PEFT's files have it, with the adapter's name in it, as models have it. */
const named = (name: string, adapter: string): string => {
  const [kind, ...rest] = name.split('.')
  return [kind, adapter, ...rest].join('.')
}
