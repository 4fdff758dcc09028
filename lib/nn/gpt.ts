// GPT: a decoder-only transformer language model, built and initialised as GPT-2.
import { integerFrom } from '../ops/arguments.js'
import { add } from '../ops/element.js'
import { matmul } from '../ops/matmul.js'
import { slice, transpose } from '../ops/view.js'
import { ShapeError } from '../runtime/errors.js'
import type { FloatDType } from '../schema/dtype.js'
import { formatShape } from '../schema/shape.js'
import type { Tensor } from '../tensor.js'
import { Embedding } from './embedding.js'
import { normal, zeros } from './initialize.js'
import { Dropout } from './layers.js'
import { Linear } from './linear.js'
import { Module } from './module.js'
import { LayerNorm } from './norm.js'
import { TransformerBlock } from './transformer.js'

export interface GPTOptions {
  readonly vocabSize: number
  readonly layers: number
  readonly heads: number
  readonly width: number
  /** The longest sequence. */
  readonly context: number
  /** Heads of keys and values. Default `heads`. */
  readonly keyHeads?: number
  /** After the embeddings and in every block, while training. Default 0. */
  readonly dropout?: number
  /** Use the token embedding as the output layer's weight too. Default true. */
  readonly tieWeights?: boolean
  /** Biases in norms and linear layers. Default true. */
  readonly bias?: boolean
  /** Dtype of the parameters. Default f32. */
  readonly dtype?: FloatDType
}

/** Standard deviation of GPT-2's initial weights. */
const STD = 0.02

/**
 * A causal language model (Radford et al. 2019): tokens [B,T] (i32 or i64) -> logits [B,T,vocabSize], with learned
 * positions, pre-norm blocks and the tanh GELU. Weights start normal with standard deviation 0.02, those at the end of a
 * residual branch with 0.02 / sqrt(2 layers), biases at 0.
 */
export class GPT extends Module {
  readonly context: number
  readonly tokenEmbedding: Embedding
  readonly positionEmbedding: Embedding
  readonly dropout: Dropout
  readonly blocks: readonly TransformerBlock[]
  readonly norm: LayerNorm
  readonly head: Linear | undefined

  constructor(options: GPTOptions) {
    super()
    const {
      vocabSize,
      layers,
      heads,
      width,
      context,
      keyHeads = heads,
      dropout = 0,
      tieWeights = true,
      bias = true,
      dtype = 'f32',
    } = options
    for (const [name, value] of Object.entries({ vocabSize, layers, heads, width, context }))
      integerFrom('GPT', name, value, 1)
    this.context = context
    this.tokenEmbedding = new Embedding(vocabSize, width, { std: STD, dtype })
    this.positionEmbedding = new Embedding(context, width, { std: STD, dtype })
    this.dropout = new Dropout(dropout)
    const block = { keyHeads, dropout, bias, dtype, causal: true, activation: 'geluTanh' } as const
    this.blocks = Array.from({ length: layers }, () => new TransformerBlock(width, heads, block))
    this.norm = new LayerNorm(width, { bias, dtype })
    this.head = tieWeights ? undefined : new Linear(width, vocabSize, { bias: false, dtype })
    this.initialize(layers)
  }

  private initialize(layers: number): void {
    for (const [name, parameter] of this.namedParameters()) {
      const { shape } = parameter
      const dtype = parameter.dtype as FloatDType
      if (name.endsWith('.bias')) parameter.assign(zeros(shape, { dtype }))
      else if (shape.length === 2 && !name.includes('Embedding')) {
        const endsBranch = /\.(projection|contract)\.weight$/.test(name)
        parameter.assign(normal(shape, { std: endsBranch ? STD / Math.sqrt(2 * layers) : STD, dtype }))
      }
    }
  }

  forward(tokens: Tensor): Tensor {
    const { rank, shape } = tokens
    if (rank !== 2 || (shape[1] as number) > this.context) {
      throw new ShapeError(`GPT: it takes tokens [B,T] with T up to ${this.context}, not ${formatShape(shape)}`)
    }
    const positions = slice(this.positionEmbedding.weight, [0, shape[1] as number])
    let x = this.dropout.forward(add(this.tokenEmbedding.forward(tokens), positions))
    for (const block of this.blocks) x = block.forward(x)
    const hidden = this.norm.forward(x)
    return this.head ? this.head.forward(hidden) : matmul(hidden, transpose(this.tokenEmbedding.weight))
  }
}
