// Layer norm and RMS norm over trailing axes.
import { ShapeError } from '../runtime/errors.js'
import type { DType } from '../schema/dtype.js'
import type { Spec } from '../schema/op.js'
import { formatShape, type Shape, sizeOf } from '../schema/shape.js'
import { checkShape, type Tensor } from '../tensor.js'
import { expectShape, floatOperand, numberIn, optionsOf, sameDType } from './arguments.js'
import { following } from './autocast.js'
import { defineOp } from './define.js'
import { add, cast, constant, mul, sub } from './element.js'
import { throughComposite } from './gradient.js'
import { reshaped, sumTo } from './linear.js'
import { mean as meanOf } from './reduce.js'

/** Statistics of f16 and bf16 are f32. */
export const statisticOf = (dtype: DType): DType => (dtype === 'f64' ? 'f64' : 'f32')

const statistic = ({ dtype, shape }: Spec, axes: number): Spec => ({
  dtype: statisticOf(dtype),
  shape: shape.slice(0, shape.length - axes),
})

const trailing = (shape: Shape, axes: number): number[] =>
  Array.from({ length: axes }, (_, i) => shape.length - axes + i)

/** A statistic beside the tensor it is of: unit axes where those were that it was taken over. */
const beside = (statistic_: Tensor, x: Tensor, axes: number): Tensor =>
  cast(reshaped(statistic_, [...statistic_.shape, ...new Array<number>(axes).fill(1)]), x.dtype)

const LAYER_NORM = defineOp('layerNorm', {
  inputs: ['x', 'gamma', 'beta'],
  outputs: ['y', 'mean', 'rstd'],
  params: { axes: 'i64', eps: 'f64' },
  shape: ([x], { axes }) => [x as Spec, statistic(x as Spec, axes), statistic(x as Spec, axes)],
  grad: ({ x, gamma, mean, rstd }, dy, { axes }, [, dmean, drstd]) => {
    const [dx, dgamma, dbeta] = LAYER_NORM_GRAD([dy, x, gamma, mean, rstd], { axes })
    const count = sizeOf(gamma.shape)
    // The statistics are results too, which second derivatives flow through: dmean/dx = 1/n, drstd/dx = -rstd^3 (x - mean)/n.
    let total = dx
    if (dmean) total = add(total, mul(beside(dmean, x, axes), 1 / count))
    if (drstd) {
      const slope = mul(mul(drstd, mul(rstd, mul(rstd, rstd))), -1 / count)
      total = add(total, mul(beside(slope, x, axes), sub(x, beside(mean, x, axes))))
    }
    return [total, dgamma, dbeta]
  },
})

const LAYER_NORM_GRAD = defineOp('layerNormGrad', {
  inputs: ['dy', 'x', 'gamma', 'mean', 'rstd'],
  outputs: ['dx', 'dgamma', 'dbeta'],
  params: { axes: 'i64' },
  shape: ([, x, gamma]) => [x as Spec, gamma as Spec, gamma as Spec],
  grad: ({ dy, x, gamma, mean, rstd }, _, { axes }, cotangents) =>
    throughComposite((inputs) => layerNormGradient(inputs as never, axes), [dy, x, gamma, mean, rstd], cotangents),
})

type LayerNormGradInputs = readonly [dy: Tensor, x: Tensor, gamma: Tensor, mean: Tensor, rstd: Tensor]

function layerNormGradient([dy, x, gamma, mean, rstd]: LayerNormGradInputs, axes: number): Tensor[] {
  const normal = mul(sub(x, beside(mean, x, axes)), beside(rstd, x, axes))
  const g = mul(dy, gamma)
  const over = { axes: trailing(x.shape, axes), keepDims: true }
  const centred = sub(sub(g, meanOf(g, over)), mul(normal, meanOf(mul(g, normal), over)))
  return [mul(centred, beside(rstd, x, axes)), sumTo(mul(dy, normal), gamma.shape), sumTo(dy, gamma.shape)]
}

const RMS_NORM = defineOp('rmsNorm', {
  inputs: ['x', 'gamma'],
  outputs: ['y', 'rstd'],
  params: { axes: 'i64', eps: 'f64' },
  shape: ([x], { axes }) => [x as Spec, statistic(x as Spec, axes)],
  grad: ({ x, gamma, rstd }, dy, { axes }, [, drstd]) => {
    const [dx, dgamma] = RMS_NORM_GRAD([dy, x, gamma, rstd], { axes })
    if (!drstd) return [dx, dgamma]
    // drstd/dx = -rstd^3 x / n.
    const slope = mul(mul(drstd, mul(rstd, mul(rstd, rstd))), -1 / sizeOf(gamma.shape))
    return [add(dx, mul(beside(slope, x, axes), x)), dgamma]
  },
})

const RMS_NORM_GRAD = defineOp('rmsNormGrad', {
  inputs: ['dy', 'x', 'gamma', 'rstd'],
  outputs: ['dx', 'dgamma'],
  params: { axes: 'i64' },
  shape: ([, x, gamma]) => [x as Spec, gamma as Spec],
  grad: ({ dy, x, gamma, rstd }, _, { axes }, cotangents) =>
    throughComposite((inputs) => rmsNormGradient(inputs as never, axes), [dy, x, gamma, rstd], cotangents),
})

type RmsNormGradInputs = readonly [dy: Tensor, x: Tensor, gamma: Tensor, rstd: Tensor]

function rmsNormGradient([dy, x, gamma, rstd]: RmsNormGradInputs, axes: number): Tensor[] {
  const scale = beside(rstd, x, axes)
  const normal = mul(x, scale)
  const g = mul(dy, gamma)
  const share = meanOf(mul(g, normal), { axes: trailing(x.shape, axes), keepDims: true })
  return [mul(sub(g, mul(normal, share)), scale), sumTo(mul(dy, normal), gamma.shape)]
}

export interface NormOptions {
  /** Added to the variance (or mean square) before its root. */
  readonly eps?: number
}

/** Checks x and the weights over its trailing axes; gives how many axes those are. */
function normalisedAxes(
  op: string,
  x: Tensor,
  shape: Shape,
  weights: Readonly<Record<string, Tensor | undefined>>,
): number {
  const value = floatOperand(op, x)
  checkShape(op, shape)
  const axes = shape.length
  const fits =
    axes > 0 &&
    axes <= value.shape.length &&
    shape.every((extent, i) => extent === value.shape[value.shape.length - axes + i])
  if (!fits) {
    throw new ShapeError(
      `${op}: the normalised shape ${formatShape(shape)} is not the end of ${formatShape(value.shape)}`,
    )
  }
  for (const [name, weight] of Object.entries(weights)) {
    if (!weight) continue
    const given = floatOperand(op, weight)
    expectShape(op, name, given, shape)
    sameDType(op, ['x', name], [value, given])
  }
  return axes
}

export interface LayerNormOptions extends NormOptions {
  /** Factor of the normalised values, of the normalised shape. Default 1. */
  readonly weight?: Tensor | undefined
  /** Added after `weight`, of the normalised shape. Default 0. */
  readonly bias?: Tensor | undefined
}

const filled = (value: number, x: Tensor, shape: Shape): Tensor => constant(value, { dtype: x.dtype, shape })

/**
 * (x - mean) / sqrt(variance + eps) * weight + bias over the trailing axes `shape` (Ba et al. 2016, "Layer
 * Normalization"); of the shape of `x`. `eps` defaults to 1e-5; statistics of f16 and bf16 are f32. Throws `ShapeError`
 * where `shape` is not the end of the shape of `x` or a weight has another shape, `DTypeError` for other than floats.
 */
export function layerNorm<D extends DType, S extends Shape>(
  x: Tensor<D, S>,
  shape: Shape,
  options: LayerNormOptions = {},
): Tensor<D, S> {
  const { eps = 1e-5, ...given } = optionsOf('layerNorm', options)
  const [weight, bias] = [following('layerNorm', given.weight, x), following('layerNorm', given.bias, x)]
  const axes = normalisedAxes('layerNorm', x, shape, { weight, bias })
  numberIn('layerNorm', 'eps', eps, 0)
  const [y] = LAYER_NORM([x, weight ?? filled(1, x, shape), bias ?? filled(0, x, shape)], { axes, eps })
  return y as Tensor<D, S>
}

/**
 * x / sqrt(mean(x^2) + eps) * weight over the trailing axes `shape` (Zhang and Sennrich 2019, "Root Mean Square Layer
 * Normalization"); of the shape of `x`. `eps` defaults to 1e-6. Errors as `layerNorm`.
 */
export function rmsNorm<D extends DType, S extends Shape>(
  x: Tensor<D, S>,
  shape: Shape,
  options: NormOptions & { readonly weight?: Tensor | undefined } = {},
): Tensor<D, S> {
  const { eps = 1e-6, ...given } = optionsOf('rmsNorm', options)
  const weight = following('rmsNorm', given.weight, x)
  const axes = normalisedAxes('rmsNorm', x, shape, { weight })
  numberIn('rmsNorm', 'eps', eps, 0)
  const [y] = RMS_NORM([x, weight ?? filled(1, x, shape)], { axes, eps })
  return y as Tensor<D, S>
}
