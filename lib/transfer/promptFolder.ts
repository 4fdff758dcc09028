// Prompts and prefixes in PEFT's folders, both ways: their config and the one tensor `prompt_embeddings`.
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { replaceFile } from '../io/durable.js'
import { writeSafetensors } from '../io/safetensorsWrite.js'
import type { CausalLanguageModel } from '../models/causal.js'
import { ConfigReader } from '../models/config.js'
import { optionsOf } from '../ops/arguments.js'
import { ArgumentError, PretrainedError, StateDictError } from '../runtime/errors.js'
import { describe } from '../schema/describe.js'
import { formatShape, sameShape } from '../schema/shape.js'
import { memoryFor, readState, tableOf } from '../state.js'
import { openWeights, WEIGHTS_FILE } from './peft.js'
import { CONFIG_FILE, type PeftDescription, readAdapterConfig } from './peftConfig.js'
import { PrefixTuning, prefixTuning } from './prefix.js'
import { PromptTuning, promptTuning } from './prompt.js'

const TENSOR = 'prompt_embeddings'

/** Writes a prompt or a prefix as PEFT does. The folder is made where there is none. */
export async function savePrompt(
  prompt: PromptTuning | PrefixTuning,
  folder: string,
  options: Omit<PeftDescription, 'taskType'> = {},
): Promise<void> {
  const op = 'savePrompt'
  const isPrefix = prompt instanceof PrefixTuning
  if (!isPrefix && !(prompt instanceof PromptTuning))
    throw new ArgumentError(`${op}: it takes what promptTuning or prefixTuning gives, not ${describe(prompt)}`)
  const { baseModel } = optionsOf(op, options)
  const [cell] = prompt.parameters() as [PrefixTuning['prefix']]
  const { layers, heads, width } = prompt.model.cacheShape
  const config = {
    auto_mapping: null,
    base_model_name_or_path: baseModel ?? null,
    inference_mode: true,
    num_attention_heads: heads,
    num_layers: layers,
    num_transformer_submodules: 1,
    num_virtual_tokens: cell.shape[0],
    peft_type: isPrefix ? 'PREFIX_TUNING' : 'PROMPT_TUNING',
    revision: null,
    task_type: 'CAUSAL_LM',
    token_dim: isPrefix ? heads * width : cell.shape[1],
    ...(isPrefix
      ? { encoder_hidden_size: heads * width, prefix_projection: false }
      : { prompt_tuning_init: 'RANDOM', prompt_tuning_init_text: null, tokenizer_name_or_path: null }),
  }
  const state = await readState([[TENSOR, cell]], { bits: true })
  await mkdir(folder, { recursive: true })
  await writeSafetensors(join(folder, WEIGHTS_FILE), state, { metadata: { format: 'pt' } })
  await replaceFile(join(folder, CONFIG_FILE), [new TextEncoder().encode(`${JSON.stringify(config, null, 2)}\n`)])
}

/**
 * The prompt or the prefix of a PEFT folder, for a model. Throws `PretrainedError` for another `peft_type` and for settings
 * that heddle does not have, `StateDictError` where the tensor does not fit the config and the model. Nothing is changed then.
 */
export async function loadPrompt(model: CausalLanguageModel, folder: string): Promise<PromptTuning | PrefixTuning> {
  const op = 'loadPrompt'
  const config = await readAdapterConfig(folder)
  const reader = new ConfigReader(join(folder, CONFIG_FILE), config)
  const kind = reader.oneOf('peft_type', ['PROMPT_TUNING', 'PREFIX_TUNING', ''], '')
  if (kind === '') throw reader.error('peft_type', 'PROMPT_TUNING or PREFIX_TUNING')
  const tokens = reader.integer('num_virtual_tokens', 0)
  const file = await openWeights(folder)
  try {
    const { names } = file
    const spec = names.includes(TENSOR) ? file.spec(TENSOR) : undefined
    const width = kind === 'PREFIX_TUNING' ? prefixWidth(model) : undefined
    const fits =
      spec && spec.shape.length === 2 && spec.shape[0] === tokens && (width ?? spec.shape[1]) === spec.shape[1]
    const table = tableOf({
      missing: spec ? [] : [TENSOR],
      unexpected: names.filter((name) => name !== TENSOR),
      misfits:
        spec && !fits
          ? [`${TENSOR}: ${formatShape(spec.shape)}, expected ${tokens} rows${width ? ` of ${width}` : ''}`]
          : [],
    })
    if (table) throw new StateDictError(`${op}: ${folder} does not fit the model; nothing was loaded\n${table}`)
    const { [TENSOR]: state } = await file.readAll([TENSOR])
    const made = kind === 'PREFIX_TUNING' ? prefixTuning(model, { tokens }) : promptTuning(model, { tokens })
    const [cell] = made.parameters() as [PrefixTuning['prefix']]
    const memory =
      state && sameShape(state.shape, cell.shape) ? memoryFor(cell, state) : `not ${formatShape(cell.shape)}`
    if (typeof memory !== 'string') cell.write(memory)
    else {
      made.remove()
      throw typeof state === 'object' && sameShape(state.shape, cell.shape)
        ? new PretrainedError(`${op}: ${folder}: ${TENSOR}: ${memory}`)
        : new StateDictError(
            `${op}: ${folder} does not fit the model; nothing was loaded\n${tableOf({ missing: [], unexpected: [], misfits: [`${TENSOR}: ${formatShape(state?.shape ?? [])}, expected ${formatShape(cell.shape)}`] })}`,
          )
    }
    return made
  } finally {
    await file.close()
  }
}

const prefixWidth = ({ cacheShape: { layers, heads, width } }: CausalLanguageModel): number =>
  layers * 2 * heads * width
