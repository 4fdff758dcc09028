// The code of docs/lora.md and docs/fine-tune.md runs, on small models in folders of the names that the pages have.
import { access, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { runPage } from './page.js'
import { WORD_TOKENIZER } from './wordTokenizer.js'

// Stands before a page's code: the folders that a reader has downloaded.
const BEFORE = `
import { writeFile } from 'node:fs/promises'
import { seed } from 'heddle'
import { BertModel, GPT2LMHeadModel as Gpt2, savePretrained as save } from 'heddle/models'
${WORD_TOKENIZER}seed(1)
const size = { vocab_size: words.length + 1, hidden_size: 32, num_hidden_layers: 2, num_attention_heads: 4, intermediate_size: 64 }
await save(new BertModel(size), 'all-MiniLM-L6-v2')
await save(new Gpt2({ vocab_size: words.length + 1, n_embd: 32, n_layer: 2, n_head: 4, n_positions: 64, initializer_range: 0.2 }), 'gpt2')
for (const folder of ['all-MiniLM-L6-v2', 'gpt2'])
  for (const [name, content] of Object.entries(wordTokenizer)) await writeFile(folder + '/' + name, JSON.stringify(content))
`

test('docs/lora.md', { timeout: 120_000 }, async () => {
  const { folder, output } = await runPage('lora.md', { before: BEFORE })
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  const losses = [...output.matchAll(/^loss (\S+)$/gm)].map((match) => Number(match[1]))
  expect(losses[1]).toBeLessThan((losses[0] as number) - 0.3)
  expect(output).toMatch(/^Adapter default: 2 layers, 2048 parameters$/m)
  expect(output).toMatch(/^layers 6 2$/m)
  expect(output).toMatch(/^prompt \[ 4, 32 \]$/m)
  const config = JSON.parse(await readFile(join(folder, 'my-adapter/adapter_config.json'), 'utf8')) as object
  expect(config).toMatchObject({ peft_type: 'LORA', target_modules: ['c_attn'], fan_in_fan_out: true })
  await access(join(folder, 'my-prompt/adapter_model.safetensors'))
})

test('docs/fine-tune.md', { timeout: 120_000 }, async () => {
  const { folder, output } = await runPage('fine-tune.md', { before: BEFORE })
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  expect(output).toMatch(/^accuracy 1$/m)
  expect(output).toMatch(/^outputs 5$/m)
  expect(output).toMatch(/^adapted 2$/m)
  await access(join(folder, 'my-classifier/model.safetensors'))
})
