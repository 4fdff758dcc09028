// The module: parameters and submodules as properties, found by name; what a trace reads of it becomes a guard.
import { Cell, Parameter } from '../cell.js'
import { currentTrace } from '../graph/trace.js'
import { matcher, type Pattern } from '../pattern.js'
import { ArgumentError } from '../runtime/errors.js'
import { loadInto, readState, type StateDict, type StateOptions } from '../state.js'
import type { Tensor } from '../tensor.js'

/**
 * Inside a trace, every own property that is read is a fact the compiled function relies on: mode, probabilities, which
 * parameter and which submodule. Should it differ at a later call, the function is traced again.
 */
const OBSERVED: ProxyHandler<object> = {
  get(target, key, receiver) {
    const value: unknown = Reflect.get(target, key, receiver)
    const trace = currentTrace()
    if (trace && typeof key === 'string' && Object.hasOwn(target, key)) {
      trace.relyOn(target, key, value, () => Reflect.get(target, key))
      if (Array.isArray(value)) relyOnItems(value)
    }
    return value
  },
  ownKeys(target) {
    const names = (): string => Object.keys(target).join(', ')
    currentTrace()?.relyOn(target, 'properties', names(), names)
    return Reflect.ownKeys(target)
  },
}

function relyOnItems(list: readonly unknown[]): void {
  const trace = currentTrace()
  trace?.relyOn(list, 'length', list.length, () => list.length)
  list.forEach((item, i) => trace?.relyOn(list, String(i), item, () => list[i]))
}

/** Every cell below `owner` with its dotted name, under each name it has; a module inside itself is not entered again. */
function* namedCells(owner: object, prefix: string, around: readonly object[]): Generator<readonly [string, Cell]> {
  for (const [key, value] of Object.entries(owner)) {
    const name = prefix + key
    if (value instanceof Cell) yield [name, value]
    else if (holdsMembers(value) && !around.includes(value)) yield* namedCells(value, `${name}.`, [...around, value])
  }
}

/** @internal Every cell of a module under each name it has: a tied one under several. */
export const namesOfCells = (module: Module): (readonly [string, Cell])[] => [...namedCells(module, '', [module])]

function* namedModulesOf(owner: object, prefix: string, seen: Set<object>): Generator<readonly [string, Module]> {
  for (const [key, value] of Object.entries(owner)) {
    if (!holdsMembers(value) || seen.has(value)) continue
    seen.add(value)
    if (value instanceof Module) yield [prefix + key, value]
    yield* namedModulesOf(value, `${prefix}${key}.`, seen)
  }
}

/** @internal Modules, and arrays and plain objects, which may hold some. */
export function holdsMembers(value: unknown): value is object {
  if (value === null || typeof value !== 'object') return false
  return value instanceof Module || Array.isArray(value) || Object.getPrototypeOf(value) === Object.prototype
}

/** The first name of each. */
function once<T extends object>(named: Iterable<readonly [string, T]>): (readonly [string, T])[] {
  const seen = new Set<T>()
  return [...named].filter(([, one]) => !seen.has(one) && seen.add(one))
}

export interface ParameterFilter {
  /** Only those that gradients reach (true), or only frozen ones (false). Default: all. */
  readonly trainable?: boolean
}

/**
 * A part of a network. Parameters, cells and submodules are plain properties, also in arrays and plain objects; their
 * dotted paths are their names, as in `blocks.0.attention.qkv.weight`.
 */
export abstract class Module {
  /** Whether dropout drops and batch norm uses the batch. Set it with `train()` and `eval()`. */
  training = true

  constructor() {
    // biome-ignore lint/correctness/noConstructorReturn: what reads a module goes through the proxy that observes it
    return new Proxy<this>(this, OBSERVED as ProxyHandler<this>)
  }

  /** Parameters by name, in the order of the properties; a tied one under its first name only. */
  namedParameters({ trainable }: ParameterFilter = {}): (readonly [string, Parameter])[] {
    const found = once(namedCells(this, '', [this])).filter(
      (entry): entry is readonly [string, Parameter] => entry[1] instanceof Parameter,
    )
    return trainable === undefined ? found : found.filter(([, parameter]) => parameter.trainable === trainable)
  }

  /** Every parameter once. */
  parameters(filter: ParameterFilter = {}): Parameter[] {
    return this.namedParameters(filter).map(([, parameter]) => parameter)
  }

  /** Cells that are state but not trained, running averages for example, by name. */
  namedBuffers(): (readonly [string, Cell])[] {
    return once(namedCells(this, '', [this])).filter(([, cell]) => !(cell instanceof Parameter))
  }

  buffers(): Cell[] {
    return this.namedBuffers().map(([, cell]) => cell)
  }

  /** Submodules at any depth by name, without the module itself. */
  namedModules(): (readonly [string, Module])[] {
    return [...namedModulesOf(this, '', new Set([this]))]
  }

  /** Sets the mode of the module and of all below it. */
  train(training = true): this {
    if (typeof training !== 'boolean')
      throw new ArgumentError(`train: the mode is true or false, not ${String(training)}`)
    this.training = training
    for (const [, module] of this.namedModules()) module.training = training
    return this
  }

  /** The mode for inference: `train(false)`. */
  eval(): this {
    return this.train(false)
  }

  /**
   * Keeps gradients and optimizers from the parameters whose name fits the pattern (default: all). Throws
   * `ArgumentError` where none does.
   */
  freeze(pattern: Pattern = '*'): this {
    return setTrainable('freeze', this, pattern, false)
  }

  /** The reverse of `freeze`. */
  unfreeze(pattern: Pattern = '*'): this {
    return setTrainable('unfreeze', this, pattern, true)
  }

  /** Data, shape and dtype of every parameter and buffer by name, as of now; a tied one under its first name. */
  stateDict(options: StateOptions = {}): Promise<StateDict> {
    return readState(once(namedCells(this, '', [this])), options)
  }

  /**
   * Overwrites every parameter and buffer. All names, shapes and elements are checked first; throws `StateDictError`,
   * with a table of what is missing, unexpected or of another shape, before anything is changed. Floats are converted
   * to the dtype they are kept in. With `strict: false`, missing and unexpected names are passed over.
   */
  loadStateDict(state: StateDict, options: { readonly strict?: boolean } = {}): void {
    loadInto([...namedCells(this, '', [this])], state, options.strict ?? true)
  }
}

function setTrainable<M extends Module>(op: string, module: M, pattern: Pattern, trainable: boolean): M {
  const fits = matcher(op, pattern)
  const named = module.namedParameters()
  const chosen = named.filter(([name]) => fits(name))
  if (chosen.length === 0) {
    const some = named.slice(0, 5).map(([name]) => name)
    throw new ArgumentError(
      `${op}: no parameter's name fits ${String(pattern)}; the first names are ${some.join(', ') || '(none)'}`,
    )
  }
  for (const [, parameter] of chosen) parameter.trainable = trainable
  return module
}

/** What maps one tensor to one. */
export interface Layer {
  forward(x: Tensor): Tensor
}
