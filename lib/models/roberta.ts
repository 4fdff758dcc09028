// RoBERTa and XLM-RoBERTa: BERT's layers, positions counted from behind the padding's index (Liu et al. 2019).
import { Parameter } from '../cell.js'
import { Dropout } from '../nn/layers.js'
import { Linear } from '../nn/linear.js'
import { Module } from '../nn/module.js'
import { LayerNorm } from '../nn/norm.js'
import { gelu } from '../ops/activation.js'
import { arange, zeros } from '../ops/create.js'
import { add, cast, le, mul, ne, tanh } from '../ops/element.js'
import { matmul } from '../ops/matmul.js'
import { slice, unsqueeze } from '../ops/view.js'
import type { Tensor } from '../tensor.js'
import { BertEmbeddings, type BertSettings, bertSettings, type EncoderInputs } from './bertLayers.js'
import { BertLikeModel, type BertModelOptions } from './bertModel.js'
import { ConfigReader, type ModelConfig } from './config.js'
import { TiedLinear } from './layers.js'
import { type Family, initializeWeights, initialStd, type ModelOptions, PretrainedModel } from './model.js'

/** With the defaults of transformers' `RobertaConfig`. */
function settingsOf(owner: string, config: ModelConfig, { dtype = 'f32' }: ModelOptions): BertSettings {
  const defaults = { vocab_size: 50265, pad_token_id: 1 }
  const settings = bertSettings(owner, { ...defaults, ...config }, dtype, 1)
  const reader = new ConfigReader(owner, config)
  if (settings.padding === undefined)
    throw reader.error('pad_token_id', 'an integer from 0 up, behind which positions are counted')
  if (settings.positions <= settings.padding + 1)
    throw reader.error(
      'max_position_embeddings',
      `above pad_token_id + 1 (${settings.padding + 1})`,
      settings.positions,
    )
  return settings
}

/** Positions of real tokens count from `pad_token_id` + 1; tokens that fill up a row have the position `pad_token_id`. */
class RobertaEmbeddings extends BertEmbeddings {
  readonly padding: number

  constructor(settings: BertSettings) {
    super(settings)
    this.padding = settings.padding as number
  }

  override get longest(): number {
    return this.position_embeddings.count - this.padding - 1
  }

  protected override positionsOf(tokens: Tensor, length: number): Tensor {
    const real = cast(ne(tokens, this.padding), 'f32')
    // Sums of all up to each: counts, exact in f32.
    const upTo = cast(le(unsqueeze(arange(length), 1), arange(length)), 'f32')
    return add(cast(mul(matmul(real, upTo), real), 'i32'), this.padding)
  }
}

/** The encoder and its pooler: tokens [B,T] -> `BertOutput`. Config: that of transformers' `RobertaConfig`. */
export class RobertaModel extends BertLikeModel {
  constructor(config: ModelConfig, options: BertModelOptions = {}) {
    const settings = settingsOf('RobertaModel', config, options)
    super(config, settings, new RobertaEmbeddings(settings), options.pooler)
  }
}

class ClassificationHead extends Module {
  readonly dense: Linear
  readonly dropout: Dropout
  readonly out_proj: Linear

  constructor({ width, headDropout, dtype }: BertSettings, labels: number) {
    super()
    this.dense = new Linear(width, width, { dtype })
    this.dropout = new Dropout(headDropout)
    this.out_proj = new Linear(width, labels, { dtype })
  }

  forward(hidden: Tensor): Tensor {
    const first = this.dropout.forward(slice(hidden, undefined, 0))
    return this.out_proj.forward(this.dropout.forward(tanh(this.dense.forward(first))))
  }
}

/** One label per text: tokens [B,T] -> logits [B,labels]. As many labels as `num_labels` or `id2label` say; default 2. */
export class RobertaForSequenceClassification extends PretrainedModel {
  readonly roberta: RobertaModel
  readonly classifier: ClassificationHead

  constructor(config: ModelConfig, options: ModelOptions = {}) {
    super(config)
    const owner = 'RobertaForSequenceClassification'
    const labels = new ConfigReader(owner, config).labels()
    this.roberta = new RobertaModel(config, { ...options, pooler: false })
    this.classifier = new ClassificationHead(settingsOf(owner, config, options), labels)
    initializeWeights(this.namedParameters(), initialStd(config))
  }

  forward(tokens: Tensor, inputs: EncoderInputs = {}): Tensor {
    return this.classifier.forward(this.roberta.forward(tokens, inputs).lastHiddenState)
  }
}

class LanguageHead extends Module {
  readonly bias: Parameter
  readonly dense: Linear
  readonly layer_norm: LayerNorm
  readonly decoder: TiedLinear

  constructor({ width, vocabSize, eps, dtype }: BertSettings, words: Parameter) {
    super()
    this.bias = new Parameter(zeros([vocabSize], { dtype }), { name: 'prediction bias' })
    this.dense = new Linear(width, width, { dtype })
    this.layer_norm = new LayerNorm(width, { eps, dtype })
    this.decoder = new TiedLinear(words, this.bias)
  }

  forward(hidden: Tensor): Tensor {
    return this.decoder.forward(this.layer_norm.forward(gelu(this.dense.forward(hidden))))
  }
}

/** What stands in for masked tokens: tokens [B,T] -> logits [B,T,vocabulary]. Its output layer is the table of tokens. */
export class RobertaForMaskedLM extends PretrainedModel {
  readonly roberta: RobertaModel
  readonly lm_head: LanguageHead

  constructor(config: ModelConfig, options: ModelOptions = {}) {
    super(config)
    const settings = settingsOf('RobertaForMaskedLM', config, options)
    this.roberta = new RobertaModel(config, { ...options, pooler: false })
    this.lm_head = new LanguageHead(settings, this.roberta.embeddings.word_embeddings.weight)
    initializeWeights(this.namedParameters(), initialStd(config))
  }

  forward(tokens: Tensor, inputs: EncoderInputs = {}): Tensor {
    return this.lm_head.forward(this.roberta.forward(tokens, inputs).lastHiddenState)
  }
}

/** Positions are counted; heads and pooler belong to other architectures. */
const passesOver = (name: string): boolean =>
  /^(roberta\.)?(embeddings\.position_ids$|pooler\.)|^(lm_head|classifier)\./.test(name)

export const ROBERTA: Family = {
  modelTypes: ['roberta'],
  architectures: { RobertaModel, RobertaForSequenceClassification, RobertaForMaskedLM },
  prefix: 'roberta',
  passesOver,
}

/** The same under other names, with other defaults that its config.json always says. */
export class XLMRobertaModel extends RobertaModel {}
export class XLMRobertaForSequenceClassification extends RobertaForSequenceClassification {}
export class XLMRobertaForMaskedLM extends RobertaForMaskedLM {}

export const XLM_ROBERTA: Family = {
  modelTypes: ['xlm-roberta'],
  architectures: { XLMRobertaModel, XLMRobertaForSequenceClassification, XLMRobertaForMaskedLM },
  prefix: 'roberta',
  passesOver,
}
