// Low-rank adapters in PEFT's folders: adapter_config.json and adapter_model.safetensors, both ways.
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { type Cell, type Parameter, withoutMemory } from '../cell.js'
import { replaceFile } from '../io/durable.js'
import { clip } from '../io/json.js'
import { openSafetensors, type SafetensorsFile } from '../io/safetensors.js'
import { writeSafetensors } from '../io/safetensorsWrite.js'
import type { Module } from '../nn/module.js'
import { optionsOf } from '../ops/arguments.js'
import { ArgumentError, DTypeError, PretrainedError, StateDictError } from '../runtime/errors.js'
import { describe } from '../schema/describe.js'
import { isFloat } from '../schema/dtype.js'
import { formatShape, type Shape, sameShape } from '../schema/shape.js'
import { memoryFor, readState, type TensorState, tableOf } from '../state.js'
import { Adapter } from './adapter.js'
import { type LoraPlan, planLora, putOn } from './lora.js'
import { MAGNITUDE } from './loraLayer.js'
import { CONFIG_FILE, configOf, optionsOfConfig, type PeftDescription, readAdapterConfig } from './peftConfig.js'

export const WEIGHTS_FILE = 'adapter_model.safetensors'

/** What stands before the names of the model in PEFT's files. */
const PREFIX = 'base_model.model.'

/** A file's name for a parameter of the model that an adapter trains: PEFT keeps adapted layers one level further down. */
const extraName = (path: string, layers: { has(name: string): boolean }): string => {
  const owner = path.replace(/\.bias$/, '')
  return layers.has(owner) && owner !== path ? `${owner}.base_layer.bias` : path
}

/** The name in a file, as `saveAdapter` would write it: other versions of PEFT have written others. */
const asToday = (name: string): string => name.replace(/\.lora_magnitude_vector\.weight$/, `.${MAGNITUDE}`)

/**
 * Writes an adapter as PEFT does, for `PeftModel.from_pretrained` in Python and `loadAdapter` here: its factors, and what it
 * trains of the model. The folder is made where there is none; other files in it are left alone.
 */
export async function saveAdapter(adapter: Adapter, folder: string, options: PeftDescription = {}): Promise<void> {
  const op = 'saveAdapter'
  if (!(adapter instanceof Adapter))
    throw new ArgumentError(`${op}: it takes what lora gives, not ${describe(adapter)}`)
  if (typeof folder !== 'string') throw new ArgumentError(`${op}: the folder is a path, not ${describe(folder)}`)
  const state = await readState(cellsOf(adapter), { bits: true })
  const config = configOf(adapter, optionsOf(op, options))
  await mkdir(folder, { recursive: true })
  await writeSafetensors(join(folder, WEIGHTS_FILE), state, { metadata: { format: 'pt' } })
  await replaceFile(join(folder, CONFIG_FILE), [new TextEncoder().encode(`${JSON.stringify(config, null, 2)}\n`)])
}

/** The tensors of an adapter's folder, open. Throws `PretrainedError` where there are none. */
export async function openWeights(folder: string): Promise<SafetensorsFile> {
  try {
    return await openSafetensors(join(folder, WEIGHTS_FILE))
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ENOENT') throw cause
    throw new PretrainedError(
      `${folder} has no ${WEIGHTS_FILE}; an adapter_model.bin holds Python programs and is not read: save it with safe_serialization=True`,
      { cause },
    )
  }
}

/** Shapes by the name in a file, and how the parameter is called on the model. */
function expectedOf({
  places,
  extra,
}: LoraPlan): Map<string, { readonly shape: Shape; readonly parameter?: Parameter }> {
  const names = new Set(places.map(({ name }) => name))
  const own = places.flatMap(({ name, layer, settings }) => {
    const [a, b] = layer.shapes(settings.rank)
    const [first, second] = layer.factorNames
    const magnitude = settings.dora ? [[MAGNITUDE, [b[0] as number]] as const] : []
    return [[first, a] as const, [second, b] as const, ...magnitude].map(
      ([key, shape]) => [`${PREFIX}${name}.${key}`, { shape }] as const,
    )
  })
  const others = [...extra].map(
    ([path, parameter]) => [PREFIX + extraName(path, names), { shape: parameter.shape, parameter }] as const,
  )
  return new Map([...own, ...others])
}

/** The file's names by today's. Throws `StateDictError`, with a table, where names or shapes do not fit. */
function assigned(
  folder: string,
  model: Module,
  plan: LoraPlan | undefined,
  file: SafetensorsFile,
): Map<string, string> {
  const expected = plan ? expectedOf(plan) : new Map<string, never>()
  const found = new Map<string, string>()
  const problems = { missing: [] as string[], unexpected: [] as string[], misfits: [] as string[] }
  for (const name of file.names) {
    const today = asToday(name)
    // Biases of adapted layers stood beside the factors once.
    const place = expected.has(today) ? today : today.replace(/\.bias$/, '.base_layer.bias')
    const wanted = expected.get(place)
    if (!wanted || found.has(place)) problems.unexpected.push(clip(name))
    else {
      found.set(place, name)
      const wrong = misfit(file, name, wanted.shape)
      if (wrong) problems.misfits.push(`${clip(name)}: ${wrong}`)
    }
  }
  const without = [...expected.keys()].filter((name) => !found.has(name))
  // With `lora_only` PEFT writes no bias, as it looks for them under the names of before `base_layer`: they are the model's.
  const optional = plan?.config.biases === 'adapted' ? /\.base_layer\.bias$/ : /^$/
  problems.missing.push(...without.filter((name) => !optional.test(name)))
  const table = tableOf(problems)
  if (!table) return found
  throw new StateDictError(
    `loadAdapter: the adapter in ${folder} does not fit this ${model.constructor.name}; nothing was loaded\n${table}`,
  )
}

function misfit(file: SafetensorsFile, name: string, shape: Shape): string | undefined {
  try {
    const spec = file.spec(name)
    if (!sameShape(spec.shape, shape)) return `${formatShape(spec.shape)}, expected ${formatShape(shape)}`
    return isFloat(spec.dtype) ? undefined : `${spec.dtype}, expected floats`
  } catch (error) {
    if (error instanceof DTypeError) return 'of a dtype that heddle does not have'
    throw error
  }
}

export interface LoadAdapterOptions {
  /** Names it among several on the model. Default `default`. */
  readonly name?: string
}

/**
 * Puts the adapter of a PEFT folder on a model, with what it trained besides (`modules_to_save`, biases). Names and shapes
 * are compared with the model before anything is changed. It takes part at once, and is trainable.
 *
 * Throws `PretrainedError` for a folder without config or safetensors, another kind of adapter (`peft_type`) and settings
 * that heddle does not have; `StateDictError`, with a table, where the tensors do not fit the config or the model;
 * `FormatError` for damaged files. The model is as it was in all of these cases.
 *
 * @example const adapter = await loadAdapter(model, 'my-lora')
 */
export async function loadAdapter(model: Module, folder: string, options: LoadAdapterOptions = {}): Promise<Adapter> {
  const op = 'loadAdapter'
  if (typeof folder !== 'string') throw new ArgumentError(`${op}: the folder is a path, not ${describe(folder)}`)
  const { name = 'default' } = optionsOf(op, options)
  const { names, ...described } = optionsOfConfig(folder, await readAdapterConfig(folder), model)
  const file = await openWeights(folder)
  try {
    // Without a layer that fits, all tensors are unexpected: the table says so.
    const plan = names.length > 0 ? planLora(op, model, { ...described, name }) : undefined
    const sources = assigned(folder, model, plan, file)
    if (!plan) throw new StateDictError(`${op}: the model has none of the layers that ${folder} adapts`)
    const tensors = await file.readAll([...sources.values()])
    const adapter = putOn(model, plan, withoutMemory)
    try {
      for (const [place, cell] of cellsOf(adapter)) {
        const source = sources.get(place)
        if (source === undefined) continue
        const memory = memoryFor(cell, tensors[source] as TensorState)
        if (typeof memory === 'string') throw new PretrainedError(`${op}: ${folder}: ${place}: ${memory}`)
        cell.write(memory)
      }
    } catch (error) {
      adapter.remove()
      throw error
    }
    return adapter
  } finally {
    await file.close()
  }
}

/** What a file holds, by its names there. */
function cellsOf(adapter: Adapter): (readonly [string, Cell])[] {
  const { layers, extra, name } = adapter
  const own = [...layers].flatMap(([path, layer]) =>
    layer.parametersOf(name).map(([key, cell]) => [`${PREFIX}${path}.${key}`, cell] as const),
  )
  const others = [...extra].map(
    ([path, parameter]) => [PREFIX + extraName(path, layers), adapter.valueOf(parameter)] as const,
  )
  return [...own, ...others]
}
