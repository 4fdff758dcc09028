// Generation: tokens behind prompts, one after the other, with a key-value cache.
import { checkSeed, Random } from '../data/philox.js'
import { integerFrom, listOf, numberIn, optionsOf } from '../ops/arguments.js'
import { ArgumentError } from '../runtime/errors.js'
import { describe } from '../schema/describe.js'
import { beamSearch } from './beams.js'
import { CausalLanguageModel } from './causal.js'
import { isEncoderDecoder } from './encoderDecoder.js'
import { borrowDecoder, type GenerativeModel, giveBackDecoder } from './idleDecoders.js'
import { type SamplingOptions, sampleToken } from './sampling.js'

export interface GenerateOptions extends SamplingOptions {
  /** The most tokens that are made. Default 50. */
  readonly maxTokens?: number
  /** Of what is drawn: equal seeds draw equal tokens, whatever else is in the batch. Default 0. */
  readonly seed?: number
  /** Tokens that end a sequence and are not part of it. Default: `eos_token_id` of the model's config. */
  readonly stop?: readonly number[]
  /** Ends the generation by rejecting with the signal's reason. */
  readonly signal?: AbortSignal
}

export interface BeamOptions extends GenerateOptions {
  /** Sequences that are gone on with at a time. Default 1: no beam search. With more, nothing is drawn. */
  readonly beams?: number
  /** Scores of beams are divided by their length to this power. Default 1. */
  readonly lengthPenalty?: number
}

interface Settings extends Required<SamplingOptions> {
  readonly prompts: readonly ArrayLike<number>[]
  readonly maxTokens: number
  readonly seed: number
  readonly stop: ReadonlySet<number>
  readonly signal: AbortSignal | undefined
  /** Tokens of the longest prompt. */
  readonly longest: number
}

function stopTokens(op: string, model: GenerativeModel, given: readonly number[] | undefined): ReadonlySet<number> {
  const configured = model.config['eos_token_id']
  const list = given === undefined ? [configured].flat().filter((id) => id != null) : listOf(op, 'stop', given)
  return new Set(list.map((id) => integerFrom(op, 'a stop token', id as number, 0)))
}

/** Checks everything there is to check before work begins. */
function settingsOf(
  op: string,
  model: GenerativeModel,
  prompts: readonly ArrayLike<number>[],
  options: GenerateOptions,
): Settings {
  if (!isEncoderDecoder(model) && !(model instanceof CausalLanguageModel))
    throw new ArgumentError(
      `${op}: it takes a language model, as GPT2LMHeadModel or T5ForConditionalGeneration, not ${describe(model)}`,
    )
  const { maxTokens = 50, temperature = 0, topK, topP = 1, seed = 0, stop, signal } = optionsOf(op, options)
  integerFrom(op, 'maxTokens', maxTokens, 1)
  numberIn(op, 'temperature', temperature, 0)
  if (!(numberIn(op, 'topP', topP, 0, 1) > 0)) throw new ArgumentError(`${op}: topP must be above 0`)
  if (topK !== undefined) integerFrom(op, 'topK', topK, 1)
  if (listOf(op, 'the prompts', prompts).length === 0) throw new ArgumentError(`${op}: there is no prompt`)
  const tokens = (model instanceof CausalLanguageModel ? model.inputTokens : undefined) ?? model.vocabSize
  for (const [row, prompt] of prompts.entries()) {
    if (typeof prompt?.length !== 'number' || prompt.length === 0)
      throw new ArgumentError(`${op}: prompt ${row} is ${describe(prompt)}, not a list of at least one token`)
    for (const id of Array.from(prompt))
      if (!(Number.isInteger(id) && id >= 0 && id < tokens))
        throw new ArgumentError(`${op}: prompt ${row} has ${describe(id)}, and tokens are 0 to ${tokens - 1}`)
  }
  const longest = Math.max(...prompts.map((prompt) => prompt.length))
  const length = longest + maxTokens
  if (length > model.maxTokens)
    throw new ArgumentError(
      `${op}: a prompt of ${longest} tokens and ${maxTokens} more are ${length}, and the model takes ${model.maxTokens}; shorten the prompt or lower maxTokens`,
    )
  return {
    prompts,
    maxTokens,
    temperature,
    topK: topK ?? Number.POSITIVE_INFINITY,
    topP,
    seed: checkSeed(op, seed),
    stop: stopTokens(op, model, stop),
    signal,
    longest,
  }
}

/** At each step the next token of each row; undefined of those that have ended. */
async function* steps(model: GenerativeModel, settings: Settings): AsyncGenerator<readonly (number | undefined)[]> {
  const { prompts, maxTokens, seed, stop, signal } = settings
  signal?.throwIfAborted()
  const streams = prompts.map((_, row) => new Random(seed, 'sample', { index: row }))
  const decoder = borrowDecoder(model, prompts.length, settings.longest, settings.maxTokens)
  try {
    let logits = await decoder.prompt(prompts)
    let rows: (number | undefined)[] = prompts.map(() => 0)
    for (let made = 0; ; ) {
      rows = rows.map((before, row) => {
        if (before === undefined) return undefined
        const token = sampleToken(logits[row] as Float32Array, settings, streams[row] as Random)
        return stop.has(token) ? undefined : token
      })
      if (rows.every((token) => token === undefined)) return
      signal?.throwIfAborted()
      yield rows
      if (++made === maxTokens) return
      signal?.throwIfAborted()
      // Rows that have ended go on with any token; what comes of it is not looked at.
      logits = await decoder.step(
        rows.map((token) => token ?? 0),
        made,
      )
    }
  } finally {
    giveBackDecoder(model, decoder)
  }
}

/**
 * The tokens that a model puts behind a prompt, or writes for a source where it has an encoder, as they are made. Set the model to `eval` mode. Throws `ArgumentError` for
 * prompts that are empty, hold other than the model's tokens, or are too long.
 *
 * @example for await (const token of stream(model, tokenizer.encode('Once'))) console.log(tokenizer.decode([token]))
 */
export async function* stream(
  model: GenerativeModel,
  prompt: ArrayLike<number>,
  options: GenerateOptions = {},
): AsyncGenerator<number> {
  for await (const [token] of steps(model, settingsOf('stream', model, [prompt], options))) yield token as number
}

/**
 * The tokens that a model puts behind each prompt, or writes for each source where it has an encoder, without the prompts and without the token that ended them. The most
 * likely ones unless a temperature is given; the most likely sequence with `beams`. Prompts may have different lengths.
 * Throws as `stream` does.
 */
export async function generate(
  model: GenerativeModel,
  prompts: readonly ArrayLike<number>[],
  options: BeamOptions = {},
): Promise<Int32Array[]> {
  const op = 'generate'
  const settings = settingsOf(op, model, prompts, options)
  const { beams = 1, lengthPenalty = 1 } = options
  integerFrom(op, 'beams', beams, 1)
  numberIn(op, 'lengthPenalty', lengthPenalty, Number.NEGATIVE_INFINITY)
  if (beams === 1) {
    const made: number[][] = prompts.map(() => [])
    for await (const tokens of steps(model, settings))
      tokens.forEach((token, row) => {
        if (token !== undefined) made[row]?.push(token)
      })
    return made.map((row) => Int32Array.from(row))
  }
  if (settings.temperature > 0)
    throw new ArgumentError(`${op}: beams are not drawn; give a temperature or beams, not both`)
  if (beams > model.vocabSize / 2)
    throw new ArgumentError(`${op}: ${beams} beams are more than half of ${model.vocabSize} tokens`)
  settings.signal?.throwIfAborted()
  const decoder = borrowDecoder(model, prompts.length * beams, settings.longest, settings.maxTokens)
  try {
    return await beamSearch(decoder, prompts, { ...settings, beams, lengthPenalty })
  } finally {
    giveBackDecoder(model, decoder)
  }
}
