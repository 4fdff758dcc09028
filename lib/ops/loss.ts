// Losses between a prediction and a target: composites of elementwise ops and a reduction, which fuse.
import { ShapeError } from '../runtime/errors.js'
import { promote } from '../schema/dtype.js'
import { formatShape, sameShape } from '../schema/shape.js'
import type { Tensor } from '../tensor.js'
import { floatOperand, indexOperand, integerFrom, numberIn, oneOf, optionsOf } from './arguments.js'
import { type CrossEntropyOptions, LOSS_REDUCTIONS, type LossReduction, reduceLoss } from './crossEntropy.js'
import { abs, add, cast, div, eq, exp, iota, le, log, log1p, maximum, mul, ne, neg, sub, where } from './element.js'
import { statisticOf } from './norm.js'
import { sum } from './reduce.js'
import { withAxisLast } from './softmax.js'
import { axisOf, broadcastTo, unsqueeze } from './view.js'

export interface LossOptions {
  /** `mean` over all elements (default), `sum`, or `none`: the loss of every element. */
  readonly reduction?: LossReduction
}

/** Both in the dtype losses are computed in. Of one shape: a target that broadcasts is nearly always a mistake. */
function pair(op: string, prediction: Tensor, target: Tensor, reduction: LossReduction): [Tensor, Tensor] {
  const [a, b] = [floatOperand(op, prediction), floatOperand(op, target)]
  oneOf(op, 'reduction', reduction, LOSS_REDUCTIONS)
  if (!sameShape(a.shape, b.shape)) {
    throw new ShapeError(
      `${op}: the prediction has shape ${formatShape(a.shape)}, the target ${formatShape(b.shape)}; they must be equal`,
    )
  }
  const dtype = statisticOf(promote(a.dtype, b.dtype))
  return [cast(prediction, dtype), cast(target, dtype)]
}

function elementwiseLoss(op: string, rule: (prediction: Tensor, target: Tensor) => Tensor) {
  return (prediction: Tensor, target: Tensor, options: LossOptions = {}): Tensor => {
    const { reduction = 'mean' } = optionsOf(op, options)
    return reduceLoss(rule(...pair(op, prediction, target, reduction)), reduction)
  }
}

/**
 * The mean squared error, (prediction - target)^2. Both floats of one shape; given in f32 (f64 for f64). Throws
 * `ShapeError`, `DTypeError`, `ArgumentError` for an unknown reduction.
 */
export const mseLoss = elementwiseLoss('mseLoss', (x, y) => {
  const difference = sub(x, y)
  return mul(difference, difference)
})

/** The mean absolute error, |prediction - target|, its derivative at 0 taken as 0. Otherwise as `mseLoss`. */
export const l1Loss = elementwiseLoss('l1Loss', (x, y) => abs(sub(x, y)))

/**
 * Huber's loss (1964): d^2 / 2 where |d| <= delta, else delta (|d| - delta / 2), d the difference. `delta` (above 0)
 * defaults to 1. Otherwise as `mseLoss`.
 */
export function huberLoss(
  prediction: Tensor,
  target: Tensor,
  options: LossOptions & { readonly delta?: number } = {},
): Tensor {
  const { reduction = 'mean', delta = 1 } = optionsOf('huberLoss', options)
  numberIn('huberLoss', 'delta', delta, Number.MIN_VALUE)
  const [x, y] = pair('huberLoss', prediction, target, reduction)
  const difference = sub(x, y)
  const size = abs(difference)
  const loss = where(le(size, delta), mul(mul(difference, difference), 0.5), mul(sub(size, delta / 2), delta))
  return reduceLoss(loss, reduction)
}

export interface BinaryCrossEntropyOptions extends LossOptions {
  /** Factor of the positive term: more than 1 favours recall. Default 1. */
  readonly positiveWeight?: number
}

/**
 * -(w t log(sigmoid(x)) + (1 - t) log(1 - sigmoid(x))) for logits x, probabilities t and positive weight w, without
 * overflow: (1 - t) x + (1 + (w - 1) t) (log(1 + e^-|x|) + max(-x, 0)). Otherwise as `mseLoss`.
 */
export function binaryCrossEntropyWithLogits(
  logits: Tensor,
  target: Tensor,
  options: BinaryCrossEntropyOptions = {},
): Tensor {
  const { reduction = 'mean', positiveWeight = 1 } = optionsOf('binaryCrossEntropyWithLogits', options)
  numberIn('binaryCrossEntropyWithLogits', 'positiveWeight', positiveWeight, 0)
  const [x, t] = pair('binaryCrossEntropyWithLogits', logits, target, reduction)
  // softplus(-x); the derivatives of |x| and of the maximum at 0 add up to the right one, -1/2.
  const soft = add(log1p(exp(neg(abs(x)))), maximum(neg(x), 0))
  const weighted = positiveWeight === 1 ? soft : mul(add(mul(t, positiveWeight - 1), 1), soft)
  return reduceLoss(add(mul(sub(1, t), x), weighted), reduction)
}

export interface KlDivergenceOptions {
  /** `batchMean` (default): the sum divided by the extent of axis 0, which is the divergence's mean; or as in `mseLoss`. */
  readonly reduction?: LossReduction | 'batchMean'
  /** The targets are logarithms of probabilities too. Default false. */
  readonly logTarget?: boolean
}

/**
 * The Kullback-Leibler divergence of the target distribution from the predicted one, t (log t - x) per element, where
 * `logProbabilities` x are logarithms and t log t is 0 at t = 0. Both floats of one shape; given in f32 (f64 for f64).
 */
export function klDivergence(logProbabilities: Tensor, target: Tensor, options: KlDivergenceOptions = {}): Tensor {
  const { reduction = 'batchMean', logTarget = false } = optionsOf('klDivergence', options)
  oneOf('klDivergence', 'reduction', reduction, [...LOSS_REDUCTIONS, 'batchMean'])
  const plain = reduction === 'batchMean' ? 'none' : reduction
  const [x, t] = pair('klDivergence', logProbabilities, target, plain)
  const positive = ne(t, 0)
  const loss = logTarget ? mul(exp(t), sub(t, x)) : where(positive, mul(t, sub(log(where(positive, t, 1)), x)), 0)
  if (reduction !== 'batchMean') return reduceLoss(loss, plain)
  if (loss.shape.length === 0)
    throw new ShapeError('klDivergence: a scalar has no batch axis; choose another reduction')
  return mul(sum(loss), 1 / (loss.shape[0] as number))
}

/**
 * The negative of the log-probability of each row's class: `logProbabilities` as from `logSoftmax`, targets (i32 or i64)
 * of its shape without the class axis. Options and errors as `crossEntropy`, without label smoothing.
 */
export function nllLoss(
  logProbabilities: Tensor,
  targets: Tensor,
  options: Omit<CrossEntropyOptions, 'labelSmoothing'> = {},
): Tensor {
  const op = 'nllLoss'
  const { ignoreIndex = -100, reduction = 'mean' } = optionsOf(op, options)
  const value = floatOperand(op, logProbabilities)
  const axis = axisOf(op, options.axis ?? -1, value.shape.length)
  integerFrom(op, 'ignoreIndex', ignoreIndex, Number.MIN_SAFE_INTEGER)
  oneOf(op, 'reduction', reduction, LOSS_REDUCTIONS)
  const { last } = withAxisLast(cast(logProbabilities, statisticOf(value.dtype)), axis)
  const rows = last.shape.slice(0, -1)
  const indices = indexOperand(op, targets)
  if (!sameShape(indices.shape, rows)) {
    throw new ShapeError(
      `${op}: ${formatShape(value.shape)} with the classes along axis ${axis} takes targets ${formatShape(rows)}, not ${formatShape(indices.shape)}`,
    )
  }
  const classes = broadcastTo(iota([last.shape.at(-1) as number], targets.dtype), last.shape)
  const chosen = eq(classes, unsqueeze(targets, -1))
  const loss = neg(sum(where(chosen, last, 0), { axes: -1 }))
  const counts = ne(targets, ignoreIndex)
  const kept = where(counts, loss, 0)
  if (reduction !== 'mean') return reduceLoss(kept, reduction)
  return div(sum(kept), cast(sum(counts), kept.dtype))
}
