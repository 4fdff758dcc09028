// Prompt tuning: learnt rows of embeddings before the text, the model frozen (Lester et al. 2021).
import { Parameter } from '../cell.js'
import type { LogitsInputs } from '../models/causal.js'
import { CausalLanguageModel } from '../models/causal.js'
import { Embedding } from '../nn/embedding.js'
import { normal } from '../nn/initialize.js'
import type { Module } from '../nn/module.js'
import { replaceModules } from '../nn/replace.js'
import { integerFrom, optionsOf } from '../ops/arguments.js'
import { concat } from '../ops/concat.js'
import { arange, ones } from '../ops/create.js'
import { add, cast, ge, maximum, minimum, mod, sub, where } from '../ops/element.js'
import { embedding, take } from '../ops/gather.js'
import { broadcastTo, slice, unsqueeze } from '../ops/view.js'
import { ArgumentError } from '../runtime/errors.js'
import { describe } from '../schema/describe.js'
import type { FloatDType } from '../schema/dtype.js'
import type { Tensor } from '../tensor.js'
import { Wrapper } from './wrapper.js'

/** A table of tokens with more rows behind it that are learnt: the token `count + i` is row i of the prompt. */
class PromptedEmbedding extends Wrapper<Embedding> {
  declare readonly weight: Parameter
  declare readonly count: number

  constructor(
    base: Embedding,
    readonly prompt_embeddings: Parameter,
  ) {
    super(base)
  }

  forward(indices: Tensor): Tensor {
    const { count } = this
    const words = this.base.forward(minimum(indices, count - 1))
    const rows = this.prompt_embeddings.shape[0] as number
    const places = minimum(maximum(sub(indices, count), 0), rows - 1)
    const prompt = cast(embedding(this.prompt_embeddings, cast(places, 'i32')), words.dtype)
    return where(unsqueeze(ge(indices, count), -1), prompt, words)
  }
}

export interface PromptOptions {
  /** Rows that are learnt. Default 20. */
  readonly tokens?: number
  /** Tokens whose embeddings the rows start with, repeated as needed. Default: normal, as PEFT's. */
  readonly initialTokens?: Tensor
}

/**
 * A language model with a learnt prompt before every text: tokens [B,T] -> logits [B,T,vocabulary] of the text. The rows
 * stand behind the table of tokens, so that a text with its prompt is `[...prompt.tokens, ...tokens]` for the model itself:
 * that is what `generate` takes. Only the prompt is trained.
 */
export class PromptTuning {
  /** @internal */
  constructor(
    readonly model: CausalLanguageModel,
    readonly name: string,
    readonly prompt: Parameter,
    private readonly before: ReadonlyMap<Parameter, boolean>,
  ) {}

  parameters(): Parameter[] {
    return [this.prompt]
  }

  /** The tokens that stand for the prompt. */
  get tokens(): number[] {
    const { vocabSize } = this.model
    return Array.from({ length: this.prompt.shape[0] as number }, (_, i) => vocabSize + i)
  }

  /** Logits behind each token; the prompt stands before the texts, and `at` and `mask` are those of the texts. */
  forward(tokens: Tensor, { at, mask, ...inputs }: Omit<LogitsInputs, 'cache' | 'positions'> = {}): Tensor {
    const count = this.prompt.shape[0] as number
    const rows = tokens.shape[0] as number
    const before = add(broadcastTo(unsqueeze(arange(count), 0), [rows, count]), this.model.vocabSize)
    const whole = concat([cast(before, tokens.dtype), tokens], { axis: 1 })
    const logits = this.model.forward(whole, {
      ...inputs,
      ...(at ? { at: add(at, count) } : {}),
      ...(mask ? { mask: concat([ones([rows, count], { dtype: mask.dtype }), mask], { axis: 1 }) } : {}),
    })
    return at ? logits : slice(logits, undefined, [count])
  }

  /** Takes the prompt off the model; what was trainable is so again. */
  remove(): void {
    replaceModules(this.model, (module) => (module instanceof PromptedEmbedding ? module.base : undefined))
    this.model.inputTokens = undefined
    for (const [parameter, trainable] of this.before) parameter.trainable = trainable
  }
}

/** The table of tokens of a language model: the embedding with as many rows as its vocabulary. */
function tableOf(op: string, model: CausalLanguageModel): readonly [string, Embedding] {
  if (!(model instanceof CausalLanguageModel))
    throw new ArgumentError(`${op}: it takes a causal language model of heddle/models, not ${describe(model)}`)
  const found = model
    .namedModules()
    .find((entry): entry is [string, Embedding] => entry[1] instanceof Embedding && entry[1].count === model.vocabSize)
  if (found) return found
  throw new ArgumentError(`${op}: the model has no table of its ${model.vocabSize} tokens, or a prompt already`)
}

/**
 * Learns a prompt for a frozen language model. Throws `ArgumentError` for a model without a table of tokens.
 *
 * @example
 * const prompt = promptTuning(gpt2, { tokens: 20 })
 * const adamw = new optim.AdamW(prompt.parameters(), { lr: 0.03 })
 * const loss = crossEntropy(prompt.forward(tokens).reshape(-1, gpt2.vocabSize), next.reshape(-1))
 */
export function promptTuning(model: CausalLanguageModel, options: PromptOptions = {}): PromptTuning {
  const op = 'promptTuning'
  const { tokens = 20, initialTokens } = optionsOf(op, options)
  integerFrom(op, 'tokens', tokens, 1)
  const [name, table] = tableOf(op, model)
  const dtype = table.weight.dtype as FloatDType
  const known = initialTokens && take(initialTokens, modulo(tokens, initialTokens.size))
  const start = known ? embedding(table.weight, known) : normal([tokens, table.width], { dtype })
  const prompt = new Parameter(start, { name: 'prompt' })
  const before = new Map(model.parameters().map((parameter) => [parameter, parameter.trainable]))
  replaceModules(model, (module: Module) => (module === table ? new PromptedEmbedding(table, prompt) : undefined))
  for (const parameter of before.keys()) parameter.trainable = false
  model.inputTokens = model.vocabSize + tokens
  return new PromptTuning(model, name, prompt, before)
}

/** 0, 1, ... up to `size`, and again, `count` in all. */
const modulo = (count: number, size: number): Tensor => cast(mod(arange(count), size), 'i32')
