// Images: decoding by sharp, folders, and what augmentation does to pixels.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  autoContrast,
  brightness,
  centerCrop,
  collate,
  colorJitter,
  compose,
  contrast,
  crop,
  cutmix,
  DataError,
  DataLoader,
  decodeImage,
  equalize,
  flip,
  type HostArray,
  hue,
  type Image,
  type ImageTransform,
  imageFolder,
  mixup,
  normalize,
  posterize,
  Random,
  randAugment,
  randomCrop,
  randomErasing,
  randomFlip,
  randomResizedCrop,
  randomRotation,
  resize,
  rotate,
  saturation,
  sharpness,
  solarize,
  split,
} from '../../lib/data/index.js'

const image = (rows: readonly (readonly number[])[]): Image => ({
  data: Uint8Array.from(rows.flat()),
  shape: [1, rows.length, (rows[0] as number[]).length],
  dtype: 'u8',
})
const rowsOf = ({ data, shape }: HostArray): number[][] =>
  Array.from(
    { length: shape[1] as number },
    (_, y) => [...data.subarray(y * (shape[2] as number), (y + 1) * (shape[2] as number))] as number[],
  )
const pixel = (...rgb: number[]): Image => ({ data: Uint8Array.from(rgb), shape: [3, 1, 1], dtype: 'u8' })
const noise = (height: number, width: number, seed = 1): Image => {
  const random = new Random(seed)
  return {
    data: Uint8Array.from({ length: 3 * height * width }, () => random.integer(256)),
    shape: [3, height, width],
    dtype: 'u8',
  }
}
const asFloats = ({ data, shape }: Image): Image => ({
  data: Float32Array.from(data, (x) => x / 255),
  shape,
  dtype: 'f32',
})

const small = image([
  [1, 2, 3],
  [4, 5, 6],
])

describe('geometry', () => {
  it('crops, also outside of the image', () => {
    expect(rowsOf(crop(small, { top: 1, left: 1, height: 1, width: 2 }))).toEqual([[5, 6]])
    expect(rowsOf(crop(small, { top: -1, left: -1, height: 4, width: 3, fill: 9 }))).toEqual([
      [9, 9, 9],
      [9, 1, 2],
      [9, 4, 5],
      [9, 9, 9],
    ])
    expect(rowsOf(crop(small, { top: 5, left: 5, height: 1, width: 1 }))).toEqual([[0]])
    expect(rowsOf(centerCrop({ height: 2, width: 1 })(small, new Random(0)))).toEqual([[2], [5]])
  })

  it('flips and turns', () => {
    expect(rowsOf(flip(small, 'horizontal'))).toEqual([
      [3, 2, 1],
      [6, 5, 4],
    ])
    expect(rowsOf(flip(small, 'vertical'))).toEqual([
      [4, 5, 6],
      [1, 2, 3],
    ])
    const square = image([
      [1, 2],
      [3, 4],
    ])
    expect(rowsOf(rotate(square, 90))).toEqual([
      [2, 4],
      [1, 3],
    ])
    expect(rowsOf(rotate(square, 180))).toEqual([
      [4, 3],
      [2, 1],
    ])
    expect(rowsOf(rotate(square, 0))).toEqual([
      [1, 2],
      [3, 4],
    ])
    const dot = image(
      Array.from({ length: 9 }, (_, y) => Array.from({ length: 9 }, (_, x) => (y === 4 && x === 8 ? 200 : 0))),
    )
    // An eighth of a turn counterclockwise takes what is right of the middle up and to the right.
    const turned = rowsOf(rotate(dot, 45))
    expect(turned[1]?.[7]).toBeGreaterThan(100)
  })

  it('resizes bilinearly', () => {
    expect(rowsOf(resize({ height: 1, width: 2 })(image([[0, 100]]), new Random(0)))).toEqual([[0, 100]])
    expect(rowsOf(resize({ height: 1, width: 4 })(image([[0, 100]]), new Random(0)))).toEqual([[0, 25, 75, 100]])
  })

  it('crops at random within the image and its padding', () => {
    const random = new Random(3)
    const seen = new Set<number>()
    for (let i = 0; i < 200; i++) {
      const [[value]] = rowsOf(randomCrop({ height: 1, width: 1, padding: 1 })(small, random)) as [[number]]
      seen.add(value)
    }
    expect([...seen].sort()).toEqual([0, 1, 2, 3, 4, 5, 6])
    expect(() => randomCrop({ height: 3, width: 3 })(small, random)).toThrow('is smaller than 3 x 3')
    const half = randomFlip()
    const flipped = Array.from({ length: 400 }, () => half(small, random).data[0] === 3).filter(Boolean).length
    expect(Math.abs(flipped - 200)).toBeLessThan(50)
  })
})

describe('colours', () => {
  it('change as they are defined', () => {
    expect([...brightness(pixel(10, 200, 30), 1.5).data]).toEqual([15, 255, 45])
    expect([...contrast(image([[0, 100]]), 0).data]).toEqual([50, 50])
    expect([...contrast(image([[0, 100]]), 0.5).data]).toEqual([25, 75])
    const grey = Math.round(0.299 * 10 + 0.587 * 200 + 0.114 * 30)
    expect([...saturation(pixel(10, 200, 30), 0).data]).toEqual([grey, grey, grey])
    expect([...hue(pixel(255, 0, 0), 1 / 3).data]).toEqual([0, 255, 0])
    expect([...hue(pixel(255, 0, 0), -1 / 3).data]).toEqual([0, 0, 255])
    expect([...hue(pixel(12, 200, 90), 0).data]).toEqual([12, 200, 90])
    expect([...solarize(pixel(10, 128, 255), 0.5).data]).toEqual([10, 127, 0])
    expect([...posterize(pixel(255, 127, 64), 1).data]).toEqual([128, 0, 0])
    expect([...autoContrast(image([[50, 100, 150]])).data]).toEqual([0, 128, 255])
    expect([...equalize(image([[0, 0, 255, 255]])).data]).toEqual([0, 0, 255, 255])
    expect([
      ...sharpness(
        image([
          [0, 0, 0],
          [0, 13, 0],
          [0, 0, 0],
        ]),
        0,
      ).data,
    ]).toEqual([0, 0, 0, 0, 5, 0, 0, 0, 0])
  })

  it('are the same on floats from 0 to 1, but for rounding', () => {
    const source = noise(5, 7)
    const changes: ((one: Image) => Image)[] = [
      (one) => brightness(one, 1.3),
      (one) => contrast(one, 0.4),
      (one) => saturation(one, 2),
      (one) => hue(one, 0.2),
      (one) => sharpness(one, 1.8),
      (one) => rotate(one, 20),
      (one) => resize({ height: 8, width: 3 })(one, new Random(0)),
    ]
    for (const change of changes) {
      const [bytes, floats] = [change(source), change(asFloats(source))]
      const far = bytes.data.findIndex((value, i) => Math.abs(value - (floats.data[i] as number) * 255) > 0.51)
      expect(far).toBe(-1)
    }
  })

  it('are normalised per channel', () => {
    const { data, dtype } = normalize({ mean: [0, 0.5, 1], std: [1, 0.5, 2] })(pixel(255, 255, 255))
    expect([...data]).toEqual([1, 1, 0])
    expect(dtype).toBe('f32')
    expect(() => normalize({ mean: [0], std: [1] })(pixel(1, 2, 3))).toThrow('the image has 3 channels')
  })
})

describe('augmentation', () => {
  const all: [string, ImageTransform][] = [
    ['randomCrop', randomCrop({ height: 12, width: 12, padding: 2 })],
    ['randomResizedCrop', randomResizedCrop({ height: 9, width: 11 })],
    ['randomFlip', randomFlip({ horizontal: 0.5, vertical: 0.5 })],
    ['randomRotation', randomRotation({ degrees: 30, fill: 7 })],
    ['colorJitter', colorJitter({ brightness: 0.4, contrast: 0.4, saturation: 0.4, hue: 0.1 })],
    ['randomErasing', randomErasing({ probability: 1, value: 'random' })],
    ['randAugment', randAugment({ operations: 3, magnitude: 15 })],
  ]
  it.each([...all, ['all of them', compose(...all.map(([, transform]) => transform))] as const])(
    'by %s depends on its random numbers alone and leaves the image as it was',
    (_, transform) => {
      const source = noise(14, 16)
      const before = source.data.slice()
      const draw = (index: number) => transform(source, new Random(1, 'sample', { epoch: 2, index }))
      const made = Array.from({ length: 30 }, (_, i) => draw(i))
      expect(source.data).toEqual(before)
      expect(Array.from({ length: 30 }, (_, i) => draw(i))).toEqual(made)
      expect(new Set(made.map(({ data }) => data.join())).size).toBeGreaterThan(2)
      for (const { data, shape } of made) expect(data).toHaveLength(shape.reduce((a, b) => a * b))
    },
  )

  it('erases one rectangle of the area asked for', () => {
    const white: Image = { data: new Uint8Array(400).fill(255), shape: [1, 20, 20], dtype: 'u8' }
    for (let index = 0; index < 20; index++) {
      const gone = randomErasing({ probability: 1, area: [0.1, 0.2], ratio: [0.5, 2] })(
        white,
        new Random(0, 'sample', { index }),
      ).data.filter((x) => x === 0).length
      // The sides are rounded.
      expect(gone).toBeGreaterThan(400 * 0.1 * 0.8)
      expect(gone).toBeLessThan(400 * 0.2 * 1.2)
    }
  })

  it('mixes images and labels in the same proportion', () => {
    const random = new Random(4)
    const samples = Array.from({ length: 6 }, (_, i) => ({
      image: { data: new Float32Array(100).fill(i), shape: [1, 10, 10], dtype: 'f32' as const },
      label: { data: Int32Array.of(i), shape: [], dtype: 'i32' as const },
      name: `${i}`,
    }))
    for (const mix of [mixup, cutmix]) {
      const batch = collate(samples)
      const mixed = mix(batch, { classes: 6, alpha: 1 }, random) as {
        image: HostArray
        label: HostArray
        name: string[]
      }
      expect(mixed.name).toEqual(batch['name'])
      expect(mixed.label.shape).toEqual([6, 6])
      for (let i = 0; i < 6; i++) {
        const label = [...mixed.label.data.subarray(i * 6, i * 6 + 6)] as number[]
        const pixels = [...mixed.image.data.subarray(i * 100, i * 100 + 100)] as number[]
        expect(label.reduce((a, b) => a + b)).toBeCloseTo(1, 5)
        expect(pixels.reduce((a, b) => a + b) / 100).toBeCloseTo(
          label.reduce((sum, share, at) => sum + share * at, 0),
          4,
        )
      }
    }
    expect(() => mixup(collate(samples), { classes: 3 }, random)).toThrow(
      'the label 3 of sample 3 of the batch is no class from 0 to 2',
    )
    expect(() => mixup(collate(samples), { classes: 6, image: 'picture' }, random)).toThrow("no array 'picture'")
  })

  it('says what is no image', () => {
    const wrong = { data: new Uint8Array(4), shape: [2, 2], dtype: 'u8' as const }
    expect(() => flip(wrong, 'vertical')).toThrow('not u8[2,2] with 4 elements')
  })
})

describe('files', () => {
  const folder = mkdtempSync(join(tmpdir(), 'heddle-'))
  afterAll(() => rmSync(folder, { recursive: true }))
  const png = (width: number, height: number, color: { r: number; g: number; b: number }) =>
    sharp({ create: { width, height, channels: 3, background: color } })
      .png()
      .toBuffer()

  beforeAll(async () => {
    for (const [name, color] of [
      ['cats', { r: 255, g: 0, b: 10 }],
      ['dogs', { r: 0, g: 255, b: 20 }],
    ] as const) {
      mkdirSync(join(folder, 'pets', name), { recursive: true })
      for (let i = 0; i < 3; i++) writeFileSync(join(folder, 'pets', name, `${i}.png`), await png(6 + i, 4, color))
      writeFileSync(join(folder, 'pets', name, 'notes.txt'), 'no image')
    }
    mkdirSync(join(folder, 'pets', 'empty'))
  })

  it('are decoded as planes', async () => {
    const bytes = await sharp(Uint8Array.of(1, 2, 3, 4, 5, 6), { raw: { width: 2, height: 1, channels: 3 } })
      .png()
      .toBuffer()
    expect(await decodeImage(bytes)).toEqual({ data: Uint8Array.of(1, 4, 2, 5, 3, 6), shape: [3, 1, 2], dtype: 'u8' })
    expect((await decodeImage(bytes, { channels: 4 })).data).toEqual(Uint8Array.of(1, 4, 2, 5, 3, 6, 255, 255))
    expect((await decodeImage(bytes, { channels: 1 })).shape).toEqual([1, 1, 2])
    const red = await png(8, 4, { r: 255, g: 0, b: 0 })
    expect((await decodeImage(red, { width: 2, height: 2 })).data).toEqual(
      Uint8Array.of(255, 255, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0),
    )
    expect((await decodeImage(red, { width: 4 })).shape).toEqual([3, 2, 4])
    expect((await decodeImage(red, { width: 4, height: 4, fit: 'contain' })).data.subarray(0, 16)).toEqual(
      Uint8Array.of(0, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 0),
    )
    const grey = await sharp(Uint8Array.of(7, 9), { raw: { width: 2, height: 1, channels: 1 } })
      .png()
      .toBuffer()
    expect((await decodeImage(grey)).data).toEqual(Uint8Array.of(7, 9, 7, 9, 7, 9))
  })

  it('that are broken, missing or too large are typed errors', async () => {
    const failure = async (source: string | Uint8Array, options = {}) => {
      const error = await decodeImage(source, options).catch((error) => error)
      expect(error).toBeInstanceOf(DataError)
      return error
    }
    const red = await png(100, 100, { r: 1, g: 2, b: 3 })
    expect(await failure(Uint8Array.of(1, 2, 3))).toMatchObject({ code: 'malformed' })
    expect(await failure(red.subarray(0, red.length - 30))).toMatchObject({ code: 'malformed' })
    expect(await failure(red, { maxPixels: 9999 })).toMatchObject({ code: 'tooLarge' })
    expect(await failure(join(folder, 'none.png'))).toMatchObject({
      code: 'unreadable',
      file: join(folder, 'none.png'),
    })
    await expect(decodeImage(red, { channels: 2 as 1 })).rejects.toThrow('channels must be 1, 3 or 4')
  })

  it('in folders are a dataset with classes, that can be split and loaded', async () => {
    const pets = await imageFolder(join(folder, 'pets'), { width: 4, height: 4 })
    expect(pets.classes).toEqual(['cats', 'dogs'])
    expect(pets.labels).toEqual([0, 0, 0, 1, 1, 1])
    const { train } = split(pets, { train: 2 / 3, test: 1 / 3 }, { stratify: pets.labels })
    const augment = compose(randomFlip(), randomCrop({ height: 4, width: 4, padding: 1 }))
    const samples = train.map(({ image, label }, { random }) => ({ image: augment(image, random), label }))
    for await (const { image, label } of new DataLoader(samples, { batchSize: 4, shuffle: true })) {
      expect(String(image)).toMatch('u8[4,3,4,4]')
      expect([...((await label.array()) as number[])].sort()).toEqual([0, 0, 1, 1])
    }
    await expect(imageFolder(join(folder, 'nowhere'))).rejects.toMatchObject({ code: 'unreadable' })
    await expect(imageFolder(join(folder, 'pets', 'cats'))).rejects.toThrow('has no subfolders with images')
  })
})
