// heddle/transfer: pretrained models adapted to a task: adapters, freezing, new heads, probes.

export { Adapter, adapterOf } from './adapter.js'
export { type LoraConfig, type LoraOptions, lora } from './lora.js'
export { LoraLayer, type LoraSettings } from './loraLayers.js'
export { type LoadAdapterOptions, loadAdapter, saveAdapter } from './peft.js'
export type { PeftDescription } from './peftConfig.js'
