/** heddle/models: pretrained models from Hugging Face's folders. @module heddle/models */

import '../ops/methods.js'

export { BertForMaskedLM, BertForSequenceClassification, BertModel } from './bert.js'
export type { EncoderInputs, EncoderOutput } from './bertLayers.js'
export type { BertOutput } from './bertModel.js'
export { type Cache, type CacheShape, type KeysAndValues, KeyValueCache, type Slots } from './cache.js'
export {
  type CausalInputs,
  CausalLanguageModel,
  DecoderModel,
  type DecoderOutput,
  type LogitsInputs,
} from './causal.js'
export {
  CLIPModel,
  CLIPTextModelWithProjection,
  CLIPVisionModelWithProjection,
  type ClipOutput,
  contrastiveLoss,
  type ProjectedOutput,
} from './clip.js'
export type { ModelConfig } from './config.js'
export { ConvNextForImageClassification, ConvNextModel } from './convnext.js'
export { DistilBertForMaskedLM, DistilBertForSequenceClassification, DistilBertModel } from './distilbert.js'
export type { EncoderDecoderModel, Source } from './encoderDecoder.js'
export { type BeamOptions, type GenerateOptions, generate, stream } from './generate.js'
export { GPT2LMHeadModel, GPT2Model } from './gpt2.js'
export { download, type HubOptions } from './hub.js'
export type { DownloadProgress } from './hubDownload.js'
export type { GenerativeModel } from './idleDecoders.js'
export { ImageProcessor, type ImageSettings } from './imageProcessor.js'
export { LlamaForCausalLM, LlamaModel, Qwen2ForCausalLM, Qwen2Model } from './llama.js'
export { MobileNetV3 } from './mobilenetv3.js'
export { type ModelClass, type ModelOptions, PretrainedModel } from './model.js'
export { fromPretrained, type PretrainedOptions, type SaveOptions, savePretrained } from './pretrained.js'
export type { Resampling } from './resample.js'
export { ResNetForImageClassification, ResNetModel } from './resnet.js'
export {
  RobertaForMaskedLM,
  RobertaForSequenceClassification,
  RobertaModel,
  XLMRobertaForMaskedLM,
  XLMRobertaForSequenceClassification,
  XLMRobertaModel,
} from './roberta.js'
export type { SamplingOptions } from './sampling.js'
export { type Pooling, SentenceEncoder, type SentenceSettings } from './sentence.js'
export { T5EncoderModel, T5ForConditionalGeneration, type T5Inputs, T5Model, type T5Output } from './t5.js'
export type { ImageOutput } from './vision.js'
export { ViTForImageClassification, ViTModel } from './vit.js'
