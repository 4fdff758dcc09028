// Tokenizers of Hugging Face's format, by @huggingface/tokenizers: text to token ids and back.
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { integerFrom, optionsOf } from '../../ops/arguments.js'
import { ArgumentError, DataError } from '../../runtime/errors.js'
import { describe } from '../../schema/describe.js'
import { load } from '../optional.js'

export interface EncodeOptions {
  /** A second text, for models that take two. */
  readonly pair?: string
  /** What the model puts around a text: beginning, end, separators. Default true. */
  readonly specialTokens?: boolean
  /** Ids beyond this many are cut off at the end, those of the model's own end tokens too. Default: none. */
  readonly maxLength?: number
}

/** What is needed of the library's tokenizer. */
interface Engine {
  encode(
    text: string,
    options?: { text_pair?: string | null; add_special_tokens?: boolean },
  ): { readonly ids: readonly number[] }
  decode(ids: number[], options?: { skip_special_tokens?: boolean }): string
  token_to_id(token: string): number | undefined
  id_to_token(id: number): string | undefined
  get_vocab(withAdded?: boolean): Map<string, number>
}

export class Tokenizer {
  /** @internal From `loadTokenizer`. */
  constructor(private readonly engine: Engine) {}

  /** Number of tokens, added ones too. */
  get vocabSize(): number {
    return this.engine.get_vocab(true).size
  }

  /** The token ids of a text, for a field of a sample. Throws `ArgumentError` for what is no text. */
  encode(text: string, options: EncodeOptions = {}): Int32Array {
    const { pair, specialTokens = true, maxLength } = optionsOf('Tokenizer.encode', options)
    if (typeof text !== 'string') throw new ArgumentError(`Tokenizer.encode: it takes a text, not ${describe(text)}`)
    if (maxLength !== undefined) integerFrom('Tokenizer.encode', 'maxLength', maxLength, 1)
    const { ids } = this.engine.encode(text, { text_pair: pair ?? null, add_special_tokens: specialTokens })
    return Int32Array.from(maxLength === undefined ? ids : ids.slice(0, maxLength))
  }

  /** The text of token ids; without special tokens unless they are asked for. */
  decode(ids: ArrayLike<number>, { specialTokens = false }: { readonly specialTokens?: boolean } = {}): string {
    return this.engine.decode(Array.from(ids), { skip_special_tokens: !specialTokens })
  }

  /** The id of a token, undefined for one it does not have. */
  idOf(token: string): number | undefined {
    return this.engine.token_to_id(token)
  }

  /** The token of an id, undefined for one it does not have. */
  tokenOf(id: number): string | undefined {
    return this.engine.id_to_token(id)
  }
}

async function readJson(file: string): Promise<object> {
  try {
    return JSON.parse(await readFile(file, 'utf8')) as object
  } catch (cause) {
    const code = cause instanceof SyntaxError ? 'malformed' : 'unreadable'
    throw new DataError(
      `loadTokenizer: ${file} can not be read: ${(cause as Error).message}`,
      code,
      { file },
      { cause },
    )
  }
}

/**
 * The tokenizer of a model's folder (tokenizer.json, and tokenizer_config.json where there is one), or of a tokenizer.json.
 * Needs @huggingface/tokenizers. Throws `DataError` for files that can not be read or are none of a tokenizer.
 */
export async function loadTokenizer(path: string | URL): Promise<Tokenizer> {
  const given = path instanceof URL ? fileURLToPath(path) : path
  const folder = await stat(given).then(
    (found) => found.isDirectory(),
    () => false,
  )
  const file = folder ? join(given, 'tokenizer.json') : given
  const config = join(file, '..', 'tokenizer_config.json')
  const json = await readJson(file)
  const settings = await stat(config).then(
    () => readJson(config),
    () => ({}),
  )
  const { Tokenizer: Engine } = (await load(
    'loadTokenizer',
    '@huggingface/tokenizers',
  )) as typeof import('@huggingface/tokenizers')
  try {
    return new Tokenizer(new Engine(json, settings) as Engine)
  } catch (cause) {
    throw new DataError(
      `loadTokenizer: ${file} is no tokenizer that can be used: ${(cause as Error).message}`,
      'malformed',
      { file },
      { cause },
    )
  }
}
