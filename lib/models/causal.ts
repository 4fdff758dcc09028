// What language models that go from left to right share: their inputs, and what generation needs of them.
import { arange } from '../ops/create.js'
import { eq, where } from '../ops/element.js'
import { sum } from '../ops/reduce.js'
import { broadcastTo, unsqueeze } from '../ops/view.js'
import { ArgumentError, ShapeError } from '../runtime/errors.js'
import { formatShape, sameShape } from '../schema/shape.js'
import type { Tensor } from '../tensor.js'
import type { CacheShape, KeyValueCache } from './cache.js'
import { checkTokens } from './layers.js'
import { PretrainedModel } from './model.js'

export interface CausalInputs {
  /** [B,T], bool or numbers: 0 where a token only fills up the row and is not to be seen. Not with a cache. */
  readonly mask?: Tensor | undefined
  /** [B,T] or [T], i32 or i64, each row counting up. Default: from 0 on. */
  readonly positions?: Tensor | undefined
  /** Tokens seen before; the new ones are added to it, at their positions. */
  readonly cache?: KeyValueCache | undefined
}

export interface LogitsInputs extends CausalInputs {
  /** [B], i32: the logits of one token of each row, [B,vocabulary], instead of all. */
  readonly at?: Tensor | undefined
}

export interface DecoderOutput {
  /** [B,T,width], after the last norm. */
  readonly lastHiddenState: Tensor
  /** The embeddings, then what each layer gives; the last one after the last norm. */
  readonly hiddenStates: readonly Tensor[]
}

/** A model of the next token: tokens [B,T] -> logits [B,T,vocabulary]. What `generate` takes. */
export abstract class CausalLanguageModel extends PretrainedModel {
  /** Extents of a cache for it. */
  abstract readonly cacheShape: CacheShape
  abstract readonly vocabSize: number
  /** How many different tokens it may be given, where a learnt prompt has added some to the vocabulary. */
  inputTokens: number | undefined = undefined
  abstract forward(tokens: Tensor, inputs?: LogitsInputs): Tensor
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

/** hidden [B,T,C] at one place of each row, `at` [B]: [B,C]. */
export function hiddenAt(hidden: Tensor, at: Tensor): Tensor {
  const chosen = eq(unsqueeze(at, 1), arange(hidden.shape[1] as number))
  return sum(where(unsqueeze(chosen, -1), hidden, 0), { axes: 1 })
}
