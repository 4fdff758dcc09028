// Sentence embeddings: an encoder, pooling and normalisation, as a sentence-transformers folder says in modules.json.
import { join } from 'node:path'
import { type Compiled, compile } from '../compile.js'
import { loadTokenizer, type Tokenizer } from '../data/text/tokenizer.js'
import { clip } from '../io/json.js'
import { Module } from '../nn/module.js'
import { integerFrom, listOf, oneOf, optionsOf } from '../ops/arguments.js'
import { cast, div, maximum, ne, sqrt, where } from '../ops/element.js'
import { max, sum } from '../ops/reduce.js'
import { slice, unsqueeze } from '../ops/view.js'
import { ArgumentError, PretrainedError } from '../runtime/errors.js'
import { describe } from '../schema/describe.js'
import { type Tensor, tensor } from '../tensor.js'
import type { EncoderInputs, EncoderOutput } from './bertLayers.js'
import { ConfigReader, type ModelConfig, readConfig, readModules } from './config.js'
import { download, type HubOptions } from './hub.js'
import { exists } from './hubCache.js'
import { normalized } from './layers.js'
import type { ModelOptions, PretrainedModel } from './model.js'
import { fromPretrained } from './pretrained.js'

/** How the vectors of a text's tokens become one: their mean, their sum over sqrt(count), the largest, or the first. */
export type Pooling = 'mean' | 'meanSqrtLength' | 'max' | 'first'

const POOLINGS: Readonly<Record<Pooling, string>> = {
  mean: 'pooling_mode_mean_tokens',
  meanSqrtLength: 'pooling_mode_mean_sqrt_len_tokens',
  max: 'pooling_mode_max_tokens',
  first: 'pooling_mode_cls_token',
}

/** hidden [B,T,width], mask bool [B,T] -> [B,width]. */
function pooled(hidden: Tensor, mask: Tensor, pooling: Pooling): Tensor {
  if (pooling === 'first') return slice(hidden, undefined, 0)
  const real = unsqueeze(mask, -1)
  if (pooling === 'max') return max(where(real, hidden, -1e9), { axes: 1 })
  const total = sum(where(real, hidden, 0), { axes: 1 })
  const count = maximum(sum(cast(real, hidden.dtype), { axes: 1 }), 1e-9)
  return div(total, pooling === 'mean' ? count : sqrt(count))
}

/** An encoder of tokens. */
export type TokenEncoder = PretrainedModel & { forward(tokens: Tensor, inputs?: EncoderInputs): EncoderOutput }

export interface SentenceSettings {
  /** Default `mean`. */
  readonly pooling?: Pooling
  /** Scale embeddings to length 1. Default true. */
  readonly normalize?: boolean
  /** Tokens of a text, the model's own included; what is behind them is left out. Default: what the model takes. */
  readonly maxLength?: number
}

export interface EmbedOptions {
  /** Texts at a time. Default 32. */
  readonly batchSize?: number
}

/** Lengths are rounded up to multiples of this, so that few kinds of batches are compiled. */
const LENGTH_STEP = 16

/** Texts to vectors: `embed` for texts, `forward` for tokens, through which gradients flow. */
export class SentenceEncoder extends Module {
  readonly pooling: Pooling
  readonly normalize: boolean
  readonly maxLength: number
  /** By the extents of a batch. */
  private readonly compiled = new Map<string, Compiled<[Tensor, Tensor], Tensor>>()

  constructor(
    readonly model: TokenEncoder,
    readonly tokenizer: Tokenizer,
    settings: SentenceSettings = {},
  ) {
    super()
    const op = 'SentenceEncoder'
    const { pooling = 'mean', normalize = true, maxLength } = optionsOf(op, settings)
    this.pooling = oneOf(op, 'pooling', pooling, Object.keys(POOLINGS) as Pooling[])
    this.normalize = normalize
    const most = model.maxTokens
    const known = model.config['vocab_size']
    if (typeof known === 'number' && tokenizer.vocabSize > known)
      throw new PretrainedError(
        `${op}: the tokenizer has ${tokenizer.vocabSize} tokens and the model ${known}; take the tokenizer from the model's own folder`,
      )
    this.maxLength = Math.min(integerFrom(op, 'maxLength', maxLength ?? most, 3), most)
  }

  /** tokens [B,T] and their mask [B,T] (other than 0: a real token) -> embeddings [B,width]. */
  forward(tokens: Tensor, mask: Tensor): Tensor {
    const real = mask.dtype === 'bool' ? mask : ne(mask, 0)
    const { lastHiddenState } = this.model.forward(tokens, { mask: real })
    const vectors = pooled(lastHiddenState, real, this.pooling)
    return this.normalize ? normalized(vectors) : vectors
  }

  /** The token ids of a text, at most `maxLength`: its end is left out, the model's own tokens around it are not. */
  tokens(text: string): Int32Array {
    const ids = this.tokenizer.encode(text)
    const over = ids.length - this.maxLength
    if (over <= 0) return ids
    const bare = this.tokenizer.encode(text, { specialTokens: false })
    // Where the text ends; behind it stand the model's own tokens.
    let end = ids.length
    while (end > bare.length && ids[end - 1] !== bare[bare.length - 1]) end--
    return Int32Array.of(...ids.subarray(0, end - over), ...ids.subarray(end))
  }

  /** The embeddings of texts, in their order. Texts of similar length are computed together. */
  async embed(texts: readonly string[], options: EmbedOptions = {}): Promise<Float32Array[]> {
    const op = 'SentenceEncoder.embed'
    const { batchSize = 32 } = optionsOf(op, options)
    integerFrom(op, 'batchSize', batchSize, 1)
    const rows = listOf(op, 'the texts', texts).map((text) => {
      if (typeof text !== 'string') throw new ArgumentError(`${op}: one of the texts is ${describe(text)}`)
      return this.tokens(text)
    })
    const order = rows.map((_, i) => i).sort((a, b) => (rows[a] as Int32Array).length - (rows[b] as Int32Array).length)
    const found: Float32Array[] = new Array(rows.length)
    for (let start = 0; start < order.length; start += batchSize) {
      const places = order.slice(start, start + batchSize)
      const embeddings = await this.batch(places.map((place) => rows[place] as Int32Array))
      for (const [i, place] of places.entries()) found[place] = embeddings[i] as Float32Array
    }
    return found
  }

  private async batch(rows: readonly Int32Array[]): Promise<Float32Array[]> {
    const longest = Math.max(...rows.map(({ length }) => length), 1)
    const length = Math.min(Math.ceil(longest / LENGTH_STEP) * LENGTH_STEP, Math.max(longest, this.maxLength))
    const count = 2 ** Math.ceil(Math.log2(rows.length))
    const padding = this.model.config['pad_token_id']
    const ids = new Int32Array(count * length).fill(typeof padding === 'number' ? padding : 0)
    const mask = new Uint8Array(count * length)
    for (const [i, row] of rows.entries()) {
      ids.set(row, i * length)
      mask.fill(1, i * length, i * length + row.length)
    }
    const shape = [count, length]
    const key = shape.join()
    let run = this.compiled.get(key)
    if (!run) {
      run = compile((tokens: Tensor, real: Tensor) => this.forward(tokens, real), {
        name: 'embed',
        priority: 'high',
      })
      this.compiled.set(key, run)
    }
    using tokens = tensor(ids, { shape })
    using real = tensor(mask, { shape })
    using embeddings = await run(tokens, real)
    const data = (await embeddings.data()) as Float32Array
    const width = embeddings.shape[1] as number
    return rows.map((_, i) => data.slice(i * width, (i + 1) * width))
  }

  /**
   * The encoder of a sentence-transformers folder, or of that name at the hub (see `download`): modules.json says which modules there are, 1_Pooling/config.json how
   * tokens are pooled, sentence_bert_config.json how long texts may be. Without modules.json it is the mean, not
   * normalised. Throws as `fromPretrained` and `loadTokenizer` do, and `PretrainedError` for modules that are not known.
   */
  static async fromPretrained(name: string, options: ModelOptions & HubOptions = {}): Promise<SentenceEncoder> {
    const folder = await download(name, options)
    const settings = await sentenceSettings(folder)
    const model = await fromPretrained(settings.folder, options)
    if (!('forward' in model))
      throw new PretrainedError(`SentenceEncoder: ${folder} holds a model that encodes nothing`)
    return new SentenceEncoder(model as TokenEncoder, await loadTokenizer(settings.folder), settings).eval()
  }
}

/** The pooling that a config asks for. Throws `PretrainedError` unless it is one of ours. */
function poolingOf(file: string, config: ModelConfig): Pooling {
  const asked = Object.keys(config).filter((key) => key.startsWith('pooling_mode_') && config[key] === true)
  const known = (Object.keys(POOLINGS) as Pooling[]).filter((pooling) => asked.includes(POOLINGS[pooling]))
  if (asked.length === 1 && known.length === 1) return known[0] as Pooling
  throw new PretrainedError(
    `SentenceEncoder: ${file} asks for ${asked.map(clip).join(', ') || 'no pooling'}; exactly one of ${Object.values(POOLINGS).join(', ')} is possible`,
  )
}

/** What a folder says of its modules, and where its model lies. */
async function sentenceSettings(folder: string): Promise<SentenceSettings & { readonly folder: string }> {
  const file = join(folder, 'modules.json')
  if (!(await exists(file))) return { folder, pooling: 'mean', normalize: false }
  let model = folder
  let settings: SentenceSettings = { normalize: false }
  for (const { type, path } of await readModules(file)) {
    const place = join(folder, path)
    const kind = type.split('.').at(-1)
    if (kind === 'Transformer') model = place
    else if (kind === 'Normalize') settings = { ...settings, normalize: true }
    else if (kind === 'Pooling') {
      const config = join(place, 'config.json')
      settings = { ...settings, pooling: poolingOf(config, await readConfig(config)) }
    } else
      throw new PretrainedError(
        `SentenceEncoder: ${file} has the module '${clip(type)}'; Transformer, Pooling and Normalize are known`,
      )
  }
  if (!settings.pooling) throw new PretrainedError(`SentenceEncoder: ${file} has no Pooling`)
  const lengths = join(model, 'sentence_bert_config.json')
  if (await exists(lengths)) {
    const config = await readConfig(lengths)
    if (config['max_seq_length'] != null)
      settings = { ...settings, maxLength: new ConfigReader(lengths, config).integer('max_seq_length', 512, 3) }
  }
  return { ...settings, folder: model }
}
