// Cross entropy: the loss of classifiers on class indices or on probabilities.
import { ShapeError } from '../runtime/errors.js'
import type { DType } from '../schema/dtype.js'
import { isFloat } from '../schema/dtype.js'
import type { Spec } from '../schema/op.js'
import { formatShape, sameShape, sizeOf } from '../schema/shape.js'
import type { Tensor } from '../tensor.js'
import { floatOperand, indexOperand, integerFrom, numberIn, oneOf, optionsOf } from './arguments.js'
import { defineOp, operand } from './define.js'
import { add, cast, div, eq, iota, mul, ne, neg, sub, where } from './element.js'
import { throughComposite } from './gradient.js'
import { reshaped } from './linear.js'
import { statisticOf } from './norm.js'
import { mean, sum } from './reduce.js'
import { logSoftmax, softmax, withAxisLast } from './softmax.js'
import { axisOf, unsqueeze } from './view.js'

/** What targets may be. */
const classesOf = ([logits]: readonly Spec[], { ignoreIndex }: { readonly ignoreIndex: number }) =>
  [1, `below ${logits?.shape[1]} or ${ignoreIndex}`] as const

/** logits [N,C], targets [N] -> the loss of each row and the logarithm of its sum of exponentials, [N]. */
const CROSS_ENTROPY = defineOp('crossEntropy', {
  inputs: ['logits', 'targets'],
  outputs: ['loss', 'lse'],
  params: { ignoreIndex: 'i64', labelSmoothing: 'f64' },
  shape: ([logits]) => {
    const { dtype, shape } = logits as Spec
    const row: Spec = { dtype: statisticOf(dtype), shape: [shape[0] as number] }
    return [row, row]
  },
  checks: classesOf,
  grad: ({ logits, targets, lse }, dloss, params) => [
    CROSS_ENTROPY_GRAD([logits, targets, lse, dloss], params),
    undefined,
  ],
})

/** dloss (softmax(logits) - q), where q is the smoothed target distribution; zero in ignored rows. */
const CROSS_ENTROPY_GRAD = defineOp('crossEntropyGrad', {
  inputs: ['logits', 'targets', 'lse', 'dloss'],
  outputs: ['dlogits'],
  params: { ignoreIndex: 'i64', labelSmoothing: 'f64' },
  shape: ([logits]) => logits as Spec,
  checks: classesOf,
  grad: ({ logits, targets, dloss }, cotangent, { ignoreIndex, labelSmoothing }) => {
    // `lse` is a function of the logits, which the composite computes again: nothing flows through it by itself.
    const [dlogits, ddloss] = throughComposite(
      ([x, d]) => {
        const classes = logits.shape[1] as number
        const hit = eq(iota([1, classes], targets.dtype), unsqueeze(targets, 1))
        const smoothed = where(hit, 1 - labelSmoothing + labelSmoothing / classes, labelSmoothing / classes)
        const slope = sub(softmax(x as Tensor), cast(smoothed, logits.dtype))
        const rows = unsqueeze(cast(d as Tensor, logits.dtype), 1)
        return [where(unsqueeze(ne(targets, ignoreIndex), 1), mul(slope, rows), 0)]
      },
      [logits, dloss],
      [cotangent],
    )
    return [dlogits, undefined, undefined, ddloss]
  },
})

export type LossReduction = 'mean' | 'sum' | 'none'
export const LOSS_REDUCTIONS: readonly LossReduction[] = ['mean', 'sum', 'none']

export interface CrossEntropyOptions {
  /** The axis of the classes in `logits`. Default: the last. */
  readonly axis?: number
  /** Rows with this target count neither in the loss nor in its mean. Default -100. */
  readonly ignoreIndex?: number
  /** Share of the target spread over all classes, from 0 to 1 (Szegedy et al. 2016). Default 0. */
  readonly labelSmoothing?: number
  /** `mean` over the rows that are not ignored (default), `sum`, or `none`: the loss of every row. */
  readonly reduction?: LossReduction
}

/**
 * The cross entropy of softmax(logits) and the targets. Targets are class indices (i32 or i64) of the shape of `logits`
 * without the class axis, or probabilities (floats) of the shape of `logits`. Computed and given in f32 (f64 for f64).
 * Throws `ShapeError` where the shapes do not fit, `DTypeError` for other dtypes, `ArgumentError` for options out of
 * range; a class index out of range fails the run.
 */
export function crossEntropy(logits: Tensor, targets: Tensor, options: CrossEntropyOptions = {}): Tensor {
  const op = 'crossEntropy'
  const { ignoreIndex = -100, labelSmoothing = 0, reduction = 'mean' } = optionsOf(op, options)
  const value = floatOperand(op, logits)
  const axis = axisOf(op, options.axis ?? -1, value.shape.length)
  numberIn(op, 'labelSmoothing', labelSmoothing, 0, 1)
  integerFrom(op, 'ignoreIndex', ignoreIndex, Number.MIN_SAFE_INTEGER)
  oneOf(op, 'reduction', reduction, LOSS_REDUCTIONS)
  const { last } = withAxisLast(logits, axis)
  if (isFloat(operand(op, targets).dtype))
    return ofProbabilities(last, targets, value.shape, axis, labelSmoothing, reduction)
  const classes = last.shape.at(-1) as number
  const rows = last.shape.slice(0, -1)
  const indices = indexOperand(op, targets)
  if (!sameShape(indices.shape, rows)) {
    throw new ShapeError(
      `${op}: logits ${formatShape(value.shape)} with the classes along axis ${axis} take targets ${formatShape(rows)}, not ${formatShape(indices.shape)}`,
    )
  }
  if (classes === 0) throw new ShapeError(`${op}: the class axis of ${formatShape(value.shape)} is empty`)
  const flat = reshaped(targets, [sizeOf(rows)])
  const [loss] = CROSS_ENTROPY([reshaped(last, [sizeOf(rows), classes]), flat], { ignoreIndex, labelSmoothing })
  if (reduction === 'none') return reshaped(loss, rows)
  if (reduction === 'sum') return sum(loss)
  return div(sum(loss), cast(sum(ne(flat, ignoreIndex)), loss.dtype))
}

function ofProbabilities(
  logits: Tensor,
  targets: Tensor,
  shape: readonly number[],
  axis: number,
  labelSmoothing: number,
  reduction: LossReduction,
): Tensor {
  if (!sameShape(targets.shape, shape)) {
    throw new ShapeError(
      `crossEntropy: probabilities as targets have the shape of the logits, ${formatShape(shape)}, not ${formatShape(targets.shape)}`,
    )
  }
  const wide: DType = statisticOf(logits.dtype)
  const classes = logits.shape.at(-1) as number
  const given = cast(withAxisLast(targets, axis).last, wide)
  const wanted = labelSmoothing === 0 ? given : add(mul(given, 1 - labelSmoothing), labelSmoothing / classes)
  return reduceLoss(neg(sum(mul(wanted, logSoftmax(cast(logits, wide))), { axes: -1 })), reduction)
}

/** The losses of single elements or rows as what `reduction` says. */
export const reduceLoss = (loss: Tensor, reduction: LossReduction): Tensor =>
  reduction === 'none' ? loss : reduction === 'sum' ? sum(loss) : mean(loss)
