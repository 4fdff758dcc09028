// What models with an encoder and a decoder share: what generation needs of them.
import type { Tensor } from '../tensor.js'
import type { CacheShape, KeyValueCache } from './cache.js'
import { PretrainedModel } from './model.js'

/** What a decoder sees of one batch of sources: keys and values [B,H,S,D] of each of its layers. */
export interface Source {
  readonly keys: readonly Tensor[]
  readonly values: readonly Tensor[]
  /** [B,S], bool: which tokens of the source are real. */
  readonly mask?: Tensor | undefined
}

/** A model that reads one sequence and writes another: what `generate` takes sources for. */
export interface EncoderDecoderModel extends PretrainedModel {
  /** Extents of a cache for its decoder; one of sources has the same. */
  readonly cacheShape: CacheShape
  readonly vocabSize: number
  /** The token its decoder starts with. */
  readonly startToken: number
  /** Reads sources: tokens [B,S] and their mask [B,S], bool. */
  read(tokens: Tensor, mask: Tensor): Source
  /** Logits [B,T,vocabulary] behind decoder tokens [B,T] at positions [B,T]. */
  write(tokens: Tensor, source: Source, cache: KeyValueCache, positions: Tensor): Tensor
}

export const isEncoderDecoder = (model: unknown): model is EncoderDecoderModel =>
  model instanceof PretrainedModel && typeof (model as Partial<EncoderDecoderModel>).write === 'function'
