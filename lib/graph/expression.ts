// Expressions: elementwise values that are not in memory but inlined into the fused program that uses them.
import type { DType } from '../schema/dtype.js'
import type { Opcode, Reduction } from '../schema/program.js'
import type { Shape } from '../schema/shape.js'
import type { Place } from './place.js'

/** Strides and start of a load or an iota over the axes of the expression it is part of. */
interface Walk {
  readonly offset: number
  readonly strides: readonly number[]
}

export type Expression =
  | ({ readonly kind: 'load'; readonly dtype: DType; readonly place: Place } & Walk)
  | ({ readonly kind: 'iota'; readonly dtype: DType } & Walk)
  | { readonly kind: 'constant'; readonly dtype: DType; readonly value: number }
  | {
      readonly kind: 'apply'
      readonly op: Opcode
      readonly dtype: DType
      readonly args: readonly Expression[]
      readonly immediate: number
    }
  /** `argument` has `extents`; the axes in `axes` are combined, the others are those of the result, in order. */
  | {
      readonly kind: 'reduce'
      readonly dtype: DType
      readonly reduction: Reduction
      readonly argument: Expression
      readonly extents: Shape
      readonly axes: readonly number[]
    }

/** What inlining an expression once more costs, and what it touches. */
export interface Weight {
  readonly work: number
  readonly loads: number
  readonly reduces: boolean
}

const HEAVY: Partial<Record<Opcode, number>> = {
  exp: 8,
  expm1: 10,
  exp2: 8,
  log: 8,
  log1p: 10,
  log2: 8,
  sin: 12,
  cos: 12,
  tan: 16,
  tanh: 12,
  sigmoid: 10,
  erf: 14,
  erfc: 16,
  erfinv: 30,
  lgamma: 60,
  digamma: 60,
  pow: 24,
  sinh: 16,
  cosh: 16,
  asin: 16,
  acos: 16,
  atan: 16,
  asinh: 20,
  acosh: 20,
  atanh: 20,
  atan2: 24,
  div: 2,
  sqrt: 2,
  uniform: 16,
  normal: 40,
}

const weights = new WeakMap<Expression, Weight>()

/** The weight of the whole expression; a part that is used more than once is computed once, and counted so. */
export function weigh(expression: Expression): Weight {
  const known = weights.get(expression)
  if (known) return known
  const weight = compute(expression)
  weights.set(expression, weight)
  return weight
}

function compute(expression: Expression): Weight {
  const seen = new Set<Expression>()
  const operands = new Map<Place, Set<string>>()
  let [work, loads, reduces] = [0, 0, false]
  const visit = (part: Expression): void => {
    if (seen.has(part)) return
    seen.add(part)
    if (part.kind === 'apply') {
      work += HEAVY[part.op] ?? 1
      part.args.forEach(visit)
    } else if (part.kind === 'reduce') {
      work += 1
      reduces = true
      visit(part.argument)
    } else if (part.kind === 'load' && part.strides.some((stride) => stride !== 0)) {
      const walks = operands.get(part.place) ?? new Set()
      operands.set(part.place, walks)
      const walk = `${part.offset} ${part.strides.join()}`
      if (!walks.has(walk)) loads++
      walks.add(walk)
    }
  }
  visit(expression)
  return { work, loads, reduces }
}

/** The expression seen through a view: `change` maps the walk of each load, or says that this one can not be mapped. */
export function throughView(expression: Expression, change: (walk: Walk) => Walk | undefined): Expression | undefined {
  const seen = new Map<Expression, Expression | undefined>()
  const visit = (part: Expression): Expression | undefined => {
    if (seen.has(part)) return seen.get(part)
    const changed = rebuild(part)
    seen.set(part, changed)
    return changed
  }
  const rebuild = (part: Expression): Expression | undefined => {
    if (part.kind === 'constant') return part
    if (part.kind === 'reduce') return undefined
    if (part.kind === 'apply') {
      const args = part.args.map(visit)
      return args.every((arg) => arg !== undefined) ? { ...part, args: args as Expression[] } : undefined
    }
    const walk = change(part)
    return walk && { ...part, ...walk }
  }
  return visit(expression)
}

/** Every place the expression loads from. */
export function placesOf(expression: Expression): ReadonlySet<Place> {
  const places = new Set<Place>()
  const visited = new Set<Expression>()
  const visit = (part: Expression): void => {
    if (visited.has(part)) return
    visited.add(part)
    if (part.kind === 'load') places.add(part.place)
    else if (part.kind === 'apply') part.args.forEach(visit)
    else if (part.kind === 'reduce') visit(part.argument)
  }
  visit(expression)
  return places
}
