// Reductions: combine the elements along axes into one.
import type { Op } from '../graph/op.js'
import { DTypeError, ShapeError } from '../runtime/errors.js'
import { type DType, isFloat, isInteger } from '../schema/dtype.js'
import { formatShape, type Shape, sizeOf } from '../schema/shape.js'
import type { Tensor } from '../tensor.js'
import { listOf, optionsOf } from './arguments.js'
import { widened } from './autocast.js'
import { operand } from './define.js'
import { add, cast, div, eq, exp, isFinite, log, mul, ne, sqrt, sub, where } from './element.js'
import { reduced, reductionOp, spread, summed, unitShape } from './linear.js'
import { axisOf, reshape, stopGradient } from './view.js'

export interface ReduceOptions {
  /** Which axes; negative ones count from the end. Default: all. */
  readonly axes?: number | readonly number[]
  /** Keep reduced axes with extent 1. Default false. */
  readonly keepDims?: boolean
}

type ReductionGradient = (x: Tensor, y: Tensor, dy: Tensor, axes: readonly number[]) => Tensor

/** Elements that equal the extreme share its gradient evenly, as PyTorch's amax and amin do. */
const extremeGradient: ReductionGradient = (x, y, dy, axes) => {
  const chosen = cast(eq(x, spread(y, x.shape, axes)), x.dtype)
  return mul(chosen, spread(div(dy, summed(chosen, axes)), x.shape, axes))
}

const MAX = reductionOp('max', extremeGradient)
const MIN = reductionOp('min', extremeGradient)

/** The product of the others: y / x, or what is left of the product where the only zero is left out. */
const PROD = reductionOp('prod', (x, y, dy, axes) => {
  const zero = eq(x, 0)
  const zeros = summed(cast(zero, x.dtype), axes)
  const rest = reduced(PROD, where(zero, 1, x), axes)
  const others = where(
    zero,
    where(eq(spread(zeros, x.shape, axes), 1), spread(rest, x.shape, axes), 0),
    div(spread(y, x.shape, axes), where(zero, 1, x)),
  )
  return mul(others, spread(dy, x.shape, axes))
})

function axesOf(op: string, x: Tensor, options: ReduceOptions): number[] {
  const rank = operand(op, x).shape.length
  const { axes } = optionsOf(op, options)
  if (axes === undefined) return x.shape.map((_, axis) => axis)
  const list = (typeof axes === 'number' ? [axes] : listOf(op, 'the axes', axes)).map((axis) => axisOf(op, axis, rank))
  if (new Set(list).size !== list.length) throw new ShapeError(`${op}: the axes [${list}] name one twice`)
  return list.sort((a, b) => a - b)
}

function finish(result: Tensor, shape: Shape, axes: readonly number[], { keepDims = false }: ReduceOptions): Tensor {
  return keepDims ? reshape(result, unitShape(shape, axes)) : result
}

function reducer(
  name: string,
  combine: (x: Tensor, axes: readonly number[]) => Tensor,
  accumulate: (dtype: DType) => DType,
) {
  return <D extends DType>(x: Tensor<D>, options: ReduceOptions = {}): Tensor => {
    const axes = axesOf(name, x, options)
    return finish(combine(widened(name, cast(x, accumulate(x.dtype))), axes), x.shape, axes, options)
  }
}

/** Integers and bool add up in at least i32, as counting wants. */
const counting = (dtype: DType): DType =>
  isInteger(dtype) || dtype === 'bool' ? (dtype === 'i64' ? 'i64' : 'i32') : dtype

/** The sum over `axes`. Integers and bool give i32 (i64 stays). */
export const sum = reducer('sum', summed, counting)
/** The product over `axes`. Integers and bool give i32 (i64 stays). */
export const prod = reducer('prod', (x, axes) => reduced(PROD, x, axes), counting)

function extreme(name: string, op: Op) {
  return <D extends DType>(x: Tensor<D>, options: ReduceOptions = {}): Tensor<D> => {
    const axes = axesOf(name, x, options)
    if (axes.some((axis) => x.shape[axis] === 0)) {
      throw new ShapeError(
        `${name}: there is no ${name} of no elements; ${formatShape(x.shape)} is empty along [${axes}]`,
      )
    }
    return finish(reduced(op, x, axes), x.shape, axes, options) as Tensor<D>
  }
}

/** The largest element over `axes`; NaN wins. */
export const max = extreme('max', MAX)
/** The smallest element over `axes`; NaN wins. */
export const min = extreme('min', MIN)

function truth(name: string, op: Op) {
  return (x: Tensor, options: ReduceOptions = {}): Tensor<'bool'> => {
    const axes = axesOf(name, x, options)
    const test = x.dtype === 'bool' ? x : ne(x, 0)
    return finish(reduced(op, test, axes), x.shape, axes, options) as Tensor<'bool'>
  }
}

/** Whether some element over `axes` is not 0. */
export const any = truth('any', MAX)
/** Whether every element over `axes` is not 0. */
export const all = truth('all', MIN)

const countOf = (x: Tensor, axes: readonly number[]): number => sizeOf(axes.map((axis) => x.shape[axis] as number))

/** The mean over `axes`; integers give f32. */
export function mean<D extends DType>(x: Tensor<D>, options: ReduceOptions = {}): Tensor {
  const axes = axesOf('mean', x, options)
  const float = widened('mean', isFloat(x.dtype) ? x : cast(x, 'f32'))
  return finish(mul(summed(float, axes), 1 / countOf(x, axes)), x.shape, axes, options)
}

/** f16 and bf16 compute what takes several steps in f32, and round once. */
const statistic = (x: Tensor): Tensor => (x.dtype === 'f64' ? x : cast(x, 'f32'))
const narrow = (result: Tensor, x: Tensor): Tensor =>
  isFloat(x.dtype) ? cast(result, widened('reduce', x).dtype) : result

/** The variance over `axes`; `correction` is subtracted from the count (1: Bessel's, the default; 0: of the population). */
export function variance<D extends DType>(
  x: Tensor<D>,
  options: ReduceOptions & { readonly correction?: number } = {},
): Tensor {
  const axes = axesOf('variance', x, options)
  const wide = statistic(x)
  const deviation = sub(wide, mean(wide, { axes, keepDims: true }))
  const total = summed(mul(deviation, deviation), axes)
  const result = mul(total, 1 / (countOf(x, axes) - (options.correction ?? 1)))
  return finish(narrow(result, x), x.shape, axes, options)
}

/** The square root of `variance`. */
export const std = <D extends DType>(
  x: Tensor<D>,
  options: ReduceOptions & { readonly correction?: number } = {},
): Tensor => sqrt(variance(x, options))

/** log(sum(exp(x))) over `axes`, without overflow. */
export function logsumexp<D extends DType>(x: Tensor<D>, options: ReduceOptions = {}): Tensor {
  const axes = axesOf('logsumexp', x, options)
  if (!isFloat(x.dtype)) throw new DTypeError(`logsumexp: it takes floats, not ${x.dtype}; cast it first`)
  const wide = statistic(x)
  const peak = stopGradient(max(wide, { axes, keepDims: true }))
  const shift = where(isFinite(peak), peak, 0)
  const total = log(sum(exp(sub(wide, shift)), { axes, keepDims: true }))
  const result = reshape(
    add(total, shift),
    x.shape.filter((_, axis) => !axes.includes(axis)),
  )
  return finish(narrow(result, x), x.shape, axes, options)
}
