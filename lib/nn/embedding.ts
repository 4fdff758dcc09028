// Embedding: a learned table whose rows are looked up by index.
import { Parameter } from '../cell.js'
import { integerFrom } from '../ops/arguments.js'
import { arange } from '../ops/create.js'
import { ne, where } from '../ops/element.js'
import { embedding } from '../ops/gather.js'
import { unsqueeze } from '../ops/view.js'
import { ArgumentError } from '../runtime/errors.js'
import type { FloatDType } from '../schema/dtype.js'
import type { Tensor } from '../tensor.js'
import { normal } from './initialize.js'
import { Module } from './module.js'

export interface EmbeddingOptions {
  /** A row that starts at zero and is not trained. */
  readonly paddingIndex?: number
  /** Standard deviation the rows start with. Default 1. */
  readonly std?: number
  /** Dtype of the table. Default f32. */
  readonly dtype?: FloatDType
}

/** Indices [...] (i32 or i64) -> [..., width]; the table `weight` [count, width] starts normal. */
export class Embedding extends Module {
  readonly weight: Parameter
  readonly paddingIndex: number | undefined

  constructor(
    readonly count: number,
    readonly width: number,
    options: EmbeddingOptions = {},
  ) {
    super()
    integerFrom('Embedding', 'count', count, 1)
    integerFrom('Embedding', 'width', width, 1)
    const { paddingIndex, std = 1, dtype = 'f32' } = options
    if (paddingIndex !== undefined && integerFrom('Embedding', 'paddingIndex', paddingIndex, 0) >= count) {
      throw new ArgumentError(`Embedding: paddingIndex ${paddingIndex} is no row of a table of ${count}`)
    }
    const rows = normal([count, width], { std, dtype })
    const initial = paddingIndex === undefined ? rows : where(unsqueeze(ne(arange(count), paddingIndex), 1), rows, 0)
    this.paddingIndex = paddingIndex
    this.weight = new Parameter(initial, { name: 'Embedding weight' })
  }

  forward(indices: Tensor): Tensor {
    return embedding(this.weight, indices, { paddingIndex: this.paddingIndex })
  }
}
