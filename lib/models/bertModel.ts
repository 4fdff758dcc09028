// What BERT and RoBERTa share above their layers: the encoder with its pooler.
import type { Tensor } from '../tensor.js'
import {
  type BertEmbeddings,
  BertEncoder,
  BertPooler,
  type BertSettings,
  type EncoderInputs,
  type EncoderOutput,
} from './bertLayers.js'
import type { ModelConfig } from './config.js'
import { keyMask } from './layers.js'
import { initializeWeights, initialStd, type ModelOptions, PretrainedModel } from './model.js'

export interface BertOutput extends EncoderOutput {
  /** `[B,width]`: what heads that classify take; undefined of a model without pooler. */
  readonly poolerOutput: Tensor | undefined
}

export interface BertModelOptions extends ModelOptions {
  /** Whether it has a pooler. Default true. */
  readonly pooler?: boolean
}

/** An encoder and its pooler: tokens [B,T] -> `BertOutput`. */
export abstract class BertLikeModel extends PretrainedModel {
  readonly embeddings: BertEmbeddings
  readonly encoder: BertEncoder
  readonly pooler: BertPooler | undefined

  constructor(config: ModelConfig, settings: BertSettings, embeddings: BertEmbeddings, pooler = true) {
    super(config)
    this.embeddings = embeddings
    this.encoder = new BertEncoder(settings)
    this.pooler = pooler ? new BertPooler(settings) : undefined
    initializeWeights(this.namedParameters(), initialStd(config))
  }

  override get maxTokens(): number {
    return this.embeddings.longest
  }

  forward(tokens: Tensor, inputs: EncoderInputs = {}): BertOutput {
    const mask = keyMask(this.constructor.name, inputs.mask, tokens)
    const encoded = this.encoder.forward(this.embeddings.forward(tokens, inputs), mask)
    return { ...encoded, poolerOutput: this.pooler?.forward(encoded.lastHiddenState) }
  }
}
