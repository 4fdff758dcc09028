// Neural network layers: modules, their initial values and the models made of them.

import './ops/methods.js'

export { Conv1d, Conv2d, type ConvLayerOptions } from './nn/conv.js'
export { Embedding, type EmbeddingOptions } from './nn/embedding.js'
export { GPT, type GPTOptions } from './nn/gpt.js'
export * as initialize from './nn/initialize.js'
export * from './nn/layers.js'
export { Linear, type WeightOptions } from './nn/linear.js'
export { type Layer, Module, type ParameterFilter } from './nn/module.js'
export {
  BatchNorm1d,
  BatchNorm2d,
  type BatchNormLayerOptions,
  LayerNorm,
  type NormLayerOptions,
  RMSNorm,
} from './nn/norm.js'
export { type Replacement, replaceModules } from './nn/replace.js'
export { Sequential } from './nn/sequential.js'
export {
  type AttentionLayerOptions,
  MultiHeadAttention,
  TransformerBlock,
  type TransformerBlockOptions,
} from './nn/transformer.js'
export type { Pattern } from './pattern.js'
export type { StateDict, TensorState } from './state.js'
