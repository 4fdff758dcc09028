// What every loss of a distillation does first: operands in the dtype of losses, the teacher's without a gradient, shapes checked.
import { floatOperand } from '../../ops/arguments.js'
import { cast, div, maximum, mul, ne, sqrt } from '../../ops/element.js'
import { statisticOf } from '../../ops/norm.js'
import { mean, sum } from '../../ops/reduce.js'
import { reshape, stopGradient } from '../../ops/view.js'
import { ShapeError } from '../../runtime/errors.js'
import { promote } from '../../schema/dtype.js'
import { formatShape, sameShape } from '../../schema/shape.js'
import type { Tensor } from '../../tensor.js'

/** Added under a root or to a divisor that may be 0. */
export const TINY = 1e-12

/** Both in f32 (f64 for f64); no gradient reaches the teacher. */
export function operands(op: string, student: Tensor, teacher: Tensor): [Tensor, Tensor] {
  const dtype = statisticOf(promote(floatOperand(op, student).dtype, floatOperand(op, teacher).dtype))
  return [cast(student, dtype), stopGradient(cast(teacher, dtype))]
}

/** As `operands`, of one shape. Throws `ShapeError`. */
export function sameOperands(op: string, student: Tensor, teacher: Tensor): [Tensor, Tensor] {
  const pair = operands(op, student, teacher)
  if (sameShape(student.shape, teacher.shape)) return pair
  throw new ShapeError(
    `${op}: the student's output is ${formatShape(student.shape)}, the teacher's ${formatShape(teacher.shape)}; they must be equal`,
  )
}

/** As `operands`, with a row for each sample of one batch, flat: [B,C] and [B,D]. Throws `ShapeError`. */
export function rowOperands(op: string, student: Tensor, teacher: Tensor): [Tensor, Tensor] {
  const pair = operands(op, student, teacher)
  const [samples] = student.shape
  if (student.rank >= 2 && teacher.rank >= 2 && samples === teacher.shape[0])
    return pair.map((x) => reshape(x, [x.shape[0] as number, -1])) as [Tensor, Tensor]
  throw new ShapeError(
    `${op}: it takes a row for each sample of one batch, not ${formatShape(student.shape)} and ${formatShape(teacher.shape)}`,
  )
}

/** Rows of length 1 along the last axis; no row is divided by less than the root of `TINY`. */
export const unit = (x: Tensor): Tensor => div(x, sqrt(maximum(sum(mul(x, x), { axes: -1, keepDims: true }), TINY)))

/** A mean over places, or over those that `mask` (bool or numbers, 0: left out) keeps. `values` have the mask's shape. */
export function meanOver(op: string, values: Tensor, mask: Tensor | undefined): Tensor {
  if (mask === undefined) return mean(values)
  if (!sameShape(values.shape, mask.shape))
    throw new ShapeError(
      `${op}: the mask is ${formatShape(mask.shape)}, and there are losses ${formatShape(values.shape)}`,
    )
  const real = cast(ne(mask, 0), values.dtype)
  return div(sum(mul(values, real)), maximum(sum(real), 1))
}
