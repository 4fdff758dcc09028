// Images as transformers' and timm's processors make them, to the last bit of their pixels.
import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { HostArray } from '../../lib/data/index.js'
import { ArgumentError, PretrainedError } from '../../lib/index.js'
import { ImageProcessor } from '../../lib/models/index.js'
import { temporaryFolder } from '../io/folder.js'
import { weight } from './weights.js'

interface Case {
  readonly file: string
  readonly config: object
  readonly shape: readonly number[]
  readonly pixels: readonly number[]
}

const { image: extents, cases } = JSON.parse(
  readFileSync(new URL('reference/processors.json', import.meta.url), 'utf8'),
) as { readonly image: readonly number[]; readonly cases: Readonly<Record<string, Case>> }

const image: HostArray = {
  data: Uint8Array.from(weight('pixels', extents), (x) => Math.min(255, Math.max(0, Math.floor((x * 2 + 0.5) * 256)))),
  shape: extents,
  dtype: 'u8',
}

async function processorOf(file: string, config: object): Promise<ImageProcessor> {
  const folder = await temporaryFolder()
  await writeFile(join(folder, file), JSON.stringify(config))
  return ImageProcessor.fromPretrained(folder)
}

test.each(Object.entries(cases))('%s', async (_, { file, config, shape, pixels }) => {
  const processor = await processorOf(file, config)
  const found = processor.process(image)
  expect(found.shape).toEqual(shape)
  // A pixel that is off by one would differ by 1/255 and more.
  const worst = Math.max(...found.data.map((x, i) => Math.abs(x - (pixels[i] as number))))
  expect(worst).toBeLessThan(1e-5)
  const batch = processor.batch([image, image])
  expect(batch.shape).toEqual([2, ...shape])
})

test('old files give one number for a size', async () => {
  const vit = await processorOf('preprocessor_config.json', { feature_extractor_type: 'ViTFeatureExtractor', size: 8 })
  expect(vit.process(image).shape).toEqual([3, 8, 8])
  const clip = { feature_extractor_type: 'CLIPFeatureExtractor', size: 8, crop_size: 6 }
  expect((await processorOf('preprocessor_config.json', clip)).process(image).shape).toEqual([3, 6, 6])
})

test('what can not be meant is refused', async () => {
  const refused = async (config: object, message: RegExp): Promise<void> => {
    const run = processorOf('preprocessor_config.json', config)
    await expect(run).rejects.toThrow(message)
    await expect(run).rejects.toBeInstanceOf(PretrainedError)
  }
  await refused({ size: { longest_edge: 3 } }, /size in the config must be a number/)
  await refused({ size: 8, image_mean: [1, 2] }, /image_mean in the config must be a list of three numbers/)
  await refused({ size: 8, resample: 9 }, /resample/)
  await expect(processorOf('config.json', {})).rejects.toThrow(/has no preprocessor_config.json/)
  const plain = new ImageProcessor({})
  expect(() => plain.process({ ...image, shape: [1, 3, 567] })).toThrow(ArgumentError)
  const other = { data: new Uint8Array(12), shape: [3, 2, 2], dtype: 'u8' as const }
  expect(() => plain.batch([image, other])).toThrow(/images come out as \[3,21,27\] and \[3,2,2\]; they need one size/)
  expect(() => plain.batch([])).toThrow(/there is no image/)
})
