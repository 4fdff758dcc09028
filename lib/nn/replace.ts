// Replacing submodules in place: adapters around layers, quantised layers for float ones, new heads.
import { matcher, type Pattern } from '../pattern.js'
import { ArgumentError } from '../runtime/errors.js'
import { describe } from '../schema/describe.js'
import { holdsMembers, Module } from './module.js'

export interface Replacement {
  /** The dotted path of the submodule. */
  readonly name: string
  readonly before: Module
  readonly after: Module
}

/**
 * Puts what `make` gives for a submodule in its place; `undefined` leaves it there. Asked are those whose dotted path fits
 * the pattern (default: all), outer ones first; what is inside a replaced one is not asked for. A module that stands in
 * several places is asked for once and replaced in all. Nothing is replaced where `make` throws. Throws `ArgumentError`
 * where no path fits or nothing was replaced.
 *
 * @example replaceModules(model, (module) => (module instanceof nn.Dropout ? new nn.Dropout(0.2) : undefined))
 */
export function replaceModules(
  root: Module,
  make: (module: Module, name: string) => Module | undefined,
  pattern: Pattern = '*',
): readonly Replacement[] {
  const op = 'replaceModules'
  if (!(root instanceof Module)) throw new ArgumentError(`${op}: it takes a module, not ${describe(root)}`)
  const fits = matcher(op, pattern)
  const named = root.namedModules()
  const chosen = named.filter(([name]) => fits(name))
  const replaced: Replacement[] = []
  for (const [name, before] of chosen) {
    if (replaced.some((outer) => name.startsWith(`${outer.name}.`))) continue
    const after = make(before, name)
    if (after !== undefined && !(after instanceof Module))
      throw new ArgumentError(`${op}: ${name} can be replaced by a module, not by ${describe(after)}`)
    if (after !== undefined && after !== before) replaced.push({ name, before, after })
  }
  if (replaced.length === 0) {
    const some = (chosen.length > 0 ? chosen : named)
      .slice(0, 5)
      .map(([name, module]) => `${name} (${module.constructor.name})`)
    throw new ArgumentError(
      chosen.length > 0
        ? `${op}: of ${chosen.length} modules that fit ${String(pattern)} none can be replaced; the first are ${some.join(', ')}`
        : `${op}: no module's name fits ${String(pattern)}; the first names are ${some.join(', ') || '(none)'}`,
    )
  }
  const places = new Map(replaced.map(({ before, after }) => [before, after]))
  put(root, places, new Set())
  return replaced
}

/** Goes through all that may hold modules, since one of them may stand in several places. */
function put(owner: object, places: ReadonlyMap<Module, Module>, seen: Set<object>): void {
  if (seen.has(owner)) return
  seen.add(owner)
  for (const [key, value] of Object.entries(owner)) {
    const after = value instanceof Module ? places.get(value) : undefined
    if (after) (owner as Record<string, unknown>)[key] = after
    else if (holdsMembers(value)) put(value, places, seen)
  }
}
