// CLIP: logits, loss and gradients against transformers, towers alone, and folders written back as transformers has them.
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { type Tensor, tensor } from '../../lib/index.js'
import {
  CLIPModel,
  CLIPTextModelWithProjection,
  CLIPVisionModelWithProjection,
  contrastiveLoss,
  fromPretrained,
  type PretrainedModel,
  savePretrained,
} from '../../lib/models/index.js'
import { temporaryFolder } from '../io/folder.js'
import { type Expected, expectReference, expectWritten } from './compare.js'
import { folderOf, type Shapes, weight, weightsOf } from './weights.js'

interface Reference extends Expected {
  readonly config: Readonly<Record<string, unknown>>
  readonly weights: Shapes
  readonly tokens?: readonly (readonly number[])[]
  readonly mask?: readonly (readonly number[])[]
  readonly images?: readonly number[]
}

const folder = fileURLToPath(new URL('reference/clip', import.meta.url))
const names = readdirSync(folder).map((file) => file.replace('.json', ''))
const reference = (name: string): Reference => JSON.parse(readFileSync(`${folder}/${name}.json`, 'utf8')) as Reference

const imagesOf = (shape: readonly number[] = []): Tensor =>
  tensor(
    weight('images', shape).map((x) => 4 * x),
    { shape },
  )
const integers = (rows: readonly (readonly number[])[] = []): Tensor => tensor(rows, { dtype: 'i32' })

/** What a model gives for the inputs of a reference. */
function run(
  model: PretrainedModel,
  { tokens, mask, images }: Reference,
): () => Readonly<Record<string, Tensor | undefined>> {
  const ids = tokens && integers(tokens)
  const real = mask && integers(mask)
  const pixels = images && imagesOf(images)
  return () => {
    if (model instanceof CLIPTextModelWithProjection) return { ...model.forward(ids as Tensor) } as never
    if (model instanceof CLIPVisionModelWithProjection) return { ...model.forward(pixels as Tensor) } as never
    const output = (model as CLIPModel).forward(ids as Tensor, pixels as Tensor, { mask: real })
    return { ...output, loss: contrastiveLoss(output) }
  }
}

describe.each(names)('%s', (name) => {
  const found = reference(name)
  const state = weightsOf(found.weights)

  test('gives the outputs and gradients of the reference', async () => {
    const model = await fromPretrained(await folderOf(found.config, state))
    await expectReference(model, found, run(model, found))
  })

  test('is written with the names, shapes and elements of transformers', async () => {
    const model = await fromPretrained(await folderOf(found.config, state))
    expect(JSON.parse(await expectWritten(model, found.weights, state))).toEqual(found.config)
  })
})

test('a tower alone comes from a folder of both, and from its own', async () => {
  const { config, weights, tokens } = reference('both')
  const source = await folderOf(config, weightsOf(weights))
  const both = await fromPretrained<CLIPModel>(source)
  const alone = await fromPretrained(source, { as: CLIPTextModelWithProjection })
  const expected = await both.textFeatures(integers(tokens)).data()
  expect(await alone.forward(integers(tokens)).embeddings.data()).toEqual(expected)
  const written = await temporaryFolder()
  await savePretrained(alone, written)
  const again = await fromPretrained<CLIPTextModelWithProjection>(written)
  expect(again).toBeInstanceOf(CLIPTextModelWithProjection)
  expect(await again.forward(integers(tokens)).embeddings.data()).toEqual(expected)
})

test('a layer more than the config says is an error, not a shorter tower', async () => {
  const { config, weights } = reference('both')
  const text = { ...(config['text_config'] as object), num_hidden_layers: 1 }
  const folder = await folderOf({ ...config, text_config: text }, weightsOf(weights))
  await expect(fromPretrained(folder)).rejects.toThrow(/unexpected:\n +text_model\.encoder\.layers\.1\./)
})

test('fresh weights: the scale of logits and the spread of embeddings are those of the config', async () => {
  const { config } = reference('both')
  const model = new CLIPModel(config)
  expect(await model.logit_scale.item()).toBeCloseTo(2.6592, 4)
  const data = (await model.text_model.embeddings.token_embedding.weight.data()) as Float32Array
  const spread = Math.sqrt(data.reduce((sum, x) => sum + x * x, 0) / data.length)
  expect(spread).toBeGreaterThan(0.015)
  expect(spread).toBeLessThan(0.025)
  expect(await model.vision_model.encoder.layers[0]?.self_attn.k_proj.bias?.data()).toEqual(new Float32Array(24))
  expect(await model.text_model.encoder.layers[0]?.layer_norm1.weight.data()).toEqual(new Float32Array(16).fill(1))
})
