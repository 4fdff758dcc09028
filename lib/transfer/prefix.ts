// Prefix tuning: learnt keys and values before those of the text in every layer, the model frozen (Li and Liang 2021).
import { Parameter } from '../cell.js'
import type { Cache, Slots } from '../models/cache.js'
import { CausalLanguageModel, type LogitsInputs } from '../models/causal.js'
import { normal } from '../nn/initialize.js'
import { integerFrom, optionsOf } from '../ops/arguments.js'
import { scaledDotProductAttention } from '../ops/attention.js'
import { concat } from '../ops/concat.js'
import { arange } from '../ops/create.js'
import { add, cast } from '../ops/element.js'
import { broadcastTo, permute, reshape, slice } from '../ops/view.js'
import { ArgumentError } from '../runtime/errors.js'
import { describe } from '../schema/describe.js'
import type { Tensor } from '../tensor.js'

/** Attention on the prefix and on the text up to each token. */
class PrefixSlots implements Slots {
  constructor(
    private readonly prefix: Tensor,
    private readonly heads: number,
  ) {}

  attend(layer: number, q: Tensor, k: Tensor, v: Tensor, scale?: number): Tensor {
    const [batch, heads, , width] = k.shape as readonly [number, number, number, number]
    const tokens = this.prefix.shape[0] as number
    // As PEFT has them in its table: [tokens, layers, key and value, heads, width].
    const table = reshape(this.prefix, [tokens, -1, 2, this.heads, width])
    const learnt = (which: number): Tensor => {
      const rows = permute(slice(table, undefined, layer, which), [1, 0, 2])
      return cast(broadcastTo(reshape(rows, [1, heads, tokens, width]), [batch, heads, tokens, width]), k.dtype)
    }
    const keys = concat([learnt(0), k], { axis: 2 })
    const values = concat([learnt(1), v], { axis: 2 })
    // The last query sees every key, each one before it one less: all of the prefix, and the text up to itself.
    return scaledDotProductAttention(q, keys, values, { causal: true, ...(scale === undefined ? {} : { scale }) })
  }
}

export interface PrefixOptions {
  /** Keys and values that are learnt in each layer. Default 20. */
  readonly tokens?: number
}

/**
 * A language model with a learnt prefix: tokens [B,T] -> logits [B,T,vocabulary]. Texts begin at the position behind the
 * prefix, as PEFT counts. Texts of several lengths are filled up at their end; attention's dropout is not drawn.
 */
export class PrefixTuning {
  /** @internal */
  constructor(
    readonly model: CausalLanguageModel,
    /** [tokens, layers 2 heads width], as PEFT's `prompt_embeddings`. */
    readonly prefix: Parameter,
    private readonly before: ReadonlyMap<Parameter, boolean>,
  ) {}

  parameters(): Parameter[] {
    return [this.prefix]
  }

  forward(tokens: Tensor, { at }: Pick<LogitsInputs, 'at'> = {}): Tensor {
    const { model, prefix } = this
    const [batch, length] = tokens.shape as readonly [number, number]
    const count = prefix.shape[0] as number
    const slots = new PrefixSlots(prefix, model.cacheShape.heads)
    const cache: Cache = { batch, length: model.maxTokens - count, at: () => slots }
    return model.forward(tokens, { cache, positions: add(arange(length), count), ...(at ? { at } : {}) })
  }

  /** Gives up the prefix: what was trainable is so again. */
  remove(): void {
    for (const [parameter, trainable] of this.before) parameter.trainable = trainable
  }
}

/**
 * Learns a prefix for a frozen language model, which is left as it is. Throws `ArgumentError` for another kind of model.
 *
 * @example
 * const prefix = prefixTuning(gpt2, { tokens: 10 })
 * const logits = prefix.forward(tokens)
 */
export function prefixTuning(model: CausalLanguageModel, options: PrefixOptions = {}): PrefixTuning {
  const op = 'prefixTuning'
  if (!(model instanceof CausalLanguageModel))
    throw new ArgumentError(`${op}: it takes a causal language model of heddle/models, not ${describe(model)}`)
  const { tokens = 20 } = optionsOf(op, options)
  integerFrom(op, 'tokens', tokens, 1)
  const { layers, heads, width, dtype } = model.cacheShape
  const prefix = new Parameter(normal([tokens, layers * 2 * heads * width], { dtype }), { name: 'prefix' })
  const before = new Map(model.parameters().map((parameter) => [parameter, parameter.trainable]))
  for (const parameter of before.keys()) parameter.trainable = false
  return new PrefixTuning(model, prefix, before)
}
