// Linear: an affine map of the last axis.
import { Parameter } from '../cell.js'
import { integerFrom } from '../ops/arguments.js'
import { add, cast } from '../ops/element.js'
import { matmul } from '../ops/matmul.js'
import { transpose } from '../ops/view.js'
import type { FloatDType } from '../schema/dtype.js'
import type { Tensor } from '../tensor.js'
import { uniformByFan } from './initialize.js'
import { Module } from './module.js'

export interface WeightOptions {
  /** Add a learned bias. Default true. */
  readonly bias?: boolean
  /** Dtype of the parameters. Default f32. */
  readonly dtype?: FloatDType
}

/**
 * x weight^T + bias: [..., inFeatures] -> [..., outFeatures]. Weight [outFeatures, inFeatures] and bias start uniform in
 * +-1/sqrt(inFeatures), as PyTorch's.
 */
export class Linear extends Module {
  readonly weight: Parameter
  readonly bias: Parameter | undefined

  constructor(
    readonly inFeatures: number,
    readonly outFeatures: number,
    options: WeightOptions = {},
  ) {
    super()
    integerFrom('Linear', 'inFeatures', inFeatures, 1)
    integerFrom('Linear', 'outFeatures', outFeatures, 1)
    const { bias = true, dtype = 'f32' } = options
    this.weight = new Parameter(uniformByFan([outFeatures, inFeatures], inFeatures, { dtype }), {
      name: 'Linear weight',
    })
    this.bias = bias
      ? new Parameter(uniformByFan([outFeatures], inFeatures, { dtype }), { name: 'Linear bias' })
      : undefined
  }

  forward(x: Tensor): Tensor {
    const y = matmul(x, transpose(this.weight))
    // Rounded once where the product is in 16 bits and the bias is not.
    return this.bias ? cast(add(y, this.bias), y.dtype) : y
  }
}
