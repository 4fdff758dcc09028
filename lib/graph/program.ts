// Emits an expression as a fused program: numbers its instructions, gathers its operands, places its loops.
import type { Instruction, Program } from '../schema/program.js'
import type { Shape } from '../schema/shape.js'
import type { Expression } from './expression.js'
import { registerOp } from './op.js'
import type { LoweredStep, Stored } from './place.js'

/** The op every fused program is a step of; nobody records it, lowering makes it. */
registerOp({ name: 'fused', kind: 'kernel', params: { program: 'program' }, infer: () => [], gradient: undefined })

interface Loops {
  readonly extents: Shape
  readonly reduced: readonly boolean[]
}

/** The reduction inside an expression, if there is one; lowering sees to it that there is at most one. */
function findReduce(expression: Expression): Extract<Expression, { kind: 'reduce' }> | undefined {
  if (expression.kind === 'reduce') return expression
  if (expression.kind !== 'apply') return undefined
  for (const arg of expression.args) {
    const found = findReduce(arg)
    if (found) return found
  }
  return undefined
}

class Emitter {
  readonly instructions: Instruction[] = []
  readonly operands: Stored[] = []
  private readonly numbers = new Map<Expression, number>()
  private readonly known = new Map<string, number>()
  private readonly operandKeys = new Map<string, number>()
  private readonly placeIds = new Map<object, number>()

  constructor(private readonly loops: Loops) {}

  /** The number of the value an expression becomes; strides on the reduced axes are 0 where it comes after the reduction. */
  emit(expression: Expression, afterReduce: boolean): number {
    const known = this.numbers.get(expression)
    if (known !== undefined) return known
    const number = this.push(this.instruction(expression, afterReduce))
    this.numbers.set(expression, number)
    return number
  }

  /** Strides over the kept axes become strides over all loop axes. */
  expand(strides: readonly number[], afterReduce: boolean): number[] {
    if (!afterReduce) return [...strides]
    let next = 0
    return this.loops.reduced.map((reduced) => (reduced ? 0 : (strides[next++] as number)))
  }

  private push(instruction: Instruction): number {
    const key = JSON.stringify(instruction)
    const known = this.known.get(key)
    if (known !== undefined) return known
    this.known.set(key, this.instructions.push(instruction) - 1)
    return this.instructions.length - 1
  }

  private instruction(expression: Expression, after: boolean): Instruction {
    const { dtype } = expression
    switch (expression.kind) {
      case 'load': {
        const strides = this.expand(expression.strides, after)
        const input = this.operand({ ...expression, shape: this.loops.extents, strides })
        return { op: 'load', dtype, input, strides }
      }
      case 'iota':
        return { op: 'iota', dtype, start: expression.offset, strides: this.expand(expression.strides, after) }
      case 'constant':
        return { op: 'constant', dtype, value: expression.value }
      case 'reduce':
        return { op: 'reduce', dtype, kind: expression.reduction, args: [this.emit(expression.argument, false)] }
      case 'apply': {
        const args = expression.args.map((arg) => this.emit(arg, after))
        if (expression.op === 'uniform' || expression.op === 'normal') {
          const draw = args as unknown as readonly [number, number, number]
          return { op: expression.op, dtype: dtype as 'f32', offset: expression.immediate, args: draw }
        }
        return { op: expression.op, dtype, args } as Instruction
      }
    }
  }

  private operand({ place, offset, dtype, shape, strides }: Stored): number {
    let id = this.placeIds.get(place)
    if (id === undefined) this.placeIds.set(place, (id = this.placeIds.size))
    const key = `${id} ${offset} ${dtype} ${strides.join()}`
    const known = this.operandKeys.get(key)
    if (known !== undefined) return known
    this.operandKeys.set(key, this.operands.push({ place, offset, dtype, shape, strides }) - 1)
    return this.operands.length - 1
  }
}

/**
 * Inputs an output may overwrite: read once per coordinate at the very strides the output is written with, and at no
 * other strides.
 */
function reusable(operands: readonly Stored[], output: Stored): number[] {
  return operands.flatMap((operand, i) => {
    const alone = operands.every((other, j) => j === i || other.place !== operand.place)
    const same =
      operand.offset === output.offset &&
      operand.place.bytes === output.place.bytes &&
      operand.dtype === output.dtype &&
      operand.strides.every((stride, axis) => stride === output.strides[axis])
    return alone && same ? [i] : []
  })
}

/** The step that evaluates `expression` (of `target`'s shape) and stores it in `target`. */
export function fusedStep(expression: Expression, target: Stored, label: string): LoweredStep {
  const reduce = findReduce(expression)
  const extents = reduce ? reduce.extents : target.shape
  const reduced = extents.map((_, axis) => reduce?.axes.includes(axis) ?? false)
  const emitter = new Emitter({ extents, reduced })
  const value = emitter.emit(expression, reduce !== undefined)
  const strides = emitter.expand(target.strides, reduce !== undefined)
  const program: Program = {
    extents,
    reduced,
    instructions: emitter.instructions,
    stores: [{ value, dtype: target.dtype, strides }],
  }
  // The operand as native code validates it: one axis per loop.
  const output: Stored = {
    ...target,
    shape: reduce ? extents.map((e, axis) => (reduced[axis] ? 1 : e)) : extents,
    strides,
  }
  return {
    op: 'fused',
    label,
    params: { program },
    inputs: emitter.operands,
    outputs: [output],
    inPlace: [reusable(emitter.operands, output)],
  }
}
