// Generation: sequences against transformers, the cache against a pass without it, sampling, streaming, stopping.
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { Random } from '../../lib/data/index.js'
import { ArgumentError, arange, compile, seed, type Tensor, tensor } from '../../lib/index.js'
import {
  type CausalLanguageModel,
  fromPretrained,
  GPT2LMHeadModel,
  generate,
  KeyValueCache,
  type LlamaForCausalLM,
  stream,
} from '../../lib/models/index.js'
import { sampleToken } from '../../lib/models/sampling.js'
import { folderOf, type Shapes, weight } from './weights.js'

interface Run {
  readonly prompt: readonly number[]
  readonly options: { readonly num_beams?: number; readonly length_penalty?: number }
  readonly eos: number
  readonly tokens: readonly number[]
}

interface Reference {
  readonly config: Readonly<Record<string, unknown>>
  readonly weights: Shapes
  readonly runs: readonly Run[]
}

const references = JSON.parse(readFileSync(new URL('reference/generation.json', import.meta.url), 'utf8')) as Readonly<
  Record<string, Reference>
>

async function modelOf(name: string): Promise<CausalLanguageModel> {
  const { config, weights } = references[name] as Reference
  const state = Object.fromEntries(
    Object.entries(weights).map(([key, shape]) => [
      key,
      { data: weight(key, shape).map((x) => 2 * x), shape, dtype: 'f32' as const },
    ]),
  )
  return fromPretrained<CausalLanguageModel>(await folderOf(config, state))
}

describe.each(Object.keys(references))('%s', (name) => {
  test('generates what transformers generates, greedily and by beams', async () => {
    const model = await modelOf(name)
    for (const { prompt, options, eos, tokens } of (references[name] as Reference).runs) {
      const { num_beams: beams = 1, length_penalty: lengthPenalty = 1 } = options
      const [made] = await generate(model, [prompt], { maxTokens: 20, beams, lengthPenalty, stop: [eos] })
      expect(Array.from(made as Int32Array), JSON.stringify({ prompt, options, eos })).toEqual(tokens)
    }
  })

  test('prompts of several lengths in one batch give what each gives alone', async () => {
    const model = await modelOf(name)
    const { runs } = references[name] as Reference
    for (const options of [{}, { num_beams: 3 }]) {
      const same = runs.filter((run) => run.eos === 9 && JSON.stringify(run.options) === JSON.stringify(options))
      const beams = options.num_beams ?? 1
      const made = await generate(
        model,
        same.map(({ prompt }) => prompt),
        { maxTokens: 20, beams, stop: [9] },
      )
      expect(made.map((row) => Array.from(row))).toEqual(same.map(({ tokens }) => tokens))
    }
  })

  test('logits with a cache are those of one pass, whatever the pieces', async () => {
    const model = await modelOf(name)
    const ids = [5, 3, 17, 2, 9, 28, 11, 7, 4, 21]
    const whole = (await model.forward(tensor([ids], { dtype: 'i32' })).data()) as Float32Array
    for (const pieces of [[10], [1, 1, 1, 1, 1, 1, 1, 1, 1, 1], [4, 1, 3, 2]]) {
      const cache = new KeyValueCache(model.cacheShape, 1, 16)
      const beyond = model.forward(tensor([[1]], { dtype: 'i32' }), { cache, positions: arange(16, 17) })
      await expect(beyond.data()).rejects.toThrow(/16/)
      let start = 0
      for (const length of pieces) {
        const tokens = tensor([ids.slice(start, start + length)], { dtype: 'i32' })
        const positions = arange(start, start + length)
        const logits = (await model.forward(tokens, { cache, positions }).data()) as Float32Array
        const expected = whole.subarray(start * model.vocabSize, (start + length) * model.vocabSize)
        const error = Math.max(...logits.map((x, i) => Math.abs(x - (expected[i] as number))))
        expect(error, `tokens ${start} to ${start + length}`).toBeLessThan(1e-4)
        start += length
      }
    }
  })
})

const small = { vocab_size: 40, n_embd: 32, n_layer: 2, n_head: 4, n_positions: 96, eos_token_id: null }

test('a position beyond the cache changes nothing in it, in no layer', async () => {
  const model = new GPT2LMHeadModel({ ...small, n_positions: 4096 }).eval()
  const cache = new KeyValueCache(model.cacheShape, 1, 4096)
  const step = compile((tokens: Tensor, positions: Tensor) => model.forward(tokens, { cache, positions }))
  const one = (n: number): Tensor => tensor([[n]], { dtype: 'i32' })
  await step(one(3), one(0))
  const keys = await Promise.all(cache.keys.map((cell) => cell.data()))
  const failed = await step(one(7), one(4096))
  await expect(failed.data()).rejects.toThrow(/4096/)
  expect(await Promise.all(cache.keys.map((cell) => cell.data()))).toEqual(keys)
})

test('a stream gives the tokens as they are made, and ends when it is left', async () => {
  const model = await modelOf('gpt2')
  const [all] = await generate(model, [[5, 3]], { maxTokens: 12, stop: [] })
  const streamed: number[] = []
  for await (const token of stream(model, [5, 3], { maxTokens: 12, stop: [] })) streamed.push(token)
  expect(streamed).toEqual(Array.from(all as Int32Array))
  const few: number[] = []
  for await (const token of stream(model, [5, 3], { maxTokens: 12, stop: [] })) if (few.push(token) === 3) break
  expect(few).toEqual(streamed.slice(0, 3))
})

test('equal seeds draw equal tokens, whatever else is in the batch', async () => {
  seed(4)
  const model = new GPT2LMHeadModel(small).eval()
  const options = { maxTokens: 30, temperature: 1.5, seed: 7 }
  const [alone] = await generate(model, [[1, 2, 3]], options)
  const [first, second] = await generate(model, [[1, 2, 3], [9]], options)
  expect(first).toEqual(alone)
  expect(second).not.toEqual(first)
  const [other] = await generate(model, [[1, 2, 3]], { ...options, seed: 8 })
  expect(other).not.toEqual(alone)
})

test('weights that are changed count at the next generation', async () => {
  const model = (await modelOf('llama')) as LlamaForCausalLM
  const before = await generate(model, [[1, 2]], { maxTokens: 10, stop: [] })
  const weights = model.model.embed_tokens.weight
  const data = (await weights.data()) as Float32Array
  weights.write(data.map((_, i) => data[(i + 16) % data.length] as number))
  expect(await generate(model, [[1, 2]], { maxTokens: 10, stop: [] })).not.toEqual(before)
})

test('top-k and top-p draw from what they leave, as often as it is likely', () => {
  const probabilities = [0.1, 0.4, 0.05, 0.3, 0.15]
  const logits = Float32Array.from(probabilities, Math.log)
  const random = new Random(3)
  const shares = (options: { temperature?: number; topK?: number; topP?: number }): number[] => {
    const counts = [0, 0, 0, 0, 0]
    const full = { temperature: 1, topK: Number.POSITIVE_INFINITY, topP: 1, ...options }
    for (let i = 0; i < 20_000; i++) (counts[sampleToken(logits, full, random)] as number)++
    return counts.map((count) => count / 20_000)
  }
  const near = (found: readonly number[], expected: readonly number[]): void => {
    const total = expected.reduce((sum, x) => sum + x, 0)
    // Five standard deviations.
    found.forEach((share, i) => expect(Math.abs(share - (expected[i] as number) / total)).toBeLessThan(0.018))
    expected.forEach((weight, i) => weight === 0 && expect(found[i]).toBe(0))
  }
  near(shares({}), probabilities)
  near(shares({ topK: 2 }), [0, 0.4, 0, 0.3, 0])
  near(shares({ topP: 0.7 }), [0, 0.4, 0, 0.3, 0])
  near(shares({ topP: 0.71 }), [0, 0.4, 0, 0.3, 0.15])
  near(shares({ topP: 0.01 }), [0, 1, 0, 0, 0])
  near(
    shares({ temperature: 0.5 }),
    probabilities.map((p) => p * p),
  )
  near(shares({ temperature: 0 }), [0, 1, 0, 0, 0])
  near(shares({ topK: 4, topP: 0.8 }), [0, 0.4, 0, 0.3, 0.15])
})

test('what can not be meant is refused, and a signal ends it', async () => {
  const model = new GPT2LMHeadModel(small).eval()
  const refused = async (prompts: number[][], options: object, message: RegExp): Promise<void> => {
    await expect(generate(model, prompts, options)).rejects.toThrow(message)
    await expect(generate(model, prompts, options)).rejects.toBeInstanceOf(ArgumentError)
  }
  await refused([], {}, /there is no prompt/)
  await refused([[]], {}, /prompt 0 is an array, not a list of at least one token/)
  await refused([[1], [40]], {}, /prompt 1 has number 40, and tokens are 0 to 39/)
  await refused([[1, 2]], { maxTokens: 95 }, /a prompt of 2 tokens and 95 more are 97, and the model takes 96/)
  await refused([[1]], { temperature: -1 }, /temperature/)
  await refused([[1]], { topP: 0 }, /topP/)
  await refused([[1]], { topK: 0 }, /topK/)
  await refused([[1]], { beams: 2, temperature: 1 }, /beams are not drawn/)
  await refused([[1]], { beams: 21 }, /more than half of 40 tokens/)
  const control = new AbortController()
  const made: number[] = []
  const run = async (): Promise<void> => {
    for await (const token of stream(model, [1], { signal: control.signal }))
      if (made.push(token) === 2) control.abort()
  }
  await expect(run()).rejects.toThrow(/abort/)
  expect(made).toHaveLength(2)
  await expect(generate(model, [[1]], { beams: 2, signal: control.signal })).rejects.toThrow(/abort/)
})
