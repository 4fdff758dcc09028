// Folders that do not fit: typed errors, with tables, before anything is loaded; what may be left out or new.
import { execFileSync } from 'node:child_process'
import { mkdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { Tokenizer } from '../../lib/data/index.js'
import {
  defaultDevice,
  defaultGenerator,
  PretrainedError,
  StateDictError,
  type TensorState,
  tensor,
} from '../../lib/index.js'
import { readSafetensors, writeSafetensors } from '../../lib/io/index.js'
import {
  BertForSequenceClassification,
  BertModel,
  DistilBertModel,
  fromPretrained,
  GPT2LMHeadModel,
  LlamaForCausalLM,
  LlamaModel,
  SentenceEncoder,
  savePretrained,
} from '../../lib/models/index.js'
import { frequenciesOf } from '../../lib/models/rotary.js'
import { temporaryFolder } from '../io/folder.js'
import { reference } from './reference.js'
import { folderOf, weightsOf } from './weights.js'

const bert = reference('bert')
const state = weightsOf(bert.weights)

async function errorOf(run: Promise<unknown>): Promise<Error> {
  return run.then(
    () => {
      throw new Error('it did not throw')
    },
    (error: Error) => error,
  )
}

describe('weights that do not fit', () => {
  test('are told in one table, and nothing is loaded', async () => {
    const { 'embeddings.LayerNorm.bias': _, ...rest } = state
    const folder = await folderOf(bert.config, {
      ...rest,
      'encoder.layer.0.output.dense.weight': { data: new Float32Array(16 * 25), shape: [16, 25], dtype: 'f32' },
      'encoder.layer.1.output.dense.bias': { data: new Int32Array(16), shape: [16], dtype: 'i32' },
      'encoder.layer.7.output.dense.bias': { data: new Float32Array(16), shape: [16], dtype: 'f32' },
    })
    const before = defaultDevice().memory().allocated
    const error = await errorOf(fromPretrained(folder))
    expect(error).toBeInstanceOf(StateDictError)
    expect(error.message.split('\n').slice(1)).toEqual([
      '  missing:',
      '    embeddings.LayerNorm.bias',
      '  unexpected:',
      '    encoder.layer.7.output.dense.bias',
      '  of another shape or dtype:',
      '    encoder.layer.0.output.dense.weight: [16,25], expected [16,24]',
      '    encoder.layer.1.output.dense.bias: i32, expected f32',
      '  parameters that are meant to be new, a head for example, are named by the option newWeights',
    ])
    expect(defaultDevice().memory().allocated).toBe(before)
  })

  test('a model that the config makes enormous takes no memory', async () => {
    const config = { ...bert.config, vocab_size: 2 ** 24, hidden_size: 2 ** 24, num_attention_heads: 1 }
    const error = await errorOf(fromPretrained(await folderOf(config, state)))
    expect(error).toBeInstanceOf(StateDictError)
    expect(error.message).toContain('expected [16777216,16777216]')
  })
})

describe('names that differ between versions', () => {
  test('buffers that are computed, prefixes and old names are understood', async () => {
    const old = Object.fromEntries(
      Object.entries(state).map(([name, value]) => [
        `bert.${name.replace('LayerNorm.weight', 'LayerNorm.gamma').replace('LayerNorm.bias', 'LayerNorm.beta')}`,
        value,
      ]),
    )
    const extra = {
      'bert.embeddings.position_ids': { data: new BigInt64Array(24), shape: [1, 24], dtype: 'i64' as const },
      'cls.predictions.bias': { data: new Float32Array(29), shape: [29], dtype: 'f32' as const },
    }
    const model = await fromPretrained(await folderOf(bert.config, { ...old, ...extra }), { as: BertModel })
    expect((await model.stateDict())['encoder.layer.1.attention.output.LayerNorm.weight']?.data).toEqual(
      state['encoder.layer.1.attention.output.LayerNorm.weight']?.data,
    )
  })

  test('a tied head may stand in the file beside its table, or instead of it', async () => {
    const { config, weights } = reference('gpt2-language')
    const { 'transformer.wte.weight': table, ...rest } = weightsOf(weights)
    for (const tensors of [
      { ...rest, 'lm_head.weight': table as TensorState },
      { ...rest, 'lm_head.weight': table as TensorState, 'transformer.wte.weight': table as TensorState },
    ]) {
      const model = await fromPretrained(await folderOf(config, tensors), { as: GPT2LMHeadModel })
      expect(await model.transformer.wte.weight.data()).toEqual(table?.data)
    }
  })
})

describe('a new head', () => {
  test('must be asked for, gets fresh values, and is saved', async () => {
    const folder = await folderOf(bert.config, state)
    const options = { as: BertForSequenceClassification, config: { num_labels: 5 } }
    expect((await errorOf(fromPretrained(folder, options))).message).toMatch(/missing:\n {4}classifier.weight/)
    const model = await fromPretrained(folder, { ...options, newWeights: 'classifier' })
    const weight = (await model.classifier.weight.data()) as Float32Array
    expect(weight).toHaveLength(5 * 16)
    const spread = Math.sqrt(weight.reduce((sum, x) => sum + x * x, 0) / weight.length)
    expect(spread).toBeGreaterThan(0.01)
    expect(spread).toBeLessThan(0.03)
    expect(await model.classifier.bias?.data()).toEqual(new Float32Array(5))
    const again = await temporaryFolder()
    await savePretrained(model, again)
    const loaded = await fromPretrained<BertForSequenceClassification>(again)
    expect(loaded).toBeInstanceOf(BertForSequenceClassification)
    expect(await loaded.classifier.weight.data()).toEqual(weight)
  })

  test('replaces one of another shape, and the names of its labels', async () => {
    const { config, weights } = reference('bert-classification')
    const folder = await folderOf(config, weightsOf(weights))
    const model = await fromPretrained(folder, {
      as: BertForSequenceClassification,
      config: { num_labels: 4 },
      newWeights: 'classifier',
    })
    expect(model.classifier.weight.shape).toEqual([4, 16])
    expect(model.config['id2label']).toBeUndefined()
  })
})

describe('dtypes and files', () => {
  test.each(['bf16', 'f16', 'f64'] as const)('%s is kept when asked, and comes back', async (dtype) => {
    const model = await fromPretrained(await folderOf(bert.config, state), { dtype, as: BertModel })
    const bits = await model.stateDict({ bits: true })
    const folder = await temporaryFolder()
    await savePretrained(model, folder, { maxShardBytes: 4000 })
    const written = await readSafetensors(folder)
    expect(written['pooler.dense.weight']).toEqual(bits['pooler.dense.weight'])
    // From shards, and widened or narrowed.
    const again = await fromPretrained(folder, { as: BertModel })
    const output = again.forward(tensor([[1, 2, 3]], { dtype: 'i32' })).lastHiddenState
    const half = model.forward(tensor([[1, 2, 3]], { dtype: 'i32' })).lastHiddenState
    const [a, b] = [(await output.data()) as Float32Array, (await half.data()) as Float32Array]
    const error = Math.max(...a.map((x, i) => Math.abs(x - (b[i] as number))))
    expect(error).toBeLessThan(dtype === 'bf16' ? 0.1 : 0.01)
  })

  test('loading draws nothing', async () => {
    const folder = await folderOf(bert.config, state)
    const before = await defaultGenerator().stateDict()
    await fromPretrained(folder)
    expect(await defaultGenerator().stateDict()).toEqual(before)
  })

  test('pytorch_model.bin is not read, and the error says what to do', async () => {
    const folder = await folderOf(bert.config, state)
    await rename(join(folder, 'model.safetensors'), join(folder, 'pytorch_model.bin'))
    const error = await errorOf(fromPretrained(folder))
    expect(error).toBeInstanceOf(PretrainedError)
    expect(error.message).toMatch(/pytorch_model.bin, which holds Python programs.*save_pretrained/)
    await rm(join(folder, 'pytorch_model.bin'))
    expect((await errorOf(fromPretrained(folder))).message).toMatch(/neither model.safetensors nor/)
    expect((await errorOf(fromPretrained(join(folder, 'none')))).message).toMatch(/a model's folder has a config.json/)
  })

  test('the entry alone has every kernel', () => {
    const program = `
      import { BertModel } from 'heddle/models'
      const model = new BertModel({ vocab_size: 8, hidden_size: 8, num_hidden_layers: 1, num_attention_heads: 2 })
      console.log((await model.parameters()[0].data()).length)`
    const output = execFileSync(process.execPath, ['--input-type=module', '-e', program], { encoding: 'utf8' })
    expect(output.trim()).toBe('64')
  })
})

describe('configs that nobody vouches for', () => {
  test.each([
    ['not JSON', '{', /it is not JSON/],
    ['no object', '[1]', /it is no JSON object/],
    [
      'an unknown architecture',
      { architectures: ['MambaModel'] },
      /the architecture MambaModel, which is not known; known are bert \(BertModel,/,
    ],
    ['no architecture', {}, /the model_type undefined, which is not known/],
    ['architectures that are no list', { architectures: { length: 9 }, model_type: 7 }, /the model_type 7/],
    ['a prototype for an architecture', { architectures: ['constructor', '__proto__'] }, /not known/],
  ])('%s', async (_, config, message) => {
    const error = await errorOf(fromPretrained(await folderOf(config, state)))
    expect(error).toBeInstanceOf(PretrainedError)
    expect(error.message).toMatch(message)
  })

  // Without the value in the title, which may be long.
  test.each([
    ['hidden_size', '16', /hidden_size in the config must be an integer from 1 to 16777216, not string '16'/],
    ['hidden_size', 1e300, /hidden_size/],
    ['hidden_size', 15, /hidden_size in the config must be a multiple of num_attention_heads \(4\), not number 15/],
    ['num_hidden_layers', 1e9, /num_hidden_layers in the config must be an integer from 1 to 10000/],
    ['num_attention_heads', 0, /num_attention_heads/],
    ['vocab_size', -1, /vocab_size/],
    [
      'layer_norm_eps',
      'x'.repeat(10_000),
      /layer_norm_eps in the config must be a number from 0 up, not string 'x{80,}\.\.\./,
    ],
    ['hidden_act', 'constructor', /hidden_act in the config must be one of 'gelu'/],
    ['hidden_dropout_prob', 2, /hidden_dropout_prob in the config must be a number from 0 to 1/],
    ['pad_token_id', 29, /pad_token_id/],
    ['position_embedding_type', 'relative_key', /position_embedding_type in the config must be one of 'absolute'/],
    ['is_decoder', true, /is_decoder/],
    ['id2label', [1], /id2label in the config must be an object, not an array/],
  ])('%s', async (name, value, message) => {
    const { config, weights } = reference('bert-classification')
    const error = await errorOf(fromPretrained(await folderOf({ ...config, [name]: value }, weightsOf(weights))))
    expect(error).toBeInstanceOf(PretrainedError)
    expect(error.message).toMatch(message)
  })

  test.each([
    [{ num_key_value_heads: 3 }, /num_key_value_heads in the config must be a divisor of 4 heads/],
    [{ head_dim: 3 }, /head_dim in the config must be even/],
    [{ use_sliding_window: true }, /use_sliding_window in the config must be false/],
    [{ rope_scaling: { rope_type: 'yarn' } }, /rope_type in the config must be one of 'default', 'linear', 'llama3'/],
    [{ rope_scaling: { type: 'linear', factor: 0 } }, /factor/],
    [{ rope_theta: null }, undefined],
  ])('%o', (change, message) => {
    const make = (): unknown => new LlamaModel({ ...reference('llama').config, ...change })
    if (message) expect(make).toThrow(message)
    else expect(make).not.toThrow()
  })
})

test('positions are slowed down as Llama 3.1 asks', () => {
  const plain = frequenciesOf('test', { rope_theta: 500000 }, 128)
  const scaling = { rope_type: 'llama3', factor: 8, low_freq_factor: 1, high_freq_factor: 4 }
  const scaled = frequenciesOf(
    'test',
    { rope_theta: 500000, rope_scaling: { ...scaling, original_max_position_embeddings: 8192 } },
    128,
  )
  // By wave length: below 8192 / 4 as before, above 8192 an eighth, between them in between.
  for (const [i, frequency] of plain.entries()) {
    const wave = (2 * Math.PI) / frequency
    const ratio = (scaled[i] as number) / frequency
    if (wave < 2048) expect(ratio).toBe(1)
    else if (wave > 8192) expect(ratio).toBeCloseTo(1 / 8, 6)
    else {
      const share = (8192 / wave - 1) / 3
      expect(ratio).toBeCloseTo((1 - share) / 8 + share, 5)
    }
  }
  expect(frequenciesOf('test', { rope_parameters: { rope_type: 'default', rope_theta: 500000 } }, 128)).toEqual(plain)
})

test('sentence folders: pooling and modules are read, not assumed', async () => {
  const folder = await folderOf(bert.config, state)
  const write = (name: string, value: unknown): Promise<void> => writeFile(join(folder, name), JSON.stringify(value))
  const modules = (...kinds: (readonly [string, string])[]): Promise<void> =>
    write(
      'modules.json',
      kinds.map(([type, path]) => ({ type: `sentence_transformers.models.${type}`, path })),
    )
  await mkdir(join(folder, '1_Pooling'))
  const refused = async (message: RegExp): Promise<void> => {
    const error = await errorOf(SentenceEncoder.fromPretrained(folder))
    expect(error).toBeInstanceOf(PretrainedError)
    expect(error.message).toMatch(message)
  }
  await write('modules.json', { a: 1 })
  await refused(/it is no list of modules/)
  await modules(['Transformer', '../..'])
  await refused(/no path of a folder beside it/)
  await modules(['Transformer', ''])
  await refused(/has no Pooling/)
  await modules(['Transformer', ''], ['LSTM', ''])
  await refused(/has the module 'sentence_transformers.models.LSTM'/)
  await modules(['Transformer', ''], ['Pooling', '1_Pooling'])
  await write('1_Pooling/config.json', { pooling_mode_mean_tokens: true, pooling_mode_max_tokens: true })
  await refused(/asks for pooling_mode_mean_tokens, pooling_mode_max_tokens; exactly one/)
  await write('1_Pooling/config.json', { pooling_mode_lasttoken: true })
  await refused(/asks for pooling_mode_lasttoken; exactly one/)
})

test('models that are made anew can be saved and loaded; others of the family take what is theirs', async () => {
  const config = {
    vocab_size: 20,
    hidden_size: 16,
    intermediate_size: 24,
    num_hidden_layers: 1,
    num_attention_heads: 2,
  }
  const model = new LlamaForCausalLM(config)
  const folder = await temporaryFolder()
  await savePretrained(model, folder)
  const bare = await fromPretrained(folder, { as: LlamaModel })
  expect(await bare.norm.weight.data()).toEqual(new Float32Array(16).fill(1))
  expect(await bare.embed_tokens.weight.data()).toEqual(await model.model.embed_tokens.weight.data())
  const error = await errorOf(fromPretrained(folder, { as: DistilBertModel, config: { pad_token_id: 0 } }))
  expect(error).toBeInstanceOf(StateDictError)
  await writeSafetensors(join(folder, 'model.safetensors'), {})
  expect((await errorOf(fromPretrained(folder))).message).toMatch(/and \d+ more|missing/)
})

test('a tokenizer with more tokens than the model is refused', () => {
  const model = new BertModel({ ...bert.config })
  const tokenizer = (vocabSize: number): Tokenizer => ({ vocabSize }) as Tokenizer
  expect(() => new SentenceEncoder(model, tokenizer(29))).not.toThrow()
  expect(() => new SentenceEncoder(model, tokenizer(30))).toThrow(PretrainedError)
  expect(() => new SentenceEncoder(model, tokenizer(30))).toThrow(/the tokenizer has 30 tokens and the model 29/)
})
