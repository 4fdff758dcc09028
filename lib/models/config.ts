// A model's config.json: Hugging Face's names, each value checked where it is read.
import { clip, isRecord, parseJson } from '../io/json.js'
import { readText } from '../io/shardIndex.js'
import { FormatError, PretrainedError } from '../runtime/errors.js'
import { describe } from '../schema/describe.js'

/** A model's configuration under Hugging Face's names, as config.json has it. What is left out has transformers' default. */
export type ModelConfig = Readonly<Record<string, unknown>>

/** Bytes a config may have: one with the names of 100,000 labels has less. */
const MOST_BYTES = 16_000_000
/** What no extent of a model exceeds. */
const MOST_EXTENT = 2 ** 24
const MOST_LAYERS = 10_000

/** Reads the values of a config. Each method throws `PretrainedError` for a value that can not be meant. */
export class ConfigReader {
  constructor(
    private readonly owner: string,
    private readonly config: ModelConfig,
  ) {
    if (!isRecord(config)) throw new PretrainedError(`${owner}: the config is an object, not ${describe(config)}`)
  }

  /** An error about one value of the config. */
  error(name: string, expected: string, value: unknown = this.config[name]): PretrainedError {
    const shown = typeof value === 'object' ? describe(value) : clip(describe(value))
    return new PretrainedError(`${this.owner}: ${name} in the config must be ${expected}, not ${shown}`)
  }

  private given(name: string): unknown {
    return Object.hasOwn(this.config, name) ? (this.config[name] ?? undefined) : undefined
  }

  /** An integer from `low` (default 1) to `high` (default 2^24). */
  integer(name: string, otherwise: number, low = 1, high = MOST_EXTENT): number {
    const value = this.given(name) ?? otherwise
    if (Number.isInteger(value) && (value as number) >= low && (value as number) <= high) return value as number
    throw this.error(name, `an integer from ${low} to ${high}`, value)
  }

  /** Integers from 1 up, at least one. */
  integers(name: string, otherwise: readonly number[]): readonly number[] {
    const value = this.given(name) ?? otherwise
    const fits = (one: unknown): boolean =>
      Number.isInteger(one) && (one as number) >= 1 && (one as number) <= MOST_EXTENT
    if (Array.isArray(value) && value.length > 0 && value.length <= MOST_LAYERS && value.every(fits)) return value
    throw this.error(name, `a list of integers from 1 to ${MOST_EXTENT}`, value)
  }

  /** [height, width]: a list of two, or one number for both. */
  extents(name: string, otherwise: number): readonly [number, number] {
    if (!Array.isArray(this.given(name))) {
      const both = this.integer(name, otherwise)
      return [both, both]
    }
    const list = this.integers(name, [])
    if (list.length === 2) return list as readonly [number, number]
    throw this.error(name, 'an integer or a list [height, width]')
  }

  /** Number of layers. */
  layers(name: string, otherwise: number): number {
    return this.integer(name, otherwise, 1, MOST_LAYERS)
  }

  /** The token that fills up short rows; undefined where there is none. */
  padding(otherwise: number | undefined, vocabSize: number): number | undefined {
    const value = Object.hasOwn(this.config, 'pad_token_id') ? (this.config['pad_token_id'] ?? undefined) : otherwise
    if (value === undefined) return undefined
    if (Number.isInteger(value) && (value as number) >= 0 && (value as number) < vocabSize) return value as number
    throw this.error('pad_token_id', `null or an integer from 0 to ${vocabSize - 1}`, value)
  }

  number(name: string, otherwise: number, low = 0, high = Number.MAX_VALUE): number {
    const value = this.given(name) ?? otherwise
    if (typeof value === 'number' && value >= low && value <= high) return value
    throw this.error(
      name,
      high === Number.MAX_VALUE ? `a number from ${low} up` : `a number from ${low} to ${high}`,
      value,
    )
  }

  boolean(name: string, otherwise: boolean): boolean {
    const value = this.given(name) ?? otherwise
    if (typeof value === 'boolean') return value
    throw this.error(name, 'true or false', value)
  }

  oneOf<N extends string>(name: string, names: readonly N[], otherwise: N): N {
    const value = this.given(name) ?? otherwise
    if (names.includes(value as N)) return value as N
    throw this.error(name, `one of ${names.map((known) => `'${known}'`).join(', ')}`, value)
  }

  /** A config within the config. */
  record(name: string): ModelConfig | undefined {
    const value = this.given(name)
    if (value === undefined || isRecord(value)) return value
    throw this.error(name, 'an object', value)
  }

  /** How often `heads` fits into `width`. */
  headWidth(width: string, widthValue: number, heads: string, headsValue: number): number {
    if (widthValue % headsValue === 0) return widthValue / headsValue
    throw this.error(width, `a multiple of ${heads} (${headsValue})`, widthValue)
  }

  /**
   * How many heads each layer keeps of `heads`: `pruned_heads` has the numbers of those that are gone, by layer, as
   * transformers 4 writes it.
   */
  headsKept(layers: number, heads: number): number[] {
    const pruned = this.record('pruned_heads') ?? {}
    const kept = new Array<number>(layers).fill(heads)
    for (const [layer, gone] of Object.entries(pruned)) {
      const place = Number(layer)
      const known = Array.isArray(gone) && gone.every((head) => Number.isInteger(head) && head >= 0 && head < heads)
      const left = known ? heads - new Set(gone).size : 0
      if (!(Number.isInteger(place) && place >= 0 && place < layers) || left < 1)
        throw this.error('pruned_heads', `lists of heads from 0 to ${heads - 1} by layer, never all of a layer`)
      kept[place] = left
    }
    return kept
  }

  /** Number of labels of a classifier: `num_labels`, or as many as `id2label` has; default 2. */
  labels(): number {
    const named = this.record('id2label')
    return this.integer('num_labels', named ? Object.keys(named).length : 2)
  }
}

/** The config of a folder. Throws `PretrainedError` where there is none or it is no JSON object. */
export async function readConfig(file: string): Promise<ModelConfig> {
  const fail = (what: string): PretrainedError => new PretrainedError(`${file}: ${what}`)
  const text = await readText(file, MOST_BYTES).catch((cause: unknown) => {
    if (cause instanceof FormatError) throw new PretrainedError(cause.message, { cause })
    throw new PretrainedError(
      `${file} can not be read (${(cause as Error).message}); a model's folder has a config.json`,
      { cause },
    )
  })
  const config = parseJson(text, 32, fail)
  if (!isRecord(config)) throw fail('it is no JSON object')
  return config
}

/** `config` with some values changed. Names of labels that no longer fit their number are left out. */
export function withChanges(config: ModelConfig, changes: ModelConfig): ModelConfig {
  const merged: Record<string, unknown> = { ...config, ...changes }
  if (Object.hasOwn(changes, 'num_labels') && !Object.hasOwn(changes, 'id2label')) {
    const names = config['id2label']
    if (isRecord(names) && Object.keys(names).length !== changes['num_labels']) {
      delete merged['id2label']
      delete merged['label2id']
    }
  }
  return merged
}

/** A module of a sentence-transformers folder. */
export interface SentenceModule {
  readonly type: string
  /** The folder it lies in, within the folder of modules.json. */
  readonly path: string
}

/** The modules that a modules.json lists. Throws `PretrainedError` for what is no such list. */
export async function readModules(file: string): Promise<SentenceModule[]> {
  const fail = (what: string): PretrainedError => new PretrainedError(`${file}: ${what}`)
  const list = parseJson(await readText(file, MOST_BYTES), 8, fail)
  if (!Array.isArray(list)) throw fail('it is no list of modules')
  return list.map((one: unknown) => {
    const { type, path } = isRecord(one) ? one : {}
    if (typeof type !== 'string' || typeof path !== 'string' || !/^[\w.-]*$/.test(path) || path === '..')
      throw fail('a module has no type, or no path of a folder beside it')
    return { type, path }
  })
}
