// What language models that go from left to right share: their inputs, and what generation needs of them.
import type { Parameter } from '../cell.js'
import { Linear } from '../nn/linear.js'
import type { Layer } from '../nn/module.js'
import { arange } from '../ops/create.js'
import { broadcastTo } from '../ops/view.js'
import { ArgumentError, ShapeError } from '../runtime/errors.js'
import type { FloatDType } from '../schema/dtype.js'
import { formatShape, sameShape } from '../schema/shape.js'
import type { Tensor } from '../tensor.js'
import type { Cache, CacheShape, Slots } from './cache.js'
import { checkTokens, hiddenAt, keyMask, type LayersOutput, TiedLinear, throughLayers } from './layers.js'
import { PretrainedModel } from './model.js'

export interface CausalInputs {
  /** [B,T], bool or numbers: 0 where a token only fills up the row and is not to be seen. Not with a cache. */
  readonly mask?: Tensor | undefined
  /** [B,T] or [T], i32 or i64, each row counting up. Default: from 0 on. */
  readonly positions?: Tensor | undefined
  /** Tokens seen before; the new ones are added to it, at their positions. */
  readonly cache?: Cache | undefined
}

export interface LogitsInputs extends CausalInputs {
  /** [B], i32: the logits of one token of each row, [B,vocabulary], instead of all. */
  readonly at?: Tensor | undefined
}

/** `lastHiddenState` is after the last norm. */
export type DecoderOutput = LayersOutput

/** What a decoder's layers are given besides hidden states. */
export interface DecoderLayerInputs {
  /** [T] or [B,T]. */
  readonly positions: Tensor
  /** Of keys: bool [B,1,1,T]. */
  readonly mask: Tensor | undefined
  /** Where the new tokens stand in a cache, if there is one. */
  readonly slots: Slots | undefined
}

/** A decoder without its head: tokens [B,T] -> `DecoderOutput`. */
export abstract class DecoderModel extends PretrainedModel {
  /** Extents of a cache for it. */
  abstract readonly cacheShape: CacheShape
  abstract readonly vocabSize: number
  /** Tokens to [B,T,width]. */
  protected abstract embed(tokens: Tensor, positions: Tensor): Tensor
  /** Its layers in order, for these inputs. */
  protected abstract layersFor(inputs: DecoderLayerInputs): readonly ((x: Tensor) => Tensor)[]
  protected abstract get lastNorm(): Layer

  forward(tokens: Tensor, inputs: CausalInputs = {}): DecoderOutput {
    const op = this.constructor.name
    const positions = positionsOf(op, tokens, inputs, this.maxTokens)
    const slots = inputs.cache?.at(positions)
    const layers = this.layersFor({ positions, mask: keyMask(op, inputs.mask, tokens), slots })
    return throughLayers(this.embed(tokens, positions), layers, this.lastNorm)
  }
}

/** A model of the next token: tokens [B,T] -> logits [B,T,vocabulary]. What `generate` takes. */
export abstract class CausalLanguageModel extends PretrainedModel {
  abstract readonly lm_head: Layer
  /** How many different tokens it may be given, where a learnt prompt has added some to the vocabulary. */
  inputTokens: number | undefined = undefined
  /** The model without its head. */
  protected abstract get decoder(): DecoderModel

  get cacheShape(): CacheShape {
    return this.decoder.cacheShape
  }

  get vocabSize(): number {
    return this.decoder.vocabSize
  }

  override get maxTokens(): number {
    return this.decoder.maxTokens
  }

  forward(tokens: Tensor, { at, ...inputs }: LogitsInputs = {}): Tensor {
    const hidden = this.decoder.forward(tokens, inputs).lastHiddenState
    return this.lm_head.forward(at ? hiddenAt(hidden, at) : hidden)
  }
}

/** [...,width] -> [...,vocabulary] without bias: by the table of tokens [vocabulary,width] itself, or by weights of its own. */
export const outputLayer = (table: Parameter, tied: boolean): TiedLinear | Linear => {
  const [vocabSize, width] = table.shape as readonly [number, number]
  return tied ? new TiedLinear(table) : new Linear(width, vocabSize, { bias: false, dtype: table.dtype as FloatDType })
}

/** Checks tokens, positions and cache; gives the positions, [T] or [B,T]. */
export function positionsOf(
  op: string,
  tokens: Tensor,
  { mask, positions, cache }: CausalInputs,
  most: number,
): Tensor {
  const [batch, length] = checkTokens(op, tokens, cache ? Math.min(most, cache.length) : most)
  if (cache && (mask || cache.batch !== batch))
    throw new ArgumentError(
      mask
        ? `${op}: a mask can not be given with a cache: fill up rows at their end, and count positions`
        : `${op}: the cache is for ${cache.batch} rows, and the tokens have ${batch}`,
    )
  const places = positions ?? arange(length)
  if (!sameShape(places.shape, [length]) && !sameShape(places.shape, [batch, length]))
    throw new ShapeError(`${op}: positions ${formatShape(places.shape)} do not fit tokens ${formatShape(tokens.shape)}`)
  return cache ? broadcastTo(places, [batch, length]) : places
}
