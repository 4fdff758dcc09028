// Hidden states: the student's drawn to the teacher's, through learned projections where their widths differ.
import { Linear } from '../../nn/linear.js'
import { Module } from '../../nn/module.js'
import { integerFrom, listOf, optionsOf } from '../../ops/arguments.js'
import { add, mul, sub } from '../../ops/element.js'
import { mean } from '../../ops/reduce.js'
import { permute } from '../../ops/view.js'
import { ArgumentError, ShapeError } from '../../runtime/errors.js'
import { formatShape, sameShape } from '../../schema/shape.js'
import type { Tensor } from '../../tensor.js'
import { meanOver, operands, sameOperands } from './operands.js'

/** The mean of squared differences over the last axis, then over places. */
function squares(op: string, student: Tensor, teacher: Tensor, mask: Tensor | undefined): Tensor {
  const [x, y] = sameOperands(op, student, teacher)
  const difference = sub(x, y)
  return meanOver(op, mean(mul(difference, difference), { axes: -1 }), mask)
}

/**
 * The mean squared difference of two hidden states of one shape [...,width]; `mask` (bool or numbers, [...]) leaves out
 * places with 0. Gradients reach the student only.
 */
export const hiddenLoss = (student: Tensor, teacher: Tensor, options: { readonly mask?: Tensor } = {}): Tensor =>
  squares('hiddenLoss', student, teacher, optionsOf('hiddenLoss', options).mask)

export interface HiddenMatchingOptions {
  /** Which teacher state each of the student's is drawn to. Default: evenly spread, the last to the last (`evenlySpread`). */
  readonly pairs?: readonly (readonly [student: number, teacher: number])[]
  /** Channels stand in axis 1, as in [N,C,H,W]. Default false: in the last axis. */
  readonly channelsFirst?: boolean
}

/** `count` of the numbers from 0 to `of` - 1, evenly spread, the last among them: 3 of 6 are 1, 3, 5. */
export const evenlySpread = (count: number, of: number): number[] =>
  Array.from({ length: count }, (_, i) => Math.floor(((i + 1) * of) / count) - 1)

/**
 * Draws hidden states of the student to the teacher's: the sum over pairs of the mean squared difference, after a learned
 * linear map of the student's where widths differ (FitNets, Romero et al. 2015; TinyBERT, Jiao et al. 2020). It has
 * parameters, which are trained with the student: give it to `distill` under `with`. States are [...,width], with
 * `channelsFirst` [N,width,...]; all but the width must be equal.
 */
export class HiddenMatching extends Module {
  /** Of each pair; undefined where the widths are equal. */
  readonly projections: readonly (Linear | undefined)[]
  private readonly pairs: readonly (readonly [number, number])[]
  private readonly channelsFirst: boolean

  /** Widths of the student's states and of the teacher's, in the order in which `forward` gets them. */
  constructor(studentWidths: readonly number[], teacherWidths: readonly number[], options: HiddenMatchingOptions = {}) {
    super()
    const op = 'HiddenMatching'
    for (const widths of [studentWidths, teacherWidths])
      for (const width of listOf(op, 'the widths', widths)) integerFrom(op, 'a width', width, 1)
    const spread = evenlySpread(studentWidths.length, teacherWidths.length).map((to, from) => [from, to] as const)
    const { pairs = spread, channelsFirst = false } = optionsOf(op, options)
    this.channelsFirst = channelsFirst
    this.pairs = pairs
    if (pairs.length === 0) throw new ArgumentError(`${op}: there is no pair of states to match`)
    this.projections = pairs.map(([from, to]) => {
      const [student, teacher] = [studentWidths[from], teacherWidths[to]]
      if (student === undefined || teacher === undefined)
        throw new ArgumentError(
          `${op}: the pair ${from}, ${to} is none of ${studentWidths.length} states of the student and ${teacherWidths.length} of the teacher`,
        )
      return student === teacher ? undefined : new Linear(student, teacher)
    })
  }

  forward(student: readonly Tensor[], teacher: readonly Tensor[], options: { readonly mask?: Tensor } = {}): Tensor {
    const op = 'HiddenMatching'
    const last = (x: Tensor): Tensor =>
      this.channelsFirst ? permute(x, [0, ...x.shape.slice(2).map((_, axis) => axis + 2), 1]) : x
    const losses = this.pairs.map(([from, to], i) => {
      const [mine, theirs] = [student[from], teacher[to]]
      if (!mine || !theirs)
        throw new ArgumentError(`${op}: there is no state ${mine ? `${to} of the teacher` : `${from} of the student`}`)
      const [x, y] = operands(op, last(mine), last(theirs))
      if (!sameShape(x.shape.slice(0, -1), y.shape.slice(0, -1)))
        throw new ShapeError(
          `${op}: the states ${formatShape(mine.shape)} and ${formatShape(theirs.shape)} differ in more than their width`,
        )
      return squares(op, this.projections[i]?.forward(x) ?? x, y, options.mask)
    })
    return losses.reduce((a, b) => add(a, b))
  }
}
