// On-policy distillation of language models (Agarwal et al. 2024, GKD): the student writes, the teacher says how it would go on.
import { Random } from '../data/philox.js'
import type { CausalLanguageModel } from '../models/causal.js'
import { type GenerateOptions, generate } from '../models/generate.js'
import { integerFrom, listOf, numberIn, optionsOf } from '../ops/arguments.js'
import { cast } from '../ops/element.js'
import { sum } from '../ops/reduce.js'
import { ArgumentError } from '../runtime/errors.js'
import { type Tensor, tensor } from '../tensor.js'
import type { Outcome } from '../train/objective.js'
import type { Run, TrainingData } from '../train/options.js'
import { type DistillOptions, distill } from './distill.js'
import { type DivergenceOptions, divergence } from './losses/soft.js'
import { endOf, logitsOfNext, nextTokens, type SequenceBatch, sequenceOf, type TokenSequence } from './sequences.js'

/** Lengths are rounded up to multiples of this, so that few kinds of batches are compiled. */
const LENGTH_STEP = 16

export interface OnPolicyOptions<S extends CausalLanguageModel, T extends CausalLanguageModel>
  extends Omit<
    DistillOptions<S, T, SequenceBatch, Tensor>,
    'forward' | 'teacherForward' | 'labels' | 'hardShare' | 'temperature' | 'weights' | 'combine' | 'loss' | 'with'
  > {
  /** Prompts per batch. Default 8. */
  readonly batchSize?: number
  /** How the student writes. Default: drawn at temperature 1, 50 tokens. */
  readonly generation?: Omit<GenerateOptions, 'seed' | 'signal'>
  /** How the two distributions of each next token are compared. Default `forward`; `reverse` and `jensenShannon` suit small students. */
  readonly divergence?: Omit<DivergenceOptions, 'mask'>
  /** The share of batches that the student writes itself; the others come from `sequences`. Default 1. */
  readonly onPolicyShare?: number
  /** A sequence for each prompt, as of `teacherSequences` or of the data; needed where the share is below 1. */
  readonly sequences?: readonly TokenSequence[]
  /** Of the order of prompts and of what is drawn. Default 0. */
  readonly seed?: number
}

interface Place {
  readonly epoch: number
  /** Batches of the epoch. */
  readonly position: number
}

/** Sequences as one batch, filled up at their ends. */
function batchOf(sequences: readonly TokenSequence[], longest: number): SequenceBatch {
  const length = Math.min(
    longest,
    Math.ceil(Math.max(...sequences.map(({ tokens }) => tokens.length)) / LENGTH_STEP) * LENGTH_STEP,
  )
  const shape = [sequences.length, length]
  const ids = new Int32Array(sequences.length * length)
  const learns = new Uint8Array(ids.length)
  for (const [row, one] of sequences.entries()) {
    ids.set(one.tokens.subarray(0, length), row * length)
    learns.set(one.learns.subarray(0, length), row * length)
  }
  return { tokens: tensor(ids, { shape }), learns: tensor(learns, { shape }) }
}

/** Batches that the student writes as it is at the moment; what is drawn depends on seed, epoch and position alone. */
class WrittenBatches<S extends CausalLanguageModel> implements TrainingData<SequenceBatch> {
  private epoch = 0
  private position = 0
  private resumes = true

  constructor(
    private readonly student: S,
    private readonly prompts: readonly ArrayLike<number>[],
    private readonly options: Required<Pick<OnPolicyOptions<S, S>, 'batchSize' | 'onPolicyShare' | 'seed'>> & {
      readonly generation: Omit<GenerateOptions, 'seed' | 'signal'>
      readonly sequences: readonly TokenSequence[] | undefined
      readonly signal: AbortSignal | undefined
      readonly longest: number
    },
  ) {}

  get length(): number {
    return Math.ceil(this.prompts.length / this.options.batchSize)
  }

  state(): Place {
    return { epoch: this.epoch, position: this.position }
  }

  load({ epoch, position = 0 }: { readonly epoch: number; readonly position?: number }): void {
    this.epoch = epoch
    this.position = position
    this.resumes = true
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<SequenceBatch> {
    if (!this.resumes || this.position >= this.length) {
      this.epoch++
      this.position = 0
    }
    this.resumes = false
    const { batchSize, seed, longest } = this.options
    const order = new Random(seed, 'order', { epoch: this.epoch }).permutation(this.prompts.length)
    while (this.position < this.length) {
      const rows = Array.from(order.subarray(this.position * batchSize, (this.position + 1) * batchSize))
      const batch = batchOf(await this.sequencesFor(rows), longest)
      this.position++
      yield batch
      batch.tokens.dispose()
      batch.learns.dispose()
    }
  }

  private async sequencesFor(rows: readonly number[]): Promise<TokenSequence[]> {
    const { seed, onPolicyShare, generation, sequences, signal } = this.options
    const random = new Random(seed, 'batch', { epoch: this.epoch, index: this.position })
    if (random.uniform(0, 1) >= onPolicyShare) return rows.map((row) => sequences?.[row] as TokenSequence)
    const prompts = rows.map((row) => this.prompts[row] as ArrayLike<number>)
    const settings = { temperature: 1, ...generation, seed: random.uint32() }
    const { training } = this.student
    this.student.eval()
    try {
      const made = await generate(this.student, prompts, { ...settings, ...(signal ? { signal } : {}) })
      return made.map((tokens, i) =>
        sequenceOf(prompts[i] as ArrayLike<number>, tokens, endOf(this.student, tokens.length, settings)),
      )
    } finally {
      this.student.train(training)
    }
  }
}

/**
 * Trains a student on sequences that it writes itself, each next token's distribution drawn to the teacher's (Agarwal et al. 2024,
 * algorithm 1): so it learns where it errs, not only where the teacher goes. With `onPolicyShare` below 1 some batches are
 * `sequences`. It is `distill` on such batches; its options, checkpoints included, are `train`'s. Both models have one vocabulary.
 */
export async function distillOnPolicy<S extends CausalLanguageModel, T extends CausalLanguageModel>(
  student: S,
  teacher: T,
  prompts: readonly ArrayLike<number>[],
  options: OnPolicyOptions<S, T>,
): Promise<Run<S>> {
  const op = 'distillOnPolicy'
  const {
    batchSize = 8,
    generation = {},
    divergence: compared = {},
    onPolicyShare = 1,
    sequences,
    seed = 0,
    ...training
  } = optionsOf(op, options)
  if (listOf(op, 'the prompts', prompts).length === 0) throw new ArgumentError(`${op}: there is no prompt`)
  integerFrom(op, 'batchSize', batchSize, 1)
  numberIn(op, 'onPolicyShare', onPolicyShare, 0, 1)
  if (onPolicyShare < 1 && sequences?.length !== prompts.length)
    throw new ArgumentError(
      `${op}: with a share of ${onPolicyShare} on policy there must be a sequence for each of ${prompts.length} prompts, not ${sequences?.length ?? 'none'}`,
    )
  if (student.vocabSize !== teacher.vocabSize)
    throw new ArgumentError(
      `${op}: the student has ${student.vocabSize} tokens, the teacher ${teacher.vocabSize}; next tokens are compared over one vocabulary`,
    )
  const longest = Math.min(student.maxTokens, teacher.maxTokens)
  const { signal } = options
  const batches = new WrittenBatches(student, prompts, {
    batchSize,
    generation,
    onPolicyShare,
    sequences,
    seed,
    signal,
    longest,
  })
  return distill<S, T, SequenceBatch, Tensor>(student, teacher, batches, {
    ...(training as Omit<DistillOptions<S, T, SequenceBatch, Tensor>, 'forward' | 'loss'>),
    forward: (model, { tokens }) => logitsOfNext(model.forward(tokens)),
    loss: (mine, [theirs], batch): Outcome => {
      const { learnt } = nextTokens(batch)
      return { loss: divergence(mine, theirs, { ...compared, mask: learnt }), weight: sum(cast(learnt, 'f64')) }
    },
  })
}
