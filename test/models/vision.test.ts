// Every family of images: outputs and gradients against transformers, timm and PyTorch, and folders written back under their names.
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { cast, ShapeError, type Tensor, tensor, zeros } from '../../lib/index.js'
import { readSafetensors } from '../../lib/io/index.js'
import {
  ConvNextModel,
  fromPretrained,
  MobileNetV3,
  type PretrainedModel,
  ResNetForImageClassification,
  ResNetModel,
  savePretrained,
  ViTModel,
} from '../../lib/models/index.js'
import { temporaryFolder } from '../io/folder.js'
import { type Expected, expectNear, expectReference, expectWritten } from './compare.js'
import { folderOf, type Shapes, weight, weightsOf } from './weights.js'

interface Reference extends Expected {
  readonly config: Readonly<Record<string, unknown>>
  readonly weights: Shapes
  readonly images: readonly number[]
  readonly training: boolean
  /** Of a training model: its buffers afterwards. */
  readonly buffers?: Readonly<Record<string, readonly number[]>>
}

type Runs = PretrainedModel & { forward(images: Tensor): Tensor | Readonly<Record<string, Tensor>> }

const folder = fileURLToPath(new URL('reference/vision', import.meta.url))
const names = readdirSync(folder).map((file) => file.replace('.json', ''))
const reference = (name: string): Reference => JSON.parse(readFileSync(`${folder}/${name}.json`, 'utf8')) as Reference

const imagesOf = (shape: readonly number[]): Tensor =>
  tensor(
    weight('images', shape).map((x) => 4 * x),
    { shape },
  )

describe.each(names)('%s', (name) => {
  const found = reference(name)
  const state = weightsOf(found.weights)

  test('gives the outputs and gradients of the reference', async () => {
    const model = (await fromPretrained<Runs>(await folderOf(found.config, state))).train(found.training)
    const images = imagesOf(found.images)
    await expectReference(model, found, () => {
      const output = model.forward(images)
      return (output as Tensor).rank === undefined ? (output as Record<string, Tensor>) : { logits: output as Tensor }
    })
    if (!found.buffers) return
    const written = await temporaryFolder()
    await savePretrained(model, written)

    const after = await readSafetensors(written)
    for (const [key, expected] of Object.entries(found.buffers))
      expectNear(key, Array.from(after[key]?.data as Float32Array, Number), expected)
  })

  test('is written with the names, shapes and elements of the reference', async () => {
    const model = await fromPretrained<Runs>(await folderOf(found.config, state))
    const config = JSON.parse(await expectWritten(model, found.weights, state))
    // timm's folders name neither.
    const own = name.includes('mobilenet') ? config : { ...found.config, ...config }
    expect(config).toMatchObject(found.config)
    expect(own).toEqual(config)
  })
})

test('images of another shape, and configs that can not be meant, are refused', () => {
  const vit = new ViTModel({ ...reference('vit').config })
  expect(() => vit.forward(zeros([1, 3, 16, 24]))).toThrow(/it takes images \[B,3,16,16\], not \[1,3,16,24\]/)
  expect(() => vit.forward(zeros([1, 3, 16, 24]))).toThrow(ShapeError)
  expect(() => new ResNetModel({ hidden_sizes: [8, 16], depths: [1] })).toThrow(
    /depths in the config must be a list of 2/,
  )
  expect(() => new ResNetModel({ hidden_sizes: [8, 'x'] })).toThrow(
    /hidden_sizes in the config must be a list of integers/,
  )
  expect(() => new ConvNextModel({ num_stages: 3 })).toThrow(/num_stages/)
  expect(() => new ViTModel({ image_size: [16, 16, 16] })).toThrow(/an integer or a list \[height, width\]/)
  expect(() => new MobileNetV3({ architecture: 'mobilenetv3_rw' })).toThrow(/architecture in the config must be as/)
})

test('running statistics that a file lacks are an error; counts of batches are not', async () => {
  const { config, weights } = reference('resnet-classification')
  const { 'resnet.embedder.embedder.normalization.num_batches_tracked': _, ...older } = weightsOf(weights)
  await fromPretrained(await folderOf(config, older))
  const { 'resnet.embedder.embedder.normalization.running_mean': __, ...less } = older
  await expect(fromPretrained(await folderOf(config, less))).rejects.toThrow(
    /missing:\n {4}resnet.embedder.embedder.normalization.runningMean/,
  )
})

test('a new head for another number of classes', async () => {
  const { config, weights } = reference('mobilenetv3_small_050')
  const small = await fromPretrained<MobileNetV3>(await folderOf(config, weightsOf(weights)), {
    config: { num_classes: 3 },
    newWeights: 'classifier',
  })
  expect(small.forward(zeros([1, 3, 32, 32])).shape).toEqual([1, 3])
  expect(small.features(zeros([1, 3, 32, 32])).shape).toEqual([1, 1024])
  const bare = reference('resnet-classification')
  const resnet = await fromPretrained(await folderOf(bare.config, weightsOf(bare.weights)), {
    as: ResNetForImageClassification,
    config: { num_labels: 7 },
    newWeights: 'classifier',
  })
  expect(resnet.forward(zeros([1, 3, 32, 32])).shape).toEqual([1, 7])
})

test.each(['vit-classification', 'resnet-classification', 'convnext-classification', 'mobilenetv3_small_050'])(
  '%s in bf16 takes images of f32',
  async (name) => {
    const found = reference(name)
    const folder = await folderOf(found.config, weightsOf(found.weights))
    const model = await fromPretrained<Runs>(folder, { dtype: 'bf16' })
    const logits = model.forward(imagesOf(found.images)) as Tensor
    expect(logits.dtype).toBe('bf16')
    const data = (await cast(logits, 'f32').data()) as Float32Array
    const expected = found.outputs['logits'] as readonly number[]
    // Eight bits of precision through all layers.
    const largest = Math.max(...expected.map(Math.abs))
    expect(Math.max(...data.map((x, i) => Math.abs(x - (expected[i] as number))))).toBeLessThan(
      0.1 * Math.max(1, largest),
    )
  },
)
