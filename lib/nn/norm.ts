// Normalisation layers: layer norm, RMS norm, and batch norm with its running statistics.
import { assign, Cell, Parameter } from '../cell.js'
import { integerFrom, numberIn } from '../ops/arguments.js'
import { batchNorm, batchNormTraining } from '../ops/batchNorm.js'
import { ones, zeros } from '../ops/create.js'
import { add, mul } from '../ops/element.js'
import { layerNorm, rmsNorm, statisticOf } from '../ops/norm.js'
import { stopGradient } from '../ops/view.js'
import { ShapeError } from '../runtime/errors.js'
import type { FloatDType } from '../schema/dtype.js'
import { formatShape, type Shape } from '../schema/shape.js'
import { checkShape, type Tensor } from '../tensor.js'
import { Module } from './module.js'

export interface NormLayerOptions {
  /** Added under the root. Default 1e-5; RMSNorm 1e-6. */
  readonly eps?: number
  /** Dtype of the parameters. Default f32. */
  readonly dtype?: FloatDType
}

function shapeOf(op: string, shape: number | Shape): Shape {
  const list = typeof shape === 'number' ? [shape] : shape
  checkShape(op, list)
  return list
}

/** `layerNorm` over trailing axes of the given shape; weight starts at 1, bias at 0. */
export class LayerNorm extends Module {
  readonly shape: Shape
  readonly eps: number
  readonly weight: Parameter
  readonly bias: Parameter | undefined

  constructor(shape: number | Shape, options: NormLayerOptions & { readonly bias?: boolean } = {}) {
    super()
    const { eps = 1e-5, dtype = 'f32', bias = true } = options
    this.shape = shapeOf('LayerNorm', shape)
    this.eps = numberIn('LayerNorm', 'eps', eps, 0)
    this.weight = new Parameter(ones(this.shape, { dtype }), { name: 'LayerNorm weight' })
    this.bias = bias ? new Parameter(zeros(this.shape, { dtype }), { name: 'LayerNorm bias' }) : undefined
  }

  forward(x: Tensor): Tensor {
    return layerNorm(x, this.shape, { weight: this.weight, bias: this.bias, eps: this.eps })
  }
}

/** `rmsNorm` over trailing axes of the given shape; weight starts at 1. */
export class RMSNorm extends Module {
  readonly shape: Shape
  readonly eps: number
  readonly weight: Parameter

  constructor(shape: number | Shape, options: NormLayerOptions = {}) {
    super()
    const { eps = 1e-6, dtype = 'f32' } = options
    this.shape = shapeOf('RMSNorm', shape)
    this.eps = numberIn('RMSNorm', 'eps', eps, 0)
    this.weight = new Parameter(ones(this.shape, { dtype }), { name: 'RMSNorm weight' })
  }

  forward(x: Tensor): Tensor {
    return rmsNorm(x, this.shape, { weight: this.weight, eps: this.eps })
  }
}

export interface BatchNormLayerOptions extends NormLayerOptions {
  /** Share of the new batch in the running statistics. Default 0.1. */
  readonly momentum?: number
}

/**
 * Batch norm over the channels of [N,C,...]. While training it uses the batch's statistics and moves the running ones
 * (cells: mean from 0, unbiased variance from 1) towards them; in `eval` mode it uses the running ones.
 */
abstract class BatchNorm extends Module {
  readonly eps: number
  readonly momentum: number
  readonly weight: Parameter
  readonly bias: Parameter
  readonly runningMean: Cell
  readonly runningVariance: Cell

  constructor(
    private readonly name: string,
    private readonly ranks: readonly number[],
    readonly channels: number,
    options: BatchNormLayerOptions,
  ) {
    super()
    const { eps = 1e-5, momentum = 0.1, dtype = 'f32' } = options
    const shape = [integerFrom(name, 'channels', channels, 1)]
    this.eps = numberIn(name, 'eps', eps, 0)
    this.momentum = numberIn(name, 'momentum', momentum, 0, 1)
    this.weight = new Parameter(ones(shape, { dtype }), { name: `${name} weight` })
    this.bias = new Parameter(zeros(shape, { dtype }), { name: `${name} bias` })
    const statistic = { dtype: statisticOf(dtype) }
    this.runningMean = new Cell(zeros(shape, statistic), { name: `${name} running mean` })
    this.runningVariance = new Cell(ones(shape, statistic), { name: `${name} running variance` })
  }

  forward(x: Tensor): Tensor {
    if (!this.ranks.includes(x.rank)) {
      throw new ShapeError(
        `${this.name}: it takes a tensor of ${this.ranks.join(' or ')} axes, not ${formatShape(x.shape)}`,
      )
    }
    const { weight, bias, eps } = this
    if (!this.training) return batchNorm(x, this.runningMean, this.runningVariance, { weight, bias, eps })
    const { y, mean, variance } = batchNormTraining(x, { weight, bias, eps })
    const count = x.size / this.channels
    assign([
      [this.runningMean, this.moved(this.runningMean, mean)],
      [this.runningVariance, this.moved(this.runningVariance, mul(variance, count / (count - 1)))],
    ])
    return y
  }

  private moved(running: Tensor, present: Tensor): Tensor {
    return add(mul(running, 1 - this.momentum), mul(stopGradient(present), this.momentum))
  }
}

/** Batch norm of [N,C] or [N,C,L]. */
export class BatchNorm1d extends BatchNorm {
  constructor(channels: number, options: BatchNormLayerOptions = {}) {
    super('BatchNorm1d', [2, 3], channels, options)
  }
}

/** Batch norm of [N,C,H,W]. */
export class BatchNorm2d extends BatchNorm {
  constructor(channels: number, options: BatchNormLayerOptions = {}) {
    super('BatchNorm2d', [4], channels, options)
  }
}
