// Text token by token: with a key-value cache a token costs the same wherever it stands; without one the whole text each time.
//   node dist/examples/generate.js [--full] [--json F]; --full: GPT-2's 124 million parameters (random), 512 positions.
import { performance } from 'node:perf_hooks'
import { compile, seed, type Tensor, tensor } from '../lib/index.js'
import { GPT2LMHeadModel, generate, stream } from '../lib/models/index.js'
import { full, report } from './example.js'

const LENGTH = full ? 512 : 96
const STEPS = full ? 64 : 16
const small = { vocab_size: 500, n_embd: 96, n_layer: 3, n_head: 4, n_positions: 128 }

seed(1)
const model = new GPT2LMHeadModel({ ...(full ? {} : small), eos_token_id: null }).eval()
const prompt = [17, 42, 7, 99]
const options = { maxTokens: LENGTH - prompt.length }

const median = (times: readonly number[]): number => times.toSorted((a, b) => a - b)[times.length >> 1] as number

// Once for a few tokens, so that nothing below waits for a compiler: the decoder is kept for the next generation.
let begun = 0
for await (const _ of stream(model, prompt, options)) if (++begun === 8) break

const made: number[] = []
const times: number[] = []
let last = performance.now()
for await (const token of stream(model, prompt, options)) {
  const now = performance.now()
  times.push(now - last)
  last = now
  made.push(token)
  if (made.length <= 24) process.stdout.write(`${token} `)
}
console.log('...')

// Without a cache: all tokens again for the next one, in a row of the full length.
const whole = compile((tokens: Tensor, at: Tensor) => model.forward(tokens, { at }), { name: 'without a cache' })
const row = new Int32Array(LENGTH)
const text = [...prompt, ...made]
let same = 0
const slow: number[] = []
const places = [1, 2, 3, 4, 5, 6, 7].map((i) => Math.floor((i * (LENGTH - 1)) / 7))
for (const end of [places[0] as number, ...places]) {
  row.fill(0)
  row.set(text.slice(0, end))
  const start = performance.now()
  using tokens = tensor(row, { shape: [1, LENGTH] })
  using at = tensor(Int32Array.of(end - 1))
  using logits = await whole(tokens, at)
  const data = (await logits.data()) as Float32Array
  slow.push(performance.now() - start)
  if (data.indexOf(data.reduce((a, b) => Math.max(a, b))) === text[end]) same++
}

const [drawn] = await generate(model, [prompt], { ...options, maxTokens: 12, temperature: 0.8, topK: 50, seed: 2 })
const [first, end] = [median(times.slice(1, STEPS + 1)), median(times.slice(-STEPS))]
report({
  parameters: model.parameters().reduce((sum, { size }) => sum + size, 0),
  positions: LENGTH,
  'ms a token, first steps': first,
  'ms a token, last steps': end,
  'last by first': end / first,
  'ms a token without a cache': median(slow.slice(1)),
  'same token without a cache': same / slow.length,
  drawn: Array.from(drawn as Int32Array),
})
