/** heddle/transfer: pretrained models adapted to a task: adapters, freezing, new heads, probes. @module heddle/transfer */

import '../ops/methods.js'

export { Adapter, adapterOf } from './adapter.js'
export { Bottleneck, type BottleneckOptions, Bottlenecks, bottleneckAdapters } from './bottleneck.js'
export { type FeatureSample, features } from './features.js'
export { type HeadOptions, replaceHead } from './head.js'
export {
  type LayerGroup,
  type LayerOptions,
  type LayerwiseDecayOptions,
  layerGroups,
  layerwiseDecay,
  rateFactors,
} from './layerGroups.js'
export { type LoraConfig, type LoraOptions, lora } from './lora.js'
export { LoraLayer, type LoraSettings } from './loraLayer.js'
export { type LoadAdapterOptions, loadAdapter, saveAdapter } from './peft.js'
export type { PeftDescription } from './peftConfig.js'
export { type PrefixOptions, PrefixTuning, prefixTuning } from './prefix.js'
export { type PromptOptions, PromptTuning, promptTuning } from './prompt.js'
export { loadPrompt, savePrompt } from './promptFolder.js'
export { bitFit, type GradualUnfreezingOptions, gradualUnfreezing, trainOnly } from './unfreezing.js'
