// T5: outputs, gradients and what is generated against transformers, and folders written back as transformers has them.
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { ArgumentError, cast, mul, type Tensor, tensor, unsqueeze } from '../../lib/index.js'
import {
  fromPretrained,
  generate,
  KeyValueCache,
  type PretrainedModel,
  stream,
  T5EncoderModel,
  type T5ForConditionalGeneration,
  T5Model,
} from '../../lib/models/index.js'
import { bucketOf } from '../../lib/models/relativePositions.js'
import { type Expected, expectReference, expectWritten } from './compare.js'
import { folderOf, type Shapes, weight, weightsOf } from './weights.js'

interface Reference extends Expected {
  readonly config: Readonly<Record<string, unknown>>
  readonly weights: Shapes
  readonly tokens: readonly (readonly number[])[]
  readonly mask: readonly (readonly number[])[]
  readonly targets?: readonly (readonly number[])[]
  readonly targetMask?: readonly (readonly number[])[]
}

interface Run {
  readonly prompt: readonly number[]
  readonly options: { readonly num_beams?: number; readonly length_penalty?: number }
  readonly eos: number
  readonly tokens: readonly number[]
}

const folder = fileURLToPath(new URL('reference/t5', import.meta.url))
const names = readdirSync(folder)
  .map((file) => file.replace('.json', ''))
  .filter((name) => name !== 'generation')
const read = (name: string): unknown => JSON.parse(readFileSync(`${folder}/${name}.json`, 'utf8'))
const reference = (name: string): Reference => read(name) as Reference

const integers = (rows: readonly (readonly number[])[] = []): Tensor => tensor(rows, { dtype: 'i32' })

describe.each(names)('%s', (name) => {
  const found = reference(name)
  const state = weightsOf(found.weights)

  test('gives the outputs and gradients of the reference', async () => {
    const model = await fromPretrained<PretrainedModel>(await folderOf(found.config, state))
    const [tokens, mask] = [integers(found.tokens), integers(found.mask)]
    const targets = found.targets && integers(found.targets)
    const decoderMask = found.targetMask && integers(found.targetMask)
    const real = unsqueeze(cast(decoderMask ?? mask, 'f32'), -1)
    await expectReference(model, found, () => {
      if (model instanceof T5EncoderModel)
        return { lastHiddenState: mul(model.forward(tokens, { mask }).lastHiddenState, real) }
      if (model instanceof T5Model)
        return {
          lastHiddenState: mul(model.forward(tokens, targets as Tensor, { mask, decoderMask }).lastHiddenState, real),
        }
      const seq = model as T5ForConditionalGeneration
      return { logits: mul(seq.forward(tokens, targets as Tensor, { mask, decoderMask }), real) }
    })
  })

  test('is written with the names, shapes and elements of transformers', async () => {
    const model = await fromPretrained(await folderOf(found.config, state))
    expect(JSON.parse(await expectWritten(model, found.weights, state))).toMatchObject(found.config)
  })
})

const generation = read('generation') as Pick<Reference, 'config' | 'weights'> & { readonly runs: readonly Run[] }

async function generator(): Promise<T5ForConditionalGeneration> {
  const state = Object.fromEntries(
    Object.entries(generation.weights).map(([key, shape]) => [
      key,
      { data: weight(key, shape).map((x) => 3 * x), shape, dtype: 'f32' as const },
    ]),
  )
  return fromPretrained<T5ForConditionalGeneration>(await folderOf(generation.config, state))
}

test('generates what transformers generates, greedily and by beams', async () => {
  const model = await generator()
  for (const { prompt, options, eos, tokens } of generation.runs) {
    const { num_beams: beams = 1, length_penalty: lengthPenalty = 1 } = options
    const [made] = await generate(model, [prompt], { maxTokens: 20, beams, lengthPenalty, stop: [eos] })
    expect(Array.from(made as Int32Array), JSON.stringify({ prompt, options, eos })).toEqual(tokens)
  }
})

test('sources of several lengths in one batch give what each gives alone, drawn ones too', async () => {
  const model = await generator()
  for (const options of [{}, { num_beams: 3 }]) {
    const same = generation.runs.filter(
      (run) => run.eos === 9 && JSON.stringify(run.options) === JSON.stringify(options),
    )
    const sources = same.map(({ prompt }) => prompt)
    const made = await generate(model, sources, { maxTokens: 20, beams: options.num_beams ?? 1, stop: [9] })
    expect(made.map((row) => Array.from(row))).toEqual(same.map(({ tokens }) => tokens))
  }
  const sources = [
    [5, 3, 17, 2, 9],
    [7, 4],
  ]
  const drawn = await generate(model, sources, { maxTokens: 12, temperature: 2, seed: 3, stop: [] })
  const [alone] = await generate(model, sources.slice(0, 1), { maxTokens: 12, temperature: 2, seed: 3, stop: [] })
  expect(drawn[0]).toEqual(alone)
  const streamed: number[] = []
  for await (const token of stream(model, sources[0] as number[], { maxTokens: 12, temperature: 2, seed: 3, stop: [] }))
    streamed.push(token)
  expect(streamed).toEqual(Array.from(alone as Int32Array))
})

test('logits with a cache are those of one pass', async () => {
  const model = await generator()
  const source = integers([[5, 3, 17, 2, 9, 1, 4]])
  const ids = [0, 3, 8, 21, 9, 14, 2, 2, 11, 7]
  const whole = (await model.forward(source, integers([ids])).data()) as Float32Array
  const cache = new KeyValueCache(model.cacheShape, 1, 16)
  const seen = model.read(source, tensor([[true, true, true, true, true, true, true]]))
  for (const [position, id] of ids.entries()) {
    const logits = (await model.write(integers([[id]]), seen, cache, integers([[position]])).data()) as Float32Array
    const expected = whole.subarray(position * 29, position * 29 + 29)
    expect(Math.max(...logits.map((x, i) => Math.abs(x - (expected[i] as number))))).toBeLessThan(1e-4)
  }
})

test("the decoder's tokens are the labels, one place later", async () => {
  const model = await generator()
  const shifted = model.shifted(
    integers([
      [5, 6, 1],
      [7, 1, -100],
    ]),
  )
  expect(Array.from((await shifted.data()) as Int32Array)).toEqual([0, 5, 6, 0, 7, 1])
})

test('distances share buckets as in the reference: exact, then logarithmic, then all in the last', () => {
  const far = [0, 1, 7, 8, 11, 12, 15, 16, 22, 23, 31, 32, 63, 64, 90, 91, 127, 128, 5000]
  // T5Attention._relative_position_bucket(distance, True, 32, 128) and (-distance, False, 32, 128).
  expect(far.map((x) => bucketOf(x, true, 32, 128))).toEqual([
    0, 17, 23, 24, 24, 25, 25, 26, 26, 27, 27, 28, 29, 30, 30, 31, 31, 31, 31,
  ])
  expect(far.map((x) => bucketOf(-x, false, 32, 128))).toEqual([
    0, 1, 7, 8, 11, 12, 15, 16, 18, 18, 21, 21, 26, 26, 29, 29, 31, 31, 31,
  ])
  expect(bucketOf(5, false, 32, 128)).toBe(0)
})

test('what can not be meant is refused', async () => {
  const model = await generator()
  await expect(generate(model, [[29]])).rejects.toThrow(/prompt 0 has number 29, and tokens are 0 to 28/)
  const bare = new T5Model(generation.config)
  await expect(generate(bare as never, [[2]])).rejects.toBeInstanceOf(ArgumentError)
  expect(() => new T5Model({ feed_forward_proj: 'gated-tanh' })).toThrow(/feed_forward_proj/)
  expect(() => new T5Model({ relative_attention_max_distance: 4 })).toThrow(/relative_attention_max_distance/)
})

test('old files: copies of the table, and a table of distances that nothing uses', async () => {
  const { config, weights, tokens, targets } = reference('tied')
  const state = weightsOf(weights)
  const { 'shared.weight': table, ...rest } = state
  const unused = { data: new Float32Array(32), shape: [8, 4], dtype: 'f32' as const }
  const name = 'decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight'
  const old = { ...rest, 'encoder.embed_tokens.weight': table, 'decoder.embed_tokens.weight': table, [name]: unused }
  const model = await fromPretrained<T5ForConditionalGeneration>(await folderOf(config, old as never))
  const same = await fromPretrained<T5ForConditionalGeneration>(await folderOf(config, state))
  const [a, b] = [model, same].map((one) => one.forward(integers(tokens), integers(targets)))
  expect(await (a as Tensor).data()).toEqual(await (b as Tensor).data())
})

test('a layer more than the config says is an error, not a shorter model', async () => {
  const { config, weights } = reference('tied')
  const folder = await folderOf(config, weightsOf(weights))
  for (const change of [{ num_decoder_layers: 1 }, { num_layers: 1, num_decoder_layers: config['num_decoder_layers'] }])
    await expect(fromPretrained(folder, { config: change })).rejects.toThrow(/unexpected:\n +(de|en)coder\.block\.1\./)
})

test('in bf16 it gives nearly the same, with a cache too', async () => {
  const { config, weights, tokens, targets, outputs } = reference('long')
  const model = await fromPretrained<T5ForConditionalGeneration>(await folderOf(config, weightsOf(weights)), {
    dtype: 'bf16',
  })
  const logits = (await cast(model.forward(integers(tokens), integers(targets)), 'f32').data()) as Float32Array
  // The first row, where every token is real.
  const expected = (outputs['logits'] as readonly number[]).slice(0, 6 * 29)
  expect(Math.max(...expected.map((x, i) => Math.abs(x - (logits[i] as number))))).toBeLessThan(0.05)
  const [made] = await generate(model, [[5, 3, 17]], { maxTokens: 3, stop: [] })
  expect(made).toHaveLength(3)
})
