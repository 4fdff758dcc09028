// Token sequences to learn from: behind prompts, with which of their tokens are to be learnt; and the loss on them.

import type { CausalLanguageModel } from '../models/causal.js'
import { type BeamOptions, generate } from '../models/generate.js'
import { integerFrom, optionsOf } from '../ops/arguments.js'
import { crossEntropy } from '../ops/crossEntropy.js'
import { cast, where } from '../ops/element.js'
import { sum } from '../ops/reduce.js'
import { slice } from '../ops/view.js'
import type { Tensor } from '../tensor.js'
import type { Outcome } from '../train/objective.js'
import { Progress, type ProgressOptions } from '../train/progress.js'

/** A prompt and what stands behind it. */
export interface TokenSequence {
  readonly tokens: Int32Array
  /** 1 where a token is to be learnt, 0 in the prompt. */
  readonly learns: Uint8Array
}

/** A batch of sequences. */
export interface SequenceBatch {
  /** [B,T], i32. */
  readonly tokens: Tensor
  /** `[B,T]`: other than 0 where a token is to be learnt. */
  readonly learns: Tensor
}

/** How a loader fills up sequences of different lengths: `new DataLoader(sequences, { pad: SEQUENCE_PADDING })`. */
export const SEQUENCE_PADDING = { tokens: { multipleOf: 16 }, learns: { multipleOf: 16 } } as const

/** A prompt with its continuation, ended by `end` where there is one. */
export function sequenceOf(prompt: ArrayLike<number>, made: ArrayLike<number>, end?: number): TokenSequence {
  const tail = end === undefined ? [] : [end]
  const tokens = Int32Array.from([...Array.from(prompt), ...Array.from(made), ...tail])
  return { tokens, learns: Uint8Array.from(tokens, (_, i) => Number(i >= prompt.length)) }
}

/** The token that ended a sequence of `made` tokens; undefined where it only came to its greatest length. */
export function endOf(
  model: CausalLanguageModel,
  made: number,
  { maxTokens = 50, stop }: BeamOptions,
): number | undefined {
  if (made >= maxTokens) return undefined
  const [first] = stop ?? [model.config['eos_token_id']].flat()
  return typeof first === 'number' ? first : undefined
}

/** Logits of all but the last token, which of the following tokens are learnt, and the tokens. */
export function nextTokens({ tokens, learns }: SequenceBatch): { readonly targets: Tensor; readonly learnt: Tensor } {
  const length = tokens.shape[1] as number
  return { targets: slice(tokens, undefined, [1, length]), learnt: slice(learns, undefined, [1, length]) }
}

/** logits [B,T,C] of the tokens that have a next one: [B,T-1,C]. */
export const logitsOfNext = (logits: Tensor): Tensor => slice(logits, undefined, [0, (logits.shape[1] as number) - 1])

/**
 * The cross entropy of the tokens to be learnt, each by what stands before it; a batch counts by how many they are. For
 * `train`, with batches of `TokenSequence`.
 */
export function sequenceLoss(model: CausalLanguageModel, batch: SequenceBatch): Outcome {
  const { targets, learnt } = nextTokens(batch)
  const wanted = where(learnt.dtype === 'bool' ? learnt : cast(learnt, 'bool'), targets, -100)
  const predictions = logitsOfNext(model.forward(batch.tokens))
  return { loss: crossEntropy(predictions, wanted), weight: sum(cast(learnt, 'f64')) }
}

export interface TeacherSequenceOptions extends BeamOptions {
  /** Prompts at a time. Default 16. */
  readonly batchSize?: number
  readonly progress?: boolean | Pick<ProgressOptions, 'stream' | 'intervalMs'>
}

/**
 * Sequence-level distillation (Kim, Rush 2016): what a teacher writes behind each prompt, with `beams` its most likely sequence, for
 * a student to learn by `sequenceLoss`. Where the teacher ended, its end token is to be learnt too. Set the teacher to `eval`
 * mode. Options and errors as `generate`.
 *
 * @example
 * const written = await teacherSequences(teacher.eval(), prompts, { beams: 4, maxTokens: 64 })
 * const loader = new DataLoader(written, { batchSize: 16, shuffle: true, pad: SEQUENCE_PADDING, dtypes: { tokens: 'i32' } })
 * await train(student, loader, { loss: sequenceLoss, optimizer, epochs: 3 })
 */
export async function teacherSequences(
  teacher: CausalLanguageModel,
  prompts: readonly ArrayLike<number>[],
  options: TeacherSequenceOptions = {},
): Promise<TokenSequence[]> {
  const op = 'teacherSequences'
  const { batchSize = 16, progress = true, ...generation } = optionsOf(op, options)
  integerFrom(op, 'batchSize', batchSize, 1)
  const bar =
    progress === false || prompts.length === 0
      ? undefined
      : new Progress({
          total: prompts.length,
          rate: { unit: 'sequences', perStep: 1 },
          ...(progress === true ? {} : progress),
        })
  const written: TokenSequence[] = []
  try {
    for (let start = 0; start < prompts.length; start += batchSize) {
      const some = prompts.slice(start, start + batchSize)
      const made = await generate(teacher, some, generation)
      made.forEach((tokens, i) =>
        written.push(sequenceOf(some[i] as ArrayLike<number>, tokens, endOf(teacher, tokens.length, generation))),
      )
      bar?.update(written.length)
    }
  } finally {
    bar?.finish()
  }
  return written
}
