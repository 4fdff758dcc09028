// T5: text to text, an encoder and a decoder (Raffel et al. 2020).
import type { Parameter } from '../cell.js'
import { Embedding } from '../nn/embedding.js'
import { Dropout } from '../nn/layers.js'
import type { Linear } from '../nn/linear.js'
import { Module } from '../nn/module.js'
import { RMSNorm } from '../nn/norm.js'
import { concat } from '../ops/concat.js'
import { arange, full } from '../ops/create.js'
import { eq, le, mul, where } from '../ops/element.js'
import { broadcastTo, slice, unsqueeze } from '../ops/view.js'
import type { Tensor } from '../tensor.js'
import type { EncoderOutput } from './bertLayers.js'
import type { CacheShape, KeysAndValues, KeyValueCache } from './cache.js'
import { outputLayer } from './causal.js'
import type { ModelConfig } from './config.js'
import type { EncoderDecoderModel, Source } from './encoderDecoder.js'
import { checkTokens, keyMask, type TiedLinear, throughLayers } from './layers.js'
import { type Family, firstPart, type ModelOptions, PretrainedModel } from './model.js'
import { BucketTable } from './relativePositions.js'
import { initializeT5, T5Block, type T5Settings, t5Settings } from './t5Layers.js'

export interface T5Inputs {
  /** [B,S], bool or numbers: 0 where a token of the source only fills up its row. */
  readonly mask?: Tensor | undefined
  /** [B,T], the same of the decoder's tokens. */
  readonly decoderMask?: Tensor | undefined
}

export interface T5Output extends EncoderOutput {
  /** [B,S,width]. */
  readonly encoderLastHiddenState: Tensor
}

/** Distances have no end. */
const MOST_TOKENS = 2 ** 24
/** Added to scores of what is not to be seen; f16 has it too. */
const UNSEEN = -30000

/** Embeddings, blocks and a last norm: the encoder or the decoder. */
class Stack extends Module {
  readonly embed_tokens: Embedding
  readonly block: readonly T5Block[]
  readonly final_layer_norm: RMSNorm
  readonly dropout: Dropout
  private readonly table: BucketTable

  constructor(settings: T5Settings, shared: Embedding, layers: number, isDecoder: boolean) {
    super()
    const { width, eps, dropout, buckets, longest, dtype } = settings
    this.embed_tokens = shared
    this.block = Array.from({ length: layers }, (_, place) => new T5Block(settings, place, isDecoder))
    this.final_layer_norm = new RMSNorm(width, { eps, dtype })
    this.dropout = new Dropout(dropout)
    this.table = new BucketTable(!isDecoder, buckets, longest)
  }

  /** Biases by distance for queries at `positions` and `keys` keys, where those are seen. */
  biases(positions: Tensor, keys: number, seen: readonly (Tensor | undefined)[]): Tensor {
    const biases = this.table.biases(this.block[0]?.relativeBias as Parameter, positions, keys)
    return seen.reduce<Tensor>((sum, mask) => (mask ? where(mask, sum, UNSEEN) : sum), biases)
  }

  run(tokens: Tensor, blocks: readonly ((x: Tensor) => Tensor)[]): EncoderOutput {
    const output = throughLayers(this.dropout.forward(this.embed_tokens.forward(tokens)), blocks, this.final_layer_norm)
    return { ...output, lastHiddenState: this.dropout.forward(output.lastHiddenState) }
  }
}

function encode(op: string, encoder: Stack, tokens: Tensor, mask: Tensor | undefined): EncoderOutput {
  const [, length] = checkTokens(op, tokens, MOST_TOKENS)
  const biases = encoder.biases(arange(length), length, [keyMask(op, mask, tokens)])
  return encoder.run(
    tokens,
    encoder.block.map((block) => (x) => block.forward(x, { biases })),
  )
}

/** The encoder alone: tokens [B,T] -> `EncoderOutput`. Config: that of transformers' `T5Config`. */
export class T5EncoderModel extends PretrainedModel {
  readonly shared: Embedding
  readonly encoder: Stack

  constructor(config: ModelConfig, options: ModelOptions = {}) {
    super(config)
    const settings = t5Settings('T5EncoderModel', config, options)
    this.shared = new Embedding(settings.vocabSize, settings.width, { dtype: settings.dtype })
    this.encoder = new Stack(settings, this.shared, settings.layers, false)
    initializeT5(this, settings)
  }

  override get maxTokens(): number {
    return MOST_TOKENS
  }

  forward(tokens: Tensor, { mask }: Pick<T5Inputs, 'mask'> = {}): EncoderOutput {
    return encode('T5EncoderModel', this.encoder, tokens, mask)
  }
}

/** Encoder and decoder, which tokens and parts of a generation go through. */
abstract class Both extends PretrainedModel {
  readonly shared: Embedding
  readonly encoder: Stack
  readonly decoder: Stack
  readonly cacheShape: CacheShape
  readonly startToken: number
  protected readonly settings: T5Settings

  constructor(owner: string, config: ModelConfig, options: ModelOptions) {
    super(config)
    const settings = t5Settings(owner, config, options)
    const { vocabSize, width, heads, headWidth, layers, decoderLayers, dtype } = settings
    this.settings = settings
    this.shared = new Embedding(vocabSize, width, { dtype })
    this.encoder = new Stack(settings, this.shared, layers, false)
    this.decoder = new Stack(settings, this.shared, decoderLayers, true)
    this.cacheShape = { layers: decoderLayers, heads, width: headWidth, dtype }
    this.startToken = settings.start
  }

  override get maxTokens(): number {
    return MOST_TOKENS
  }

  get vocabSize(): number {
    return this.shared.count
  }

  /** Keys and values of each of the decoder's layers. */
  private crossOf(hidden: Tensor): KeysAndValues[] {
    return this.decoder.block.flatMap(({ cross }) => (cross ? [cross.EncDecAttention.project(hidden)] : []))
  }

  read(tokens: Tensor, mask: Tensor): Source {
    const hidden = encode(this.constructor.name, this.encoder, tokens, mask).lastHiddenState
    const cross = this.crossOf(hidden)
    return { keys: cross.map(({ keys }) => keys), values: cross.map(({ values }) => values), mask }
  }

  protected through(tokens: Tensor, decoderTokens: Tensor, { mask, decoderMask }: T5Inputs): T5Output {
    const op = this.constructor.name
    const [, length] = checkTokens(op, decoderTokens, MOST_TOKENS)
    const hidden = encode(op, this.encoder, tokens, mask).lastHiddenState
    const places = arange(length)
    const past = le(places, unsqueeze(places, 1))
    const biases = this.decoder.biases(places, length, [past, keyMask(op, decoderMask, decoderTokens)])
    const crossMask = keyMask(op, mask, tokens)
    const cross = this.crossOf(hidden)
    const blocks = this.decoder.block.map(
      (block, i) => (x: Tensor) => block.forward(x, { biases }, cross[i], crossMask),
    )
    return { ...this.decoder.run(decoderTokens, blocks), encoderLastHiddenState: hidden }
  }

  /** Hidden states behind tokens at positions, with those in the cache. */
  protected goOn(tokens: Tensor, { keys, values, mask }: Source, cache: KeyValueCache, positions: Tensor): Tensor {
    const slots = cache.at(positions)
    const past = le(arange(cache.length), unsqueeze(unsqueeze(positions, 1), -1))
    const biases = this.decoder.biases(positions, cache.length, [past])
    const crossMask = mask && unsqueeze(unsqueeze(mask, 1), 1)
    const blocks = this.decoder.block.map((block, i) => (x: Tensor) => {
      const cross = { keys: keys[i] as Tensor, values: values[i] as Tensor }
      return block.forward(x, { biases, slots }, cross, crossMask)
    })
    return this.decoder.run(tokens, blocks).lastHiddenState
  }
}

/** T5 without its head: tokens [B,S] and the decoder's [B,T] -> `T5Output`. Config: that of transformers' `T5Config`. */
export class T5Model extends Both {
  constructor(config: ModelConfig, options: ModelOptions = {}) {
    super('T5Model', config, options)
    initializeT5(this, this.settings)
  }

  forward(tokens: Tensor, decoderTokens: Tensor, inputs: T5Inputs = {}): T5Output {
    return this.through(tokens, decoderTokens, inputs)
  }
}

/** Text to text: tokens [B,S] and the decoder's [B,T] -> logits [B,T,vocabulary]. The decoder's tokens are `shifted` labels. */
export class T5ForConditionalGeneration extends Both implements EncoderDecoderModel {
  readonly lm_head: TiedLinear | Linear

  constructor(config: ModelConfig, options: ModelOptions = {}) {
    super('T5ForConditionalGeneration', config, options)
    this.lm_head = outputLayer(this.shared.weight, this.settings.tied)
    initializeT5(this, this.settings)
  }

  /** A tied head's inputs are as small as its weights are large. */
  private head(hidden: Tensor): Tensor {
    return this.lm_head.forward(this.settings.tied ? mul(hidden, this.settings.width ** -0.5) : hidden)
  }

  forward(tokens: Tensor, decoderTokens: Tensor, inputs: T5Inputs = {}): Tensor {
    return this.head(this.through(tokens, decoderTokens, inputs).lastHiddenState)
  }

  write(tokens: Tensor, source: Source, cache: KeyValueCache, positions: Tensor): Tensor {
    return this.head(this.goOn(tokens, source, cache, positions))
  }

  /** The decoder's tokens for labels [B,T]: one place later, the start token first; -100, which losses pass over, becomes padding. */
  shifted(labels: Tensor): Tensor {
    const [batch, length] = checkTokens('T5ForConditionalGeneration.shifted', labels, MOST_TOKENS)
    const first = broadcastTo(full([1, 1], this.startToken, { dtype: labels.dtype }), [batch, 1])
    const rest = slice(labels, undefined, [0, length - 1])
    return concat([first, where(eq(rest, -100), this.settings.padding, rest)], { axis: 1 })
  }
}

export const T5: Family = {
  modelTypes: ['t5'],
  architectures: { T5Model, T5ForConditionalGeneration, T5EncoderModel },
  prefix: '',
  // Old files hold a table that nothing uses; head and decoder belong to other architectures.
  passesOver: (name, has) =>
    (/^(lm_head|decoder)\./.test(name) && !has(firstPart(name))) ||
    name.endsWith('.EncDecAttention.relative_attention_bias.weight'),
}
