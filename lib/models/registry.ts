// The families of models that a folder may hold.
import { PretrainedError } from '../runtime/errors.js'
import { BERT } from './bert.js'
import { CLIP } from './clip.js'
import type { ModelConfig } from './config.js'
import { CONVNEXT } from './convnext.js'
import { DISTILBERT } from './distilbert.js'
import { GPT2 } from './gpt2.js'
import { LLAMA, QWEN2 } from './llama.js'
import { MOBILENETV3 } from './mobilenetv3.js'
import type { Family, ModelClass } from './model.js'
import { RESNET } from './resnet.js'
import { ROBERTA, XLM_ROBERTA } from './roberta.js'
import { T5 } from './t5.js'
import { VIT } from './vit.js'

const FAMILIES: readonly Family[] = [
  BERT,
  ROBERTA,
  XLM_ROBERTA,
  DISTILBERT,
  GPT2,
  LLAMA,
  QWEN2,
  VIT,
  RESNET,
  CONVNEXT,
  MOBILENETV3,
  CLIP,
  T5,
]

const known = (): string =>
  FAMILIES.map(
    ({ modelTypes, architectures }) => `${modelTypes.join(', ')} (${Object.keys(architectures).join(', ')})`,
  ).join('; ')

export interface Found {
  readonly family: Family
  readonly Model: ModelClass
}

/** The architecture that a config names. Throws `PretrainedError`, with all that are known, for one that is not. */
export function architectureOf(file: string, config: ModelConfig): Found {
  const { architectures, model_type: type } = config
  const names = Array.isArray(architectures) ? architectures.filter((name) => typeof name === 'string') : []
  for (const family of FAMILIES) {
    const name = names.find((one) => Object.hasOwn(family.architectures, one))
    if (name !== undefined) return { family, Model: family.architectures[name] as ModelClass }
  }
  // Folders of bare models often name no architecture.
  const family = FAMILIES.find(
    ({ modelTypes, recognizes }) => modelTypes.includes(type as string) || recognizes?.(config),
  )
  if (family && names.length === 0) return { family, Model: Object.values(family.architectures)[0] as ModelClass }
  const asked =
    names.length > 0
      ? `the architecture ${names.join(', ').slice(0, 200)}`
      : `the model_type ${String(type).slice(0, 100)}`
  throw new PretrainedError(`fromPretrained: ${file} asks for ${asked}, which is not known; known are ${known()}`)
}

/** The family of a class, and the architecture's name. Throws `PretrainedError` where it has none. */
export function familyOf(Model: ModelClass): { readonly family: Family; readonly name: string } {
  for (const family of FAMILIES) {
    const name = Object.keys(family.architectures).find((one) => family.architectures[one] === Model)
    if (name !== undefined) return { family, name }
  }
  throw new PretrainedError(`${String(Model?.name)} is no architecture that can be loaded; known are ${known()}`)
}
