// heddle/models: pretrained models from Hugging Face's folders.

export { BertForMaskedLM, BertForSequenceClassification, BertModel, type BertOutput } from './bert.js'
export type { EncoderInputs, EncoderOutput } from './bertLayers.js'
export type { ModelConfig } from './config.js'
export { type ModelClass, type ModelOptions, PretrainedModel } from './model.js'
export { fromPretrained, type PretrainedOptions, type SaveOptions, savePretrained } from './pretrained.js'
export { type Pooling, SentenceEncoder, type SentenceSettings } from './sentence.js'
