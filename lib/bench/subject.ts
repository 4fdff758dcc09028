// What is timed: cases by name, in a dtype, at shapes.
import type { OperandSpec } from '../cases/case.js'
import { FAMILIES, type OpCase } from '../cases/families.js'
import { ArgumentError, type DType, type Shape, type Tensor } from '../index.js'
import { isFloat } from '../schema/dtype.js'

export interface Subject {
  readonly family: string
  /** The family and the case, as patterns see it. */
  readonly name: string
  readonly dtype: DType
  readonly operands: readonly OperandSpec[]
  readonly run: (...tensors: Tensor[]) => Tensor
  /** Whether its gradients by all floats are timed instead. */
  readonly gradient: boolean
  /** What the case says of why it stays behind, and of what its instructions are. */
  readonly reason: string | undefined
  readonly instructions: string | undefined
  /** Whether it has no shapes of its own for timing, but those it is checked at. */
  readonly small: boolean
}

export interface Selection {
  /** A part of the name, a glob where it has `*` or `?`, or a regular expression between slashes. Default: all. */
  readonly pattern?: string | undefined
  /** Default: f32, or what a case has instead. */
  readonly dtype?: DType | undefined
  /** A shape for each operand, or one for all. */
  readonly shapes?: readonly Shape[] | undefined
  /** At the shapes of the tests. */
  readonly small?: boolean
  /** The gradients too, of cases that have one. */
  readonly gradients?: boolean
}

/** Whether a name is asked for. Throws `ArgumentError` for a regular expression that is none. */
export function named(pattern: string | undefined): (name: string) => boolean {
  if (pattern === undefined || pattern === '') return () => true
  const between = /^\/(.+)\/(i?)$/.exec(pattern)
  if (between) {
    try {
      const expression = new RegExp(between[1] as string, between[2])
      return (name) => expression.test(name)
    } catch (cause) {
      throw new ArgumentError(`heddle bench: ${pattern} is no regular expression: ${(cause as Error).message}`, {
        cause,
      })
    }
  }
  if (!/[*?]/.test(pattern)) return (name) => name.includes(pattern)
  const source = pattern
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.')
  const expression = new RegExp(`^${source}$`)
  return (name) => expression.test(name)
}

function operandsOf({ name, operands, bench }: OpCase, { shapes, small }: Selection): readonly OperandSpec[] {
  const usual = small || !bench ? operands : bench.operands
  if (!shapes) return usual
  const given = shapes.length === 1 ? usual.map(() => shapes[0] as Shape) : shapes
  if (given.length !== usual.length)
    throw new ArgumentError(
      `heddle bench: '${name}' takes ${usual.length} operands, and --shape names ${shapes.length}; name one for each, or one for all`,
    )
  return usual.map((operand, i) => ({ ...operand, shape: given[i] as Shape }))
}

/** The cases a selection names. Throws `ArgumentError` where it names none. */
export function subjectsOf(selection: Selection): Subject[] {
  const fits = named(selection.pattern)
  const subjects: Subject[] = []
  for (const [family, cases] of Object.entries(FAMILIES)) {
    for (const op of cases) {
      const name = `${family}: ${op.name}`
      if (!fits(name)) continue
      const dtypes = op.dtypes ?? ['f32', 'f64', 'bf16', 'f16']
      const dtype = selection.dtype ?? (dtypes.includes('f32') ? 'f32' : (dtypes[0] as DType))
      if (!dtypes.includes(dtype)) continue
      const operands = operandsOf(op, selection)
      // Where there are no elements there is nothing to time.
      if (operands.some(({ shape }) => shape.includes(0))) continue
      const small = selection.small === true || (!op.bench && !selection.shapes)
      const { reason, instructions } = op.bench ?? {}
      const subject = { family, dtype, operands, run: op.run, reason, instructions, small }
      subjects.push({ ...subject, name, gradient: false })
      const differentiable = (op.order ?? 2) > 0 && isFloat(dtype)
      if (selection.gradients && differentiable)
        subjects.push({ ...subject, name: `${name}, gradient`, gradient: true })
    }
  }
  if (subjects.length === 0) {
    const asked = selection.pattern ? `fits '${selection.pattern}'` : 'is there'
    const also = selection.dtype ? ` and takes ${selection.dtype}` : ''
    throw new ArgumentError(`heddle bench: no case ${asked}${also}; \`heddle bench --list\` names them all`)
  }
  return subjects
}
