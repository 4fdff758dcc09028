// PEFT's adapter_config.json of low-rank adapters: what it says, read and written.
import { join } from 'node:path'
import { isRecord, parseJson } from '../io/json.js'
import { readText } from '../io/shardIndex.js'
import { ConfigReader } from '../models/config.js'
import { Conv1D } from '../models/gpt2.js'
import type { Module } from '../nn/module.js'
import { FormatError, PretrainedError } from '../runtime/errors.js'
import type { Adapter } from './adapter.js'
import type { LoraOptions } from './lora.js'
import { defaultTargets, endingIn, endsOf, exactly } from './targets.js'

export const CONFIG_FILE = 'adapter_config.json'

/** Bytes an adapter_config.json may have. */
const MOST_BYTES = 4_000_000

/** PEFT's names of which biases are trained, by ours. */
const BIASES = { none: 'none', all: 'all', adapted: 'lora_only' } as const
type Biases = keyof typeof BIASES

/** Ways of adapting that change what the tensors mean; with any of them an adapter would give wrong results. */
const UNKNOWN = [
  'layers_pattern',
  'lora_bias',
  'target_parameters',
  'trainable_token_indices',
  'layer_replication',
  'exclude_modules',
  'use_qalora',
  'alora_invocation_tokens',
  'megatron_config',
]

/** The config of an adapter's folder. Throws `PretrainedError` where there is none or it is no JSON object. */
export async function readAdapterConfig(folder: string): Promise<Readonly<Record<string, unknown>>> {
  const file = join(folder, CONFIG_FILE)
  const fail = (what: string): PretrainedError => new PretrainedError(`${file}: ${what}`)
  const text = await readText(file, MOST_BYTES).catch((cause: unknown) => {
    if (cause instanceof FormatError) throw new PretrainedError(cause.message, { cause })
    throw new PretrainedError(`${file} can not be read (${(cause as Error).message}); an adapter's folder has one`, {
      cause,
    })
  })
  const config = parseJson(text, 16, fail)
  if (!isRecord(config)) throw fail('it is no JSON object')
  return config
}

const isStrings = (value: unknown): value is readonly string[] =>
  Array.isArray(value) && value.every((one) => typeof one === 'string')

const isEmpty = (value: unknown): boolean =>
  value === undefined ||
  value === null ||
  value === false ||
  (typeof value === 'object' && Object.keys(value as object).length === 0)

/** Numbers by pattern: ranks are integers from 1, alphas from 0. */
function numbersOf(reader: ConfigReader, name: string, low: number): Record<string, number> {
  const given = reader.record(name) ?? {}
  for (const value of Object.values(given))
    if (typeof value !== 'number' || !Number.isFinite(value) || value < low)
      throw reader.error(name, `numbers from ${low} up, by pattern`)
  return given as Record<string, number>
}

/** The names of modules that `target_modules` means in a model. */
function targetsOf(reader: ConfigReader, model: Module, config: Readonly<Record<string, unknown>>): string[] {
  const given = config['target_modules'] ?? undefined
  let fits: RegExp
  if (given === undefined) fits = defaultTargets('loadAdapter', model)
  else if (isStrings(given)) fits = endingIn(given)
  else if (typeof given === 'string') {
    try {
      fits = new RegExp(`^(?:${given})$`)
    } catch {
      throw reader.error('target_modules', 'a list of names or a regular expression')
    }
  } else throw reader.error('target_modules', 'a list of names or a regular expression')
  const layers = config['layers_to_transform'] ?? undefined
  const wanted = typeof layers === 'number' ? [layers] : layers
  if (wanted !== undefined && !(Array.isArray(wanted) && wanted.every(Number.isInteger)))
    throw reader.error('layers_to_transform', 'the number of a layer, or a list of numbers')
  // The number of a layer is the first one behind the last list in a name, as PEFT finds it.
  const inLayers = (name: string): boolean =>
    wanted === undefined || wanted.includes(Number(/.*\.[^.]*\.(\d+)\./.exec(name)?.[1] ?? Number.NaN))
  return model
    .namedModules()
    .map(([name]) => name)
    .filter((name) => fits.test(name) && inLayers(name))
}

/**
 * What `lora` needs to know to make the adapter that a config describes on a model; `targets` are names. Throws
 * `PretrainedError` for another kind of adapter and for what it can not do.
 */
export function optionsOfConfig(
  folder: string,
  config: Readonly<Record<string, unknown>>,
  model: Module,
): LoraOptions & { readonly targets: RegExp; readonly names: readonly string[] } {
  const file = join(folder, CONFIG_FILE)
  const reader = new ConfigReader(file, config)
  if (config['peft_type'] !== 'LORA')
    throw new PretrainedError(
      `loadAdapter: ${file} is of a ${String(config['peft_type']).slice(0, 50)} adapter; it takes LORA (with use_dora and use_rslora)`,
    )
  for (const name of UNKNOWN)
    if (!isEmpty(config[name])) throw reader.error(name, 'left out, as heddle does not have it')
  const peft = reader.oneOf('bias', Object.values(BIASES), 'none')
  const rank = reader.integer('r', 8)
  const saved = config['modules_to_save'] ?? []
  if (!isStrings(saved)) throw reader.error('modules_to_save', 'a list of names')
  const modules = model.namedModules().filter(([name]) => saved.some((end) => name.endsWith(end)))
  const names = targetsOf(reader, model, config)
  return {
    names,
    targets: exactly(names),
    rank,
    alpha: reader.number('lora_alpha', 8),
    dropout: reader.number('lora_dropout', 0, 0, 1),
    dora: reader.boolean('use_dora', false),
    useRslora: reader.boolean('use_rslora', false),
    biases: (Object.keys(BIASES) as Biases[]).find((ours) => BIASES[ours] === peft) as Biases,
    rankPattern: numbersOf(reader, 'rank_pattern', 1),
    alphaPattern: numbersOf(reader, 'alpha_pattern', 0),
    // What a model does not have, PEFT passes over: its list for classifiers names the heads of all families.
    ...(modules.length > 0 ? { alsoTrain: exactly(modules.map(([name]) => name)) } : {}),
  }
}

export interface PeftDescription {
  /** The name or folder of the model it belongs to; PEFT loads that by itself. */
  readonly baseModel?: string
  /** PEFT's `task_type`, as `CAUSAL_LM` or `SEQ_CLS`. Default: none. */
  readonly taskType?: string
}

/** The config of an adapter, in the order and with the values that PEFT writes. */
export function configOf(adapter: Adapter, { baseModel, taskType }: PeftDescription): Record<string, unknown> {
  const { config, layers, model } = adapter
  return {
    alpha_pattern: config.alphaPattern,
    auto_mapping: null,
    base_model_name_or_path: baseModel ?? null,
    bias: BIASES[config.biases],
    fan_in_fan_out: [...layers.values()].some(({ base }) => base instanceof Conv1D),
    inference_mode: true,
    init_lora_weights: true,
    layers_pattern: null,
    layers_to_transform: null,
    lora_alpha: config.alpha,
    lora_dropout: config.dropout,
    modules_to_save: config.alsoTrain.length > 0 ? config.alsoTrain : null,
    peft_type: 'LORA',
    r: config.rank,
    rank_pattern: config.rankPattern,
    revision: null,
    target_modules: endsOf(model, [...layers.keys()]),
    task_type: taskType ?? null,
    // Versions of PEFT before these were known refuse configs that name them.
    ...(config.useRslora ? { use_rslora: true } : {}),
    ...(config.dora ? { use_dora: true } : {}),
  }
}
