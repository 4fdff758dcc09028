// The code of docs/models.md runs, on small models in folders of the names that the page has.
import { access, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { runPage } from './page.js'
import { WORD_TOKENIZER } from './wordTokenizer.js'

// Stands before the page's code: the folders that a reader has downloaded.
const BEFORE = `
import { mkdir, writeFile } from 'node:fs/promises'
import { seed } from 'heddle'
import { BertModel, CLIPModel, GPT2LMHeadModel, ResNetForImageClassification, savePretrained, T5ForConditionalGeneration } from 'heddle/models'
${WORD_TOKENIZER}const files = {
  ...wordTokenizer,
  'modules.json': ['Transformer', 'Pooling', 'Normalize'].map((kind, i) => ({
    idx: i, name: String(i), path: kind === 'Pooling' ? '1_Pooling' : '', type: 'sentence_transformers.models.' + kind,
  })),
  '1_Pooling/config.json': { word_embedding_dimension: 32, pooling_mode_mean_tokens: true },
}
const small = { vocab_size: 8000, hidden_size: 32, num_hidden_layers: 2, num_attention_heads: 4, intermediate_size: 64 }
seed(1)
await savePretrained(new BertModel(small), 'all-MiniLM-L6-v2')
await savePretrained(new GPT2LMHeadModel({ vocab_size: words.length + 1, n_embd: 32, n_layer: 2, n_head: 4, n_positions: 64 }), 'gpt2')
const t5Config = { vocab_size: words.length + 1, d_model: 32, d_kv: 8, d_ff: 64, num_layers: 2, num_heads: 4 }
await savePretrained(new T5ForConditionalGeneration(t5Config), 't5-small')
const stages = { embedding_size: 8, hidden_sizes: [8, 16], depths: [1, 1], layer_type: 'basic' }
await savePretrained(new ResNetForImageClassification(stages), 'microsoft/resnet-18')
await writeFile(
  'microsoft/resnet-18/preprocessor_config.json',
  JSON.stringify({ image_processor_type: 'ConvNextImageProcessor', size: { shortest_edge: 32 }, crop_pct: 0.875 }),
)
const tower = { hidden_size: 32, num_hidden_layers: 1, num_attention_heads: 4, intermediate_size: 64 }
const vision = { ...tower, image_size: 32, patch_size: 16 }
await savePretrained(
  new CLIPModel({ text_config: { ...tower, vocab_size: 20, eos_token_id: 3 }, vision_config: vision }),
  'openai/clip-vit-base-patch32',
)
for (const folder of ['all-MiniLM-L6-v2', 'gpt2', 't5-small']) {
  await mkdir(folder + '/1_Pooling', { recursive: true })
  for (const [name, content] of Object.entries(files)) await writeFile(folder + '/' + name, JSON.stringify(content))
}
`

test('docs/models.md', { timeout: 120_000 }, async () => {
  const { folder, output } = await runPage('models.md', { before: BEFORE })
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  const similarity = Number(output.match(/^similarity (\S+)$/m)?.[1])
  expect(similarity).toBeGreaterThan(-1)
  expect(similarity).toBeLessThan(1)
  // Three labels, and weights that are nearly 0.
  expect(Number(output.match(/^loss (\S+)$/m)?.[1])).toBeCloseTo(Math.log(3), 1)
  expect(output).toMatch(/^beams \S+/m)
  // The stream's tokens, in a line with what is printed next.
  expect(output.match(/^(.*)summary/m)?.[1]?.split(' ').length).toBeGreaterThan(10)
  expect(Number(output.match(/^t5 loss (\S+)$/m)?.[1])).toBeGreaterThan(0)
  expect(output).toMatch(/^classes \[ 1, 5 \]$/m)
  expect(output).toMatch(/^images by texts \[ 2, 2 \]$/m)
  await access(join(folder, 'my-classifier/model.safetensors'))
})
