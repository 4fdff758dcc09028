// References of small models that conformance/models/families.py has made with transformers and PyTorch.
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Expected } from './compare.js'
import type { Shapes } from './weights.js'

export interface Reference extends Expected {
  readonly config: Readonly<Record<string, unknown>>
  /** Names and shapes as transformers writes them. */
  readonly weights: Shapes
  readonly tokens: readonly (readonly number[])[]
  readonly mask: readonly (readonly number[])[]
  readonly tokenTypes?: readonly (readonly number[])[]
}

const folder = fileURLToPath(new URL('reference', import.meta.url))

export const referenceNames = readdirSync(folder)
  .filter((file) => file.endsWith('.json'))
  .map((file) => file.replace('.json', ''))
  .filter((name) => !['minilm', 'generation', 'processors'].includes(name))

export const reference = (name: string): Reference =>
  JSON.parse(readFileSync(`${folder}/${name}.json`, 'utf8')) as Reference
