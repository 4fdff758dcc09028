// References of small models that conformance/models/families.py has made with transformers and PyTorch.
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Shapes } from './weights.js'

export interface Reference {
  readonly config: Readonly<Record<string, unknown>>
  /** Names and shapes as transformers writes them. */
  readonly weights: Shapes
  readonly tokens: readonly (readonly number[])[]
  readonly mask: readonly (readonly number[])[]
  readonly tokenTypes?: readonly (readonly number[])[]
  /** Elements in order; 0 where a token only fills up its row. */
  readonly outputs: Readonly<Record<string, readonly number[]>>
  /** Of each parameter: the gradient's length, and its product with cos(1), cos(2), ... */
  readonly gradients: Readonly<Record<string, readonly [number, number]>>
}

const folder = fileURLToPath(new URL('reference', import.meta.url))

export const referenceNames = readdirSync(folder)
  .map((file) => file.replace('.json', ''))
  .filter((name) => name !== 'minilm' && name !== 'generation')

export const reference = (name: string): Reference =>
  JSON.parse(readFileSync(`${folder}/${name}.json`, 'utf8')) as Reference
