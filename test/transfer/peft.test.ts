// Adapters in PEFT's folders: outputs and gradients against PEFT itself, folders written back, and what can be wrong with one.
import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import {
  arange,
  cast,
  compile,
  cos,
  grad,
  mul,
  type Parameter,
  reshape,
  type StateDict,
  seed,
  sum,
  type Tensor,
  tensor,
  unsqueeze,
} from '../../lib/index.js'
import { readSafetensors, writeSafetensors } from '../../lib/io/index.js'
import { fromPretrained, GPT2LMHeadModel, type PretrainedModel, savePretrained } from '../../lib/models/index.js'
import { type Adapter, loadAdapter, lora, saveAdapter } from '../../lib/transfer/index.js'
import { temporaryFolder } from '../io/folder.js'
import { folderOf, type Shapes, waves, weight, weightsOf } from '../models/weights.js'

const here = fileURLToPath(new URL('.', import.meta.url))
const TOLERANCE = 1e-4

interface Reference {
  readonly config: Readonly<Record<string, unknown>>
  readonly weights: Shapes
  readonly adapterConfig: Readonly<Record<string, unknown>>
  readonly adapterWeights: Shapes
  readonly tokens: readonly (readonly number[])[]
  readonly mask: readonly (readonly number[])[]
  readonly output: readonly number[]
  readonly gradients: Readonly<Record<string, readonly [number, number]>>
}

const reference = (name: string): Reference =>
  JSON.parse(readFileSync(join(here, 'reference', `${name}.json`), 'utf8')) as Reference
const names = readdirSync(join(here, 'reference')).map((file) => file.replace('.json', ''))

/** A tensor of an adapter's file; biases that are trained in place are those of the model, and magnitudes are lengths. */
function adapterTensor(name: string, shape: readonly number[], biases: unknown) {
  const bias =
    name.endsWith('bias') && biases !== 'none'
      ? name.replace('base_model.model.', '').replace('base_layer.', '')
      : undefined
  const data = weight(bias ?? name, shape)
  return { data: name.includes('magnitude') ? data.map((x) => x + 1) : data, shape, dtype: 'f32' as const }
}

const adapterTensors = ({ adapterConfig, adapterWeights }: Reference): StateDict =>
  Object.fromEntries(
    Object.entries(adapterWeights).map(([name, shape]) => [name, adapterTensor(name, shape, adapterConfig['bias'])]),
  )

async function adapterFolder(config: unknown, tensors: StateDict): Promise<string> {
  const folder = join(await temporaryFolder(), 'adapter')
  await mkdir(folder)
  await writeFile(join(folder, 'adapter_config.json'), JSON.stringify(config))
  await writeSafetensors(join(folder, 'adapter_model.safetensors'), tensors)
  return folder
}

type Runs = PretrainedModel & { forward(tokens: Tensor, inputs: object): Tensor | { lastHiddenState: Tensor } }

function outputOf(model: Runs, { tokens, mask }: Pick<Reference, 'tokens' | 'mask'>): Tensor {
  const real = tensor(mask, { dtype: 'i32' })
  const result = model.forward(tensor(tokens, { dtype: 'i32' }), { mask: real })
  const output = 'lastHiddenState' in result ? result.lastHiddenState : result
  return output.rank === 3 ? mul(output, unsqueeze(cast(real, 'f32'), -1)) : output
}

const largest = (found: ArrayLike<number>, expected: ArrayLike<number>): number => {
  expect(found.length).toBe(expected.length)
  return Math.max(...Array.from(found, (x, i) => Math.abs(x - (expected[i] as number))))
}

/** PEFT's names of what an adapter trains. */
const peftName = (name: string, adapter: Adapter): string => {
  const owner = name.replace(/\.bias$/, '')
  const place = adapter.layers.has(owner) ? `${owner}.base_layer.bias` : name
  return `base_model.model.${place.replace('.default', '')}`
}

describe.each(names)('%s', (name) => {
  const expected = reference(name)

  test('gives the output and the gradients of PEFT', async () => {
    const model = await fromPretrained<Runs>(await folderOf(expected.config, weightsOf(expected.weights)))
    const adapter = await loadAdapter(model, await adapterFolder(expected.adapterConfig, adapterTensors(expected)))
    const inputs = { tokens: tensor(expected.tokens, { dtype: 'i32' }), mask: tensor(expected.mask, { dtype: 'i32' }) }
    const trained = adapter.namedParameters()
    const run = compile((tokens: Tensor, mask: Tensor) => {
      const result = model.forward(tokens, { mask })
      const output = 'lastHiddenState' in result ? result.lastHiddenState : result
      const found = output.rank === 3 ? mul(output, unsqueeze(cast(mask, 'f32'), -1)) : output
      const flat = reshape(found, [-1])
      const gradients = grad(sum(mul(flat, cos(cast(arange(flat.size), 'f32')))), adapter.parameters(), {
        missing: 'zero',
      })
      return { found, gradients: trained.map(([, parameter]) => gradients.get(parameter)) }
    })
    const { found, gradients } = await run(inputs.tokens, inputs.mask)
    expect(largest((await found.data()) as Float32Array, expected.output)).toBeLessThan(TOLERANCE)
    for (const [i, [own]] of trained.entries()) {
      const data = (await (gradients[i] as Tensor).data()) as Float32Array
      const direction = waves(data.length, 1)
      const length = Math.hypot(...data)
      const along = data.reduce((total, x, j) => total + x * (direction[j] as number), 0)
      const known = expected.gradients[peftName(own, adapter)]
      // PEFT does not train biases of adapted layers with `lora_only`, though it says so.
      if (!known) expect(own).toMatch(/bias$/)
      else expect(largest([length, along], known), own).toBeLessThan(TOLERANCE * Math.max(1, known[0]))
    }
    const found_ = trained.map(([own]) => peftName(own, adapter))
    expect(found_).toEqual(expect.arrayContaining(Object.keys(expected.gradients)))
  })

  test('is written as PEFT writes it', async () => {
    const model = await fromPretrained<Runs>(await folderOf(expected.config, weightsOf(expected.weights)))
    const tensors = adapterTensors(expected)
    const adapter = await loadAdapter(model, await adapterFolder(expected.adapterConfig, tensors))
    const folder = join(await temporaryFolder(), 'written')
    await saveAdapter(adapter, folder, { baseModel: 'base' })
    const written = await readSafetensors(join(folder, 'adapter_model.safetensors'))
    const known = Object.keys(written).filter((key) => key in tensors || !key.endsWith('base_layer.bias'))
    expect(known.sort()).toEqual(Object.keys(tensors).sort())
    for (const key of known) {
      expect(written[key]?.shape, key).toEqual(tensors[key]?.shape)
      expect(written[key]?.data, key).toEqual(tensors[key]?.data)
    }
    const config = JSON.parse(await readFile(join(folder, 'adapter_config.json'), 'utf8')) as Record<string, unknown>
    for (const key of [
      'peft_type',
      'r',
      'lora_alpha',
      'bias',
      'fan_in_fan_out',
      'rank_pattern',
      'alpha_pattern',
      'modules_to_save',
    ])
      expect(config[key], key).toEqual(expected.adapterConfig[key])
    expect(config['use_dora'] ?? false).toBe(expected.adapterConfig['use_dora'])
    expect(config['use_rslora'] ?? false).toBe(expected.adapterConfig['use_rslora'])
    // Read again, it adapts the same layers.
    const again = await fromPretrained<Runs>(await folderOf(expected.config, weightsOf(expected.weights)))
    const read = await loadAdapter(again, folder)
    expect([...read.layers.keys()]).toEqual([...adapter.layers.keys()])
    const data = (await outputOf(again, expected).data()) as Float32Array
    expect(largest(data, expected.output)).toBeLessThan(TOLERANCE)
  })

  test('merges into the weights, and out of them again', async () => {
    const model = await fromPretrained<Runs>(await folderOf(expected.config, weightsOf(expected.weights)))
    const before = await model.stateDict()
    const tensors = adapterTensors(expected)
    const adapter = await loadAdapter(model, await adapterFolder(expected.adapterConfig, tensors))
    const output = async (): Promise<Float32Array> => (await outputOf(model, expected).data()) as Float32Array
    adapter.merge()
    expect(largest(await output(), expected.output)).toBeLessThan(TOLERANCE)
    adapter.unmerge()
    expect(largest(await output(), expected.output)).toBeLessThan(TOLERANCE)
    adapter.merge({ keep: true }).unmerge()
    adapter.merge().remove()
    expect(largest(await output(), expected.output)).toBeLessThan(TOLERANCE)
    // A plain model again, with the same names.
    expect(Object.keys(await model.stateDict())).toEqual(Object.keys(before))
  })
})

describe('what does not fit', () => {
  const { config, weights, adapterConfig } = reference('bert-lora')
  const tensors = adapterTensors(reference('bert-lora'))

  async function failure(changed: object, given: StateDict = tensors): Promise<Error> {
    const model = await fromPretrained(await folderOf(config, weightsOf(weights)))
    const before = model.namedModules().map(([name, module]) => `${name} ${module.constructor.name}`)
    const trainable = model.parameters({ trainable: true }).length
    const folder = await adapterFolder({ ...adapterConfig, ...changed }, given)
    const error = await loadAdapter(model, folder).then(
      () => new Error('it was loaded'),
      (reason: Error) => reason,
    )
    // Nothing half loaded.
    expect(model.namedModules().map(([name, module]) => `${name} ${module.constructor.name}`)).toEqual(before)
    expect(model.parameters({ trainable: true }).length).toBe(trainable)
    return error
  }

  const query = 'base_model.model.bert.encoder.layer.0.attention.self.query.lora_A.weight'

  test('tensors that are missing, unexpected or of another shape are listed', async () => {
    const { [query]: first, ...rest } = tensors
    const missing = await failure({}, rest)
    expect(missing.name).toBe('StateDictError')
    expect(missing.message).toMatch(/nothing was loaded\n {2}missing:\n {4}base_model.*query\.lora_A\.weight$/)
    const unexpected = await failure({}, { ...tensors, other: first as never })
    expect(unexpected.message).toMatch(/unexpected:\n {4}other$/)
    const other = { data: new Float32Array(8), shape: [8], dtype: 'f32' as const }
    const misshapen = await failure({}, { ...tensors, [query]: other })
    expect(misshapen.message).toMatch(/of another shape or dtype:\n.*query\.lora_A\.weight: \[8\], expected \[4,16\]$/)
    const whole = { data: new Int32Array(64), shape: [4, 16], dtype: 'i32' as const }
    expect((await failure({}, { ...tensors, [query]: whole })).message).toMatch(/i32, expected floats/)
    expect((await failure({ r: 5 })).message).toMatch(/\[4,16\], expected \[5,16\]/)
  })

  test('another model has none of the layers', async () => {
    const gpt2 = reference('gpt2-lora')
    const model = await fromPretrained(await folderOf(gpt2.config, weightsOf(gpt2.weights)))
    const error = await loadAdapter(model, await adapterFolder(adapterConfig, tensors)).catch((reason: Error) => reason)
    expect((error as Error).name).toBe('StateDictError')
    expect((error as Error).message).toMatch(/does not fit this GPT2LMHeadModel[\s\S]*unexpected:\n {4}base_model/)
  })

  test('other kinds of adapters and settings are refused', async () => {
    for (const [changed, message] of [
      [{ peft_type: 'IA3' }, /is of a IA3 adapter; it takes LORA/],
      [{ r: 0 }, /r in the config must be an integer from 1/],
      [{ lora_alpha: 'much' }, /lora_alpha in the config must be a number/],
      [{ lora_bias: true }, /lora_bias in the config must be left out/],
      [{ rank_pattern: { query: -1 } }, /rank_pattern in the config must be numbers from 1 up/],
      [{ target_modules: '(' }, /target_modules in the config must be a list of names or a regular expression/],
      [{ target_modules: 3 }, /target_modules in the config must be/],
      [{ bias: 'some' }, /bias in the config must be one of/],
    ] as const) {
      const error = await failure(changed)
      expect([error.name, error.message]).toEqual(['PretrainedError', expect.stringMatching(message)])
    }
  })

  test('a folder without config or safetensors', async () => {
    const model = new GPT2LMHeadModel({ n_embd: 8, n_layer: 1, n_head: 2, vocab_size: 9 })
    const folder = await temporaryFolder()
    await expect(loadAdapter(model, folder)).rejects.toThrow(/adapter_config\.json can not be read/)
    await writeFile(join(folder, 'adapter_config.json'), JSON.stringify({ peft_type: 'LORA' }))
    await expect(loadAdapter(model, folder)).rejects.toThrow(/has no adapter_model\.safetensors; an adapter_model\.bin/)
    await writeFile(join(folder, 'adapter_model.safetensors'), 'nothing')
    await expect(loadAdapter(model, folder)).rejects.toThrow(/adapter_model\.safetensors/)
  })
})

test('PEFT reads what is written here, and gives the same outputs', { timeout: 120_000 }, async (context) => {
  const probe = spawnSync('/usr/bin/python3', ['-c', 'import peft, torch, transformers'], { encoding: 'utf8' })
  if (probe.status !== 0) {
    console.warn(`PEFT is not asked: ${probe.stderr?.trim().split('\n').at(-1)}`)
    return context.skip()
  }
  seed(4)
  const model = new GPT2LMHeadModel({ n_embd: 16, n_layer: 2, n_head: 4, vocab_size: 29, n_positions: 24 }).eval()
  const folder = await temporaryFolder()
  await savePretrained(model, join(folder, 'model'))
  const adapter = lora(model, {
    rank: 3,
    alpha: 7,
    biases: 'all',
    alsoTrain: '*.ln_f',
    rankPattern: { 'h.0.attn.c_attn': 5 },
  })
  // So that it changes something.
  for (const [name, parameter] of adapter.namedParameters())
    (parameter as Parameter).write(weight(name, parameter.shape))
  await saveAdapter(adapter, join(folder, 'adapter'), { taskType: 'CAUSAL_LM' })
  expect((await readdir(join(folder, 'adapter'))).sort()).toEqual(['adapter_config.json', 'adapter_model.safetensors'])
  const tokens = [[5, 3, 17, 2, 9, 28, 11]]
  const script = join(here, '../../conformance/transfer/read.py')
  const peer = spawnSync(
    '/usr/bin/python3',
    [script, join(folder, 'model'), join(folder, 'adapter'), JSON.stringify(tokens)],
    {
      encoding: 'utf8',
    },
  )
  expect(peer.stderr).not.toMatch(/Error/)
  const found = (await model.forward(tensor(tokens, { dtype: 'i32' })).data()) as Float32Array
  expect(largest(found, JSON.parse(peer.stdout) as number[])).toBeLessThan(TOLERANCE)
})
