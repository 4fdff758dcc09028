// Batch norm over every axis but the channels' (axis 1): of the batch while training, of given statistics afterwards.
import { ShapeError } from '../runtime/errors.js'
import type { DType } from '../schema/dtype.js'
import type { Spec } from '../schema/op.js'
import { formatShape, type Shape, sizeOf } from '../schema/shape.js'
import type { Tensor } from '../tensor.js'
import { expectShape, floatOperand, numberIn, optionsOf, sameDType } from './arguments.js'
import { following } from './autocast.js'
import { defineOp } from './define.js'
import { add, cast, constant, mul, rsqrt, sub } from './element.js'
import { throughComposite } from './gradient.js'
import { reshaped } from './linear.js'
import { statisticOf } from './norm.js'
import { mean as meanOf, sum } from './reduce.js'

/** A vector over the channels beside a tensor [N,C,...]. */
const beside = (channels: Tensor, x: Tensor): Tensor =>
  cast(
    reshaped(
      channels,
      x.shape.map((extent, axis) => (axis === 1 ? extent : 1)),
    ),
    x.dtype,
  )

const acrossBatch = (x: Tensor): number[] => x.shape.flatMap((_, axis) => (axis === 1 ? [] : [axis]))
const countOf = (x: Tensor): number => sizeOf(acrossBatch(x).map((axis) => x.shape[axis] as number))

const statistic = ({ dtype, shape }: Spec): Spec => ({ dtype: statisticOf(dtype), shape: [shape[1] as number] })

const BATCH_NORM = defineOp('batchNorm', {
  inputs: ['x', 'gamma', 'beta'],
  outputs: ['y', 'mean', 'variance'],
  params: { eps: 'f64' },
  strides: ['dense', 'contiguous', 'contiguous'],
  order: ([x]) => [x, undefined, undefined],
  shape: ([x]) => [x as Spec, statistic(x as Spec), statistic(x as Spec)],
  grad: ({ x, gamma, mean, variance }, dy, { eps }, [, dmean, dvariance]) => {
    const [dx, dgamma, dbeta] = BATCH_NORM_GRAD([dy, x, gamma, mean, rsqrt(add(variance, eps))], {})
    // The statistics are results too: dmean/dx = 1/n, dvariance/dx = 2 (x - mean)/n.
    let total = dx
    if (dmean) total = add(total, mul(beside(dmean, x), 1 / countOf(x)))
    if (dvariance) total = add(total, mul(beside(mul(dvariance, 2 / countOf(x)), x), sub(x, beside(mean, x))))
    return [total, dgamma, dbeta]
  },
})

const BATCH_NORM_GRAD = defineOp('batchNormGrad', {
  inputs: ['dy', 'x', 'gamma', 'mean', 'rstd'],
  outputs: ['dx', 'dgamma', 'dbeta'],
  strides: ['dense', 'dense', 'contiguous', 'contiguous', 'contiguous'],
  order: ([, x]) => [x, undefined, undefined],
  shape: ([, x, gamma]) => [x as Spec, gamma as Spec, gamma as Spec],
  grad: ({ dy, x, gamma, mean, rstd }, _, __, cotangents) =>
    throughComposite((inputs) => batchNormGradient(inputs as never), [dy, x, gamma, mean, rstd], cotangents),
})

type BatchNormGradInputs = readonly [dy: Tensor, x: Tensor, gamma: Tensor, mean: Tensor, rstd: Tensor]

function batchNormGradient([dy, x, gamma, mean, rstd]: BatchNormGradInputs): Tensor[] {
  const scale = beside(rstd, x)
  const normal = mul(sub(x, beside(mean, x)), scale)
  const over = { axes: acrossBatch(x), keepDims: true }
  const centred = sub(sub(dy, meanOf(dy, over)), mul(normal, meanOf(mul(dy, normal), over)))
  return [
    mul(centred, mul(scale, beside(gamma, x))),
    sum(mul(dy, normal), { axes: acrossBatch(x) }),
    sum(dy, { axes: acrossBatch(x) }),
  ]
}

export interface BatchNormOptions {
  /** Factor per channel, [C]. Default 1. */
  readonly weight?: Tensor | undefined
  /** Added per channel, [C]. Default 0. */
  readonly bias?: Tensor | undefined
  /** Added to the variance. Default 1e-5. */
  readonly eps?: number
}

/** Checks x [N,C,...] and vectors [C]; gives the number of channels. */
function channelsOf(op: string, x: Tensor, vectors: Readonly<Record<string, Tensor | undefined>>): number {
  const value = floatOperand(op, x)
  if (value.shape.length < 2) {
    throw new ShapeError(`${op}: it takes [N,C] or [N,C,...], not ${formatShape(value.shape)}`)
  }
  const channels = value.shape[1] as number
  for (const [name, vector] of Object.entries(vectors)) {
    if (!vector) continue
    const given = floatOperand(op, vector)
    expectShape(op, name, given, [channels])
    if (name === 'weight' || name === 'bias') sameDType(op, ['x', name], [value, given])
  }
  return channels
}

/**
 * Normalises every channel of x [N,C,...] by its mean and biased variance over the batch and the further axes (Ioffe and
 * Szegedy 2015, "Batch Normalization"). Gives y of the shape of `x`, and the two statistics [C] (f32; f64 for f64), which
 * are what running averages are made of. Throws `ShapeError` for fewer than two axes, for a single value per channel
 * and for vectors of another length, `DTypeError` for other than floats.
 */
export function batchNormTraining<D extends DType, S extends Shape>(
  x: Tensor<D, S>,
  options: BatchNormOptions = {},
): { y: Tensor<D, S>; mean: Tensor; variance: Tensor } {
  const op = 'batchNormTraining'
  const { eps = 1e-5, ...given } = optionsOf(op, options)
  const [weight, bias] = [following(op, given.weight, x), following(op, given.bias, x)]
  const shape = [channelsOf(op, x, { weight, bias })]
  numberIn(op, 'eps', eps, 0)
  if (countOf(x) <= 1) {
    throw new ShapeError(`${op}: it takes more than one value per channel, ${formatShape(x.shape)} has ${countOf(x)}`)
  }
  const gamma = weight ?? constant(1, { dtype: x.dtype, shape })
  const beta = bias ?? constant(0, { dtype: x.dtype, shape })
  const [y, mean, variance] = BATCH_NORM([x, gamma, beta], { eps })
  return { y: y as Tensor<D, S>, mean, variance }
}

/**
 * (x - mean) / sqrt(variance + eps) * weight + bias per channel of x [N,C,...] with given statistics [C]; of the shape
 * of `x`. A composite of elementwise ops, which fuses. Errors as `batchNormTraining`.
 */
export function batchNorm<D extends DType, S extends Shape>(
  x: Tensor<D, S>,
  mean: Tensor,
  variance: Tensor,
  options: BatchNormOptions = {},
): Tensor<D, S> {
  const { weight, bias, eps = 1e-5 } = optionsOf('batchNorm', options)
  channelsOf('batchNorm', x, {
    mean,
    variance,
    weight: following('batchNorm', weight, x),
    bias: following('batchNorm', bias, x),
  })
  numberIn('batchNorm', 'eps', eps, 0)
  const wide = statisticOf(x.dtype)
  const rstd = rsqrt(add(cast(variance, wide), eps))
  const scale = weight ? mul(rstd, cast(weight, wide)) : rstd
  const offset = mul(cast(mean, wide), scale)
  const shift = bias ? sub(cast(bias, wide), offset) : mul(offset, -1)
  const values = cast(x, wide)
  return cast(add(mul(values, beside(scale, values)), beside(shift, values)), x.dtype) as Tensor<D, S>
}
