// A language model of bytes that has read English learns TypeScript by low-rank adapters; with --full also what those save.
//   node dist/examples/lora.js [--full] [--json FILE]
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { crossEntropy, optim, schedule, seed, type Tensor, tensor } from '../lib/index.js'
import { fromPretrained, GPT2LMHeadModel, generate, savePretrained } from '../lib/models/index.js'
import { evaluate, train } from '../lib/train/index.js'
import { loadAdapter, lora, saveAdapter } from '../lib/transfer/index.js'
import { drawWindows, readFiles, splitText } from './demo/corpus.js'
import { generator } from './demo/random.js'
import { full, report } from './example.js'
import { measureGpt2 } from './lora/measure.js'

const root = fileURLToPath(new URL('../..', import.meta.url))
const english = splitText('docs', readFiles(join(root, 'docs'), '.md'))
const code = splitText('lib', readFiles(join(root, 'dist/lib'), '.d.ts'))
const shape = [8, full ? 128 : 64] as const
async function* batches(text: Uint8Array, count: number, random = generator(1)) {
  for (let i = 0; i < count; i++) {
    const { tokens, targets } = drawWindows(text, ...shape, random)
    yield { tokens: tensor(tokens, { shape }), targets: tensor(targets, { shape }) }
  }
}
const loss = (network: GPT2LMHeadModel, { tokens, targets }: { tokens: Tensor; targets: Tensor }) =>
  crossEntropy(network.forward(tokens).reshape(-1, network.vocabSize), targets.reshape(-1))
const learn = (network: GPT2LMHeadModel, text: Uint8Array, steps: number, peak: number) =>
  train(network, batches(text, steps), {
    loss,
    optimizer: (parameters) =>
      new optim.AdamW(parameters, { lr: schedule.warmupCosine({ peak, warmup: 20, total: steps }) }),
    epochs: 1,
    progress: false,
  })
/** The mean loss on TypeScript that was not learnt from. */
const judge = async (network: GPT2LMHeadModel): Promise<number> =>
  (await evaluate(network, batches(code.validation, 20, generator(2)), { loss })).loss

seed(1)
const folder = mkdtempSync(join(tmpdir(), 'heddle-lora-'))
const size = full ? { n_embd: 256, n_layer: 6, n_head: 8 } : { n_embd: 64, n_layer: 2, n_head: 4 }
const dropouts = { embd_pdrop: 0, attn_pdrop: 0, resid_pdrop: 0 }
const model = new GPT2LMHeadModel({ vocab_size: 256, n_positions: 256, ...size, ...dropouts })
await learn(model, english.train, full ? 1500 : 400, 3e-3)
await savePretrained(model, join(folder, 'model'))
const before = await judge(model)

const adapter = lora(model, { rank: 8, alpha: 16, targets: 'transformer.h' })
await learn(model, code.train, full ? 1000 : 300, 1e-2)
const adapted = await judge(model)
await saveAdapter(adapter, join(folder, 'adapter'), { taskType: 'CAUSAL_LM' })

const again = await fromPretrained(join(folder, 'model'), { as: GPT2LMHeadModel })
const loaded = await loadAdapter(again, join(folder, 'adapter'))
loaded.merge().remove()
const merged = await judge(again)
const [made] = await generate(again, [Buffer.from('export declare ')], { maxTokens: 160, temperature: 0.5, seed: 1 })

const gpt2 = full ? await measureGpt2(folder) : undefined
rmSync(folder, { recursive: true })
const [trained, frozen] = [true, false].map((trainable) =>
  model.parameters({ trainable }).reduce((sum, parameter) => sum + parameter.size, 0),
)
report({
  before,
  adapted,
  merged,
  trained,
  frozen,
  text: Buffer.from(made ?? []).toString(),
  ...(gpt2 ? { gpt2 } : {}),
})
