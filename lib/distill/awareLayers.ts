// Layers between float and int8: they observe what they see, then compute as int8 will, and can be trained.
import { assign, Cell, Parameter } from '../cell.js'
import type { Conv2d } from '../nn/conv.js'
import { Module } from '../nn/module.js'
import { relu } from '../ops/activation.js'
import { conv2d } from '../ops/conv.js'
import { zeros } from '../ops/create.js'
import { add, mul } from '../ops/element.js'
import { matmul } from '../ops/matmul.js'
import { max, min } from '../ops/reduce.js'
import { stopGradient, transpose } from '../ops/view.js'
import type { Tensor } from '../tensor.js'
import type { Observation } from './activationRanges.js'
import { fakeQuantize, fakeQuantizeWeight, gridOf } from './fakeQuantize.js'
import type { ConvGeometry } from './quantizedLayers.js'

/** What happens to ranges in training: they follow the batches, are learned, or stay as calibrated. */
export type RangeTraining = 'observed' | 'learned' | 'fixed'
export const RANGE_TRAININGS: readonly RangeTraining[] = ['observed', 'learned', 'fixed']

/** Share of a new batch in a range that follows the batches. */
const SHARE = 0.01

/** A weight and a bias, batch norm folded in. */
export interface Affine {
  readonly weight: Tensor
  readonly bias: Tensor | undefined
}

export abstract class AwareLayer extends Module {
  readonly weight: Parameter
  readonly bias: Parameter | undefined
  /** Of the input. */
  readonly low: Cell
  readonly high: Cell
  /** Present while calibrating: the layer computes in floats and notes its input. */
  observation: Observation | undefined

  constructor(
    { weight, bias }: Affine,
    /** Whether a ReLU behind the layer is part of it. */
    readonly relu: boolean,
    readonly ranges: RangeTraining,
  ) {
    super()
    this.weight = new Parameter(weight, { name: 'aware weight' })
    this.bias = bias && new Parameter(bias, { name: 'aware bias' })
    const Range = ranges === 'learned' ? Parameter : Cell
    this.low = new Range(zeros([]), { name: 'range low' })
    this.high = new Range(zeros([]), { name: 'range high' })
    this.observation = undefined
  }

  /** The layer on any input and weight, its ReLU included. */
  compute(x: Tensor, weight: Tensor): Tensor {
    const y = this.affine(x, weight, this.bias)
    return this.relu ? relu(y) : y
  }

  /** As int8 will compute it. */
  asQuantized(x: Tensor): Tensor {
    return this.compute(fakeQuantize(x, gridOf(this.low, this.high)), fakeQuantizeWeight(this.weight))
  }

  forward(x: Tensor): Tensor {
    if (this.observation) {
      this.observation.note(x)
      return this.compute(x, this.weight)
    }
    if (this.training && this.ranges === 'observed')
      assign([
        [this.low, moved(this.low, min(x))],
        [this.high, moved(this.high, max(x))],
      ])
    return this.asQuantized(x)
  }

  protected abstract affine(x: Tensor, weight: Tensor, bias: Tensor | undefined): Tensor
}

const moved = (running: Tensor, present: Tensor): Tensor =>
  add(mul(running, 1 - SHARE), mul(stopGradient(present), SHARE))

/** In the place of `Linear`. */
export class AwareLinear extends AwareLayer {
  protected affine(x: Tensor, weight: Tensor, bias: Tensor | undefined): Tensor {
    const y = matmul(x, transpose(weight))
    return bias ? add(y, bias) : y
  }
}

/** In the place of `Conv2d`. */
export class AwareConv2d extends AwareLayer {
  constructor(
    affine: Affine,
    rectified: boolean,
    ranges: RangeTraining,
    readonly geometry: ConvGeometry,
  ) {
    super(affine, rectified, ranges)
  }
  protected affine(x: Tensor, weight: Tensor, bias: Tensor | undefined): Tensor {
    return conv2d(x, weight, { ...this.geometry, bias })
  }
}

export const geometryOf = ({ sliding, groups }: Conv2d): ConvGeometry => ({ ...sliding, groups })
