// BERT, and MiniLM, which is BERT (Devlin et al. 2019; Wang et al. 2020).
import { Parameter } from '../cell.js'
import { Dropout } from '../nn/layers.js'
import { Linear } from '../nn/linear.js'
import { Module } from '../nn/module.js'
import { LayerNorm } from '../nn/norm.js'
import { zeros } from '../ops/create.js'
import type { Tensor } from '../tensor.js'
import type { Activation } from './activation.js'
import { BertEmbeddings, type BertSettings, bertSettings, type EncoderInputs } from './bertLayers.js'
import { BertLikeModel, type BertModelOptions } from './bertModel.js'
import { ConfigReader, type ModelConfig } from './config.js'
import { TiedLinear } from './layers.js'
import { type Family, initializeWeights, initialStd, type ModelOptions, PretrainedModel } from './model.js'

const settingsOf = (owner: string, config: ModelConfig, { dtype = 'f32' }: ModelOptions): BertSettings =>
  bertSettings(owner, config, dtype, 0)

/** The encoder and its pooler: tokens [B,T] -> `BertOutput`. Config: that of transformers' `BertConfig`. */
export class BertModel extends BertLikeModel {
  constructor(config: ModelConfig, options: BertModelOptions = {}) {
    const settings = settingsOf('BertModel', config, options)
    super(config, settings, new BertEmbeddings(settings), options.pooler)
  }
}

/** One label per text: tokens [B,T] -> logits [B,labels]. As many labels as `num_labels` or `id2label` say; default 2. */
export class BertForSequenceClassification extends PretrainedModel {
  readonly bert: BertModel
  readonly dropout: Dropout
  readonly classifier: Linear

  constructor(config: ModelConfig, options: ModelOptions = {}) {
    super(config)
    const owner = 'BertForSequenceClassification'
    const settings = settingsOf(owner, config, options)
    this.bert = new BertModel(config, options)
    this.dropout = new Dropout(settings.headDropout)
    const labels = new ConfigReader(owner, config).labels()
    this.classifier = new Linear(settings.width, labels, { dtype: settings.dtype })
    initializeWeights(this.namedParameters(), initialStd(config))
  }

  forward(tokens: Tensor, inputs: EncoderInputs = {}): Tensor {
    return this.classifier.forward(this.dropout.forward(this.bert.forward(tokens, inputs).poolerOutput as Tensor))
  }
}

class PredictionTransform extends Module {
  readonly dense: Linear
  readonly LayerNorm: LayerNorm

  constructor(
    { width, eps, dtype }: BertSettings,
    private readonly activation: Activation,
  ) {
    super()
    this.dense = new Linear(width, width, { dtype })
    this.LayerNorm = new LayerNorm(width, { eps, dtype })
  }

  forward(x: Tensor): Tensor {
    return this.LayerNorm.forward(this.activation(this.dense.forward(x)))
  }
}

class Predictions extends Module {
  readonly bias: Parameter
  readonly transform: PredictionTransform
  readonly decoder: TiedLinear

  constructor(settings: BertSettings, words: Parameter) {
    super()
    const { vocabSize, dtype } = settings
    this.bias = new Parameter(zeros([vocabSize], { dtype }), { name: 'prediction bias' })
    this.transform = new PredictionTransform(settings, settings.activation)
    this.decoder = new TiedLinear(words, this.bias)
  }

  forward(hidden: Tensor): Tensor {
    return this.decoder.forward(this.transform.forward(hidden))
  }
}

/** What stands in for masked tokens: tokens [B,T] -> logits [B,T,vocabulary]. Its output layer is the table of tokens. */
export class BertForMaskedLM extends PretrainedModel {
  readonly bert: BertModel
  readonly cls: { readonly predictions: Predictions }

  constructor(config: ModelConfig, options: ModelOptions = {}) {
    super(config)
    const settings = settingsOf('BertForMaskedLM', config, options)
    this.bert = new BertModel(config, { ...options, pooler: false })
    this.cls = { predictions: new Predictions(settings, this.bert.embeddings.word_embeddings.weight) }
    initializeWeights(this.namedParameters(), initialStd(config))
  }

  forward(tokens: Tensor, inputs: EncoderInputs = {}): Tensor {
    return this.cls.predictions.forward(this.bert.forward(tokens, inputs).lastHiddenState)
  }
}

export const BERT: Family = {
  modelTypes: ['bert'],
  architectures: { BertModel, BertForSequenceClassification, BertForMaskedLM },
  prefix: 'bert',
  // Files converted from TensorFlow's.
  rename: (name) => name.replace(/LayerNorm\.gamma$/, 'LayerNorm.weight').replace(/LayerNorm\.beta$/, 'LayerNorm.bias'),
  // Positions are counted; heads and pooler belong to other architectures.
  passesOver: (name) => /^(bert\.)?(embeddings\.position_ids$|pooler\.)|^(cls|classifier)\./.test(name),
}
