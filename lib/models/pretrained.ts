// Pretrained models: from a folder in Hugging Face's format, and back into one.
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { withoutMemory } from '../cell.js'
import { replaceFile } from '../io/durable.js'
import { openSafetensors } from '../io/safetensors.js'
import { writeSafetensors } from '../io/safetensorsWrite.js'
import { oneOf, optionsOf } from '../ops/arguments.js'
import { matcher, type Pattern } from '../pattern.js'
import { ArgumentError, PretrainedError } from '../runtime/errors.js'
import { describe } from '../schema/describe.js'
import type { FloatDType } from '../schema/dtype.js'
import { type ModelConfig, readConfig, withChanges } from './config.js'
import { download, type HubOptions } from './hub.js'
import { exists } from './hubCache.js'
import { initialStd, type ModelClass, type ModelOptions, PretrainedModel } from './model.js'
import { architectureOf, familyOf } from './registry.js'
import { inFileNames, loadWeights } from './weights.js'

export interface PretrainedOptions<M extends PretrainedModel = PretrainedModel> extends ModelOptions, HubOptions {
  /** The class to make, another head than the folder's for example. Default: the architecture that config.json names. */
  readonly as?: ModelClass<M>
  /** Values of the config that are to be others, as `{ num_labels: 3 }`. */
  readonly config?: ModelConfig
  /**
   * Names of parameters that are not taken from the folder but start with fresh values (matrices normal with
   * `initializer_range`, biases 0): a new head, as `'classifier'`. Default: none.
   */
  readonly newWeights?: Pattern
}

/** The weights of a folder, open. */
async function openWeights(folder: string) {
  const has = (name: string): Promise<boolean> => exists(join(folder, name))
  if ((await has('model.safetensors')) || (await has('model.safetensors.index.json'))) return openSafetensors(folder)
  const pickled = (await has('pytorch_model.bin')) || (await has('pytorch_model.bin.index.json'))
  throw new PretrainedError(
    pickled
      ? `fromPretrained: ${folder} has its weights in pytorch_model.bin, which holds Python programs and is not read; convert it with Python: AutoModel.from_pretrained(folder).save_pretrained(folder, safe_serialization=True)`
      : `fromPretrained: ${folder} has neither model.safetensors nor model.safetensors.index.json`,
  )
}

/**
 * The model of a folder in Hugging Face's format, or of that name at the hub (see `download`): config.json, and model.safetensors or its shards. It is in `eval` mode.
 * Its parameters have the names that transformers gives them. Names and shapes are checked before anything is read;
 * floats are converted to `dtype`, and at most 64 MiB, or the largest tensor, are held beside the model meanwhile.
 *
 * Throws `PretrainedError` for a config that can not be used, an architecture that is not known, or a folder without
 * safetensors; `StateDictError`, with a table of what is missing, unexpected or of another shape, for weights that do not
 * fit; `FormatError` for damaged files.
 *
 * @example const bert = await fromPretrained('sentence-transformers/all-MiniLM-L6-v2', { as: BertModel })
 */
export async function fromPretrained<M extends PretrainedModel = PretrainedModel>(
  name: string,
  options: PretrainedOptions<M> = {},
): Promise<M> {
  const op = 'fromPretrained'
  if (typeof name !== 'string')
    throw new ArgumentError(`${op}: a model is a folder's path or a name at the hub, not ${describe(name)}`)
  const { as, config: changes = {}, newWeights, dtype = 'f32' } = optionsOf(op, options)
  oneOf<FloatDType>(op, 'dtype', dtype, ['f32', 'f64', 'bf16', 'f16'])
  const isNew = newWeights === undefined ? () => false : matcher(op, newWeights)
  const folder = await download(name, options)
  const file = join(folder, 'config.json')
  const config = withChanges(await readConfig(file), changes)
  const { family, Model } = as ? { family: familyOf(as).family, Model: as } : architectureOf(file, config)
  const own = { ...config, architectures: [familyOf(Model).name] }
  const model = withoutMemory(() => new Model(own, { dtype })) as M
  const weights = await openWeights(folder)
  try {
    await loadWeights(model, family, weights, isNew, initialStd(config))
  } finally {
    await weights.close()
  }
  return model.eval()
}

export interface SaveOptions {
  /** Bytes in one file of weights; where there are more they are split into shards with an index. Default: one file. */
  readonly maxShardBytes?: number
}

/** The name of a dtype in config.json. */
const TORCH: Readonly<Record<string, string>> = { f32: 'float32', f64: 'float64', bf16: 'bfloat16', f16: 'float16' }

/**
 * Writes config.json and model.safetensors so that transformers loads them: names and shapes as it has them, tied weights
 * once. The folder is made where there is none; other files in it, a tokenizer's for example, are left alone.
 */
export async function savePretrained(model: PretrainedModel, folder: string, options: SaveOptions = {}): Promise<void> {
  const op = 'savePretrained'
  if (!(model instanceof PretrainedModel))
    throw new ArgumentError(`${op}: it takes a model of heddle/models, not ${describe(model)}`)
  if (typeof folder !== 'string') throw new ArgumentError(`${op}: the folder is a path, not ${describe(folder)}`)
  const { maxShardBytes } = optionsOf(op, options)
  const { family, name } = familyOf(model.constructor as ModelClass)
  const given = model.config['model_type']
  const type = family.modelTypes.includes(given as string) ? given : family.modelTypes[0]
  const dtype = TORCH[model.parameters()[0]?.dtype ?? 'f32']
  const config = { ...model.config, architectures: [name], model_type: type, torch_dtype: dtype }
  const state = inFileNames(await model.stateDict({ bits: true }))
  await mkdir(folder, { recursive: true })
  await writeSafetensors(join(folder, 'model.safetensors'), state, {
    metadata: { format: 'pt' },
    ...(maxShardBytes === undefined ? {} : { maxShardBytes }),
  })
  // transformers wants these with a decimal point, which JavaScript leaves out.
  const text = JSON.stringify(config, null, 2).replace(/("\w*factor": -?\d+)(?=,?\n)/g, '$1.0')
  await replaceFile(join(folder, 'config.json'), [new TextEncoder().encode(`${text}\n`)])
}
