// Convolution layers over one and two spatial axes.
import { Parameter } from '../cell.js'
import { integerFrom } from '../ops/arguments.js'
import { conv1d, conv2d } from '../ops/conv.js'
import { type PerAxis, perAxis, type SlidingOptions } from '../ops/window.js'
import { ArgumentError } from '../runtime/errors.js'
import { sizeOf } from '../schema/shape.js'
import type { Tensor } from '../tensor.js'
import { uniformByFan } from './initialize.js'
import type { WeightOptions } from './linear.js'
import { Module } from './module.js'

export interface ConvLayerOptions extends SlidingOptions, WeightOptions {
  /** Input channels are split into this many groups. Default 1. */
  readonly groups?: number
}

abstract class Conv extends Module {
  readonly weight: Parameter
  readonly bias: Parameter | undefined
  readonly groups: number
  readonly sliding: SlidingOptions

  constructor(
    name: string,
    spatial: number,
    readonly inChannels: number,
    readonly outChannels: number,
    kernel: PerAxis,
    options: ConvLayerOptions,
  ) {
    super()
    const { bias = true, dtype = 'f32', groups = 1, ...sliding } = options
    for (const [what, value] of Object.entries({ inChannels, outChannels, groups })) integerFrom(name, what, value, 1)
    if (inChannels % groups !== 0 || outChannels % groups !== 0) {
      throw new ArgumentError(
        `${name}: ${groups} groups do not divide ${inChannels} input and ${outChannels} output channels`,
      )
    }
    const extents = perAxis(name, 'the kernel', kernel, spatial, 1)
    const shape = [outChannels, inChannels / groups, ...extents]
    const fan = sizeOf(shape.slice(1))
    this.groups = groups
    this.sliding = sliding
    this.weight = new Parameter(uniformByFan(shape, fan, { dtype }), { name: `${name} weight` })
    this.bias = bias ? new Parameter(uniformByFan([outChannels], fan, { dtype }), { name: `${name} bias` }) : undefined
  }
}

/**
 * [N,C,L] -> [N,O,L']; weight [O,C/groups,K] and bias [O] start uniform in +-1/sqrt(C/groups K). Options of `conv1d`.
 */
export class Conv1d extends Conv {
  constructor(inChannels: number, outChannels: number, kernel: PerAxis, options: ConvLayerOptions = {}) {
    super('Conv1d', 1, inChannels, outChannels, kernel, options)
  }

  forward(x: Tensor): Tensor {
    return conv1d(x, this.weight, { ...this.sliding, groups: this.groups, bias: this.bias })
  }
}

/** [N,C,H,W] -> [N,O,H',W']; weight [O,C/groups,KH,KW]. Otherwise as `Conv1d`. */
export class Conv2d extends Conv {
  constructor(inChannels: number, outChannels: number, kernel: PerAxis, options: ConvLayerOptions = {}) {
    super('Conv2d', 2, inChannels, outChannels, kernel, options)
  }

  forward(x: Tensor): Tensor {
    return conv2d(x, this.weight, { ...this.sliding, groups: this.groups, bias: this.bias })
  }
}
