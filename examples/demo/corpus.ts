// The demo's text: the type declarations that npm installed anyway, or any file, as bytes.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

export interface Corpus {
  readonly name: string
  readonly train: Uint8Array
  readonly validation: Uint8Array
}

/** Nine tenths of the text to learn from, in blocks spread over the whole; the tenth block of each ten to be judged by. */
export function splitText(name: string, text: Uint8Array, block = 4096): Corpus {
  const train: Uint8Array[] = []
  const validation: Uint8Array[] = []
  for (let i = 0, start = 0; start < text.length; i++, start += block) {
    ;(i % 10 === 9 ? validation : train).push(text.subarray(start, start + block))
  }
  return { name, train: Buffer.concat(train), validation: Buffer.concat(validation) }
}

/** Every file below a folder whose name ends so, in a stable order. */
export function readFiles(folder: string, end: string): Uint8Array {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith(end))
  return Buffer.concat(files.sort().map((file) => readFileSync(join(folder, file))))
}

/** Every declaration file below a folder. */
export const readDeclarations = (folder: string): Uint8Array => readFiles(folder, '.d.ts')

/** A batch of windows at random places: `batch` rows of `length + 1` bytes. */
export function drawWindows(
  text: Uint8Array,
  batch: number,
  length: number,
  random: () => number,
): { tokens: Int32Array; targets: Int32Array } {
  const tokens = new Int32Array(batch * length)
  const targets = new Int32Array(batch * length)
  for (let row = 0; row < batch; row++) {
    const start = Math.floor(random() * (text.length - length - 1))
    for (let i = 0; i < length; i++) {
      tokens[row * length + i] = text[start + i] as number
      targets[row * length + i] = text[start + i + 1] as number
    }
  }
  return { tokens, targets }
}
