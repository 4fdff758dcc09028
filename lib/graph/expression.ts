// Expressions: elementwise values that are not in memory but inlined into the fused program that uses them.
import type { DType } from '../schema/dtype.js'
import type { Opcode, Reduction } from '../schema/program.js'
import type { Shape } from '../schema/shape.js'
import { type Place, placeNumber } from './place.js'

/** Strides and start of a load or an iota over the axes of the expression it is part of. */
interface Walk {
  readonly offset: number
  readonly strides: readonly number[]
}

export type Expression =
  | ({ readonly kind: 'load'; readonly dtype: DType; readonly place: Place } & Walk)
  | ({ readonly kind: 'iota'; readonly dtype: DType } & Walk)
  | { readonly kind: 'constant'; readonly dtype: DType; readonly value: number }
  | { readonly kind: 'apply'; readonly op: Opcode; readonly dtype: DType; readonly args: readonly Expression[]; readonly immediate: number }
  /** `argument` has `extents`; the axes in `axes` are combined, the others are those of the result, in order. */
  | { readonly kind: 'reduce'; readonly dtype: DType; readonly reduction: Reduction; readonly argument: Expression; readonly extents: Shape; readonly axes: readonly number[] }

/** What inlining an expression once more costs, and what it touches. */
export interface Weight {
  readonly work: number
  /** Distinct operands that are read element by element. */
  readonly loads: number
  readonly reduces: boolean
}

const HEAVY: Partial<Record<Opcode, number>> = {
  exp: 8, expm1: 10, exp2: 8, log: 8, log1p: 10, log2: 8, sin: 12, cos: 12, tan: 16, tanh: 12, sigmoid: 10, erf: 14, erfc: 16,
  erfinv: 30, lgamma: 60, digamma: 60, pow: 24, sinh: 16, cosh: 16, asin: 16, acos: 16, atan: 16, asinh: 20, acosh: 20,
  atanh: 20, atan2: 24, div: 2, sqrt: 2, uniform: 16, normal: 40,
}

interface Measured {
  readonly work: number
  /** Distinct loads that touch more than one element, by what they read. */
  readonly loads: ReadonlySet<string>
  readonly reduces: boolean
}

const measured = new WeakMap<Expression, Measured>()

/** The weight of the whole expression; the work of shared parts counts once per use, as an upper bound. */
export function weigh(expression: Expression): Weight {
  const { work, loads, reduces } = measure(expression)
  return { work, loads: loads.size, reduces }
}

function measure(expression: Expression): Measured {
  let known = measured.get(expression)
  if (!known) measured.set(expression, (known = compute(expression)))
  return known
}

const NO_LOADS: ReadonlySet<string> = new Set()

function compute(expression: Expression): Measured {
  switch (expression.kind) {
    case 'constant':
    case 'iota':
      return { work: 0, loads: NO_LOADS, reduces: false }
    case 'load': {
      const { place, offset, strides } = expression
      const touches = strides.some((stride) => stride !== 0)
      const key = `${placeNumber(place)} ${offset} ${strides.join()}`
      return { work: 0, loads: touches ? new Set([key]) : NO_LOADS, reduces: false }
    }
    case 'reduce': {
      const { work, loads } = measure(expression.argument)
      return { work: work + 1, loads, reduces: true }
    }
    case 'apply': {
      const parts = expression.args.map(measure)
      return {
        work: parts.reduce((sum, part) => sum + part.work, HEAVY[expression.op] ?? 1),
        loads: new Set(parts.flatMap((part) => [...part.loads])),
        reduces: parts.some((part) => part.reduces),
      }
    }
  }
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
