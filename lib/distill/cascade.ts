// A cascade: a small model answers what it is sure of, a large one the rest; calibrated and chosen on held-out data.
import { type Compiled, compile } from '../compile.js'
import type { CollateRules } from '../data/collate.js'
import { type DatasetLike, type IndexedDataset, indexed } from '../data/dataset.js'
import { DataLoader } from '../data/loader.js'
import type { Batch } from '../data/tensors.js'
import { Module } from '../nn/module.js'
import { integerFrom, numberIn, oneOf, optionsOf } from '../ops/arguments.js'
import { ArgumentError, ShapeError } from '../runtime/errors.js'
import { describe } from '../schema/describe.js'
import { formatShape } from '../schema/shape.js'
import type { Tensor } from '../tensor.js'
import { type TensorFields, tensorFields } from '../train/batch.js'
import {
  argmaxOf,
  type ConfidenceKind,
  confidenceOf,
  fitTemperature,
  type LogitRows,
  negativeLogLikelihood,
  probabilitiesOf,
} from './calibration.js'
import { asTeachers } from './distillation.js'
import { logitsOf, type Outputs } from './outputs.js'
import { type CascadeTarget, type ChosenThreshold, chooseThreshold } from './threshold.js'
import { weightCount } from './weightCount.js'

export interface CascadeOptions<S extends Module, L extends Module, T extends object, M extends string = never>
  extends CollateRules<M> {
  readonly small: S
  readonly large: L
  /** Runs a model on a batch: logits [B,C], or `{ logits, ... }`. */
  readonly forward: (model: S | L, batch: TensorFields<Batch<T, M>>) => Outputs
  /** Samples that neither model has learnt from, by index. */
  readonly heldOut: DatasetLike<T>
  /** The right class of a sample, from 0. */
  readonly label: (sample: T) => number
  readonly target: CascadeTarget
  /** With what confidence an accuracy has to hold beyond the held-out samples, as 0.95. Default: it holds on them. */
  readonly level?: number
  /** How sure a model is: its largest probability (default), its lead over the second, or 1 - entropy / log(classes). */
  readonly confidence?: ConfidenceKind
  /** Samples at a time. Default 64. */
  readonly batchSize?: number
  /** What one sample costs each model, in any unit. Default: how many weights they have. */
  readonly cost?: { readonly small: number; readonly large: number }
  readonly signal?: AbortSignal
}

export interface PredictOptions {
  /** Ends it by rejecting with the signal's reason. */
  readonly signal?: AbortSignal
}

/** What a cascade says of samples, in their order. */
export interface CascadePredictions {
  readonly classes: Int32Array
  /** Calibrated, of whoever answered: a row of `classCount` for each sample. */
  readonly probabilities: Float32Array
  readonly classCount: number
  /** How sure the small model was, by which it was decided. */
  readonly confidence: Float32Array
  /** 1 where the large model answered. */
  readonly byLarge: Uint8Array
  readonly counts: { readonly small: number; readonly large: number }
  /** In the unit of `cost`: every sample costs the small model, those that went up the large one too. */
  readonly cost: number
  /** The cost as a share of what the large model alone would cost. */
  readonly costShare: number
}

interface Calibration {
  readonly temperature: number
  /** Mean negative log-likelihood on the held-out samples, as the model gave it and calibrated. */
  readonly before: number
  readonly after: number
}

/** A small and a large model at work together. Comes from `cascade`. */
export class Cascade<S extends Module, L extends Module, T extends object, M extends string = never> {
  private readonly runs: Readonly<Record<'small' | 'large', Compiled<[TensorFields<Batch<T, M>>], Tensor>>>
  readonly cost: { readonly small: number; readonly large: number }
  /** Of each model, fitted on the held-out samples. */
  calibration!: Readonly<Record<'small' | 'large', Calibration>>
  /** How it was chosen, and what it gave on the held-out samples. */
  chosen!: ChosenThreshold

  /** @internal */
  constructor(private readonly options: CascadeOptions<S, L, T, M>) {
    const { small, large, forward, cost } = options
    this.cost = cost ?? { small: weightCount(small), large: weightCount(large) }
    const run = (model: S | L, name: string) =>
      compile((batch: TensorFields<Batch<T, M>>) => logitsOf('cascade', forward(model, batch)), { name })
    this.runs = { small: run(small, 'the small model'), large: run(large, 'the large model') }
  }

  /** The small model answers where it is at least so sure; may be set anew. */
  threshold = Number.POSITIVE_INFINITY

  /** @internal Fits temperatures and threshold. */
  async fit(): Promise<this> {
    const { heldOut, label, target, level, signal, confidence = 'probability' } = this.options
    const samples = indexed('cascade', heldOut)
    const labels = (await samples.toArray()).map(label)
    const [small, large] = [await this.logits('small', samples, signal), await this.logits('large', samples, signal)]
    if (small.classes !== large.classes)
      throw new ShapeError(`cascade: the small model has ${small.classes} classes, the large one ${large.classes}`)
    const wrong = labels.find((one) => !(Number.isInteger(one) && one >= 0 && one < small.classes))
    if (wrong !== undefined)
      throw new ArgumentError(`cascade: a label is ${describe(wrong)}; classes are 0 to ${small.classes - 1}`)
    const calibrated = (rows: LogitRows): Calibration => {
      const temperature = fitTemperature(rows, labels)
      const [before, after] = [1, temperature].map((one) => negativeLogLikelihood(rows, labels, one))
      return { temperature, before: before as number, after: after as number }
    }
    this.calibration = { small: calibrated(small), large: calibrated(large) }
    const judged = labels.map((right, row) => {
      const probabilities = probabilitiesOf(small, row, this.calibration.small.temperature)
      return {
        confidence: confidenceOf(probabilities, confidence),
        smallRight: argmaxOf(probabilities) === right,
        largeRight: argmaxOf(probabilitiesOf(large, row, this.calibration.large.temperature)) === right,
      }
    })
    this.chosen = chooseThreshold('cascade', judged, target, level)
    this.threshold = this.chosen.threshold
    return this
  }

  /** A model's logits for samples, in full batches. */
  private async logits(
    which: 'small' | 'large',
    samples: IndexedDataset<T>,
    signal: AbortSignal | undefined,
  ): Promise<LogitRows> {
    const { batchSize = 64, pad, dtypes } = this.options
    const model = this.options[which]
    const loader = new DataLoader<T, M>(samples, { batchSize, ...(pad ? { pad } : {}), ...(dtypes ? { dtypes } : {}) })
    let found = new Float32Array(0)
    let classes = 0
    let rows = 0
    await asTeachers([model], async () => {
      for await (const batch of loader) {
        signal?.throwIfAborted()
        using logits = await this.runs[which](tensorFields<Batch<T, M>>(batch))
        const { shape } = logits
        if (shape.length !== 2 || shape[0] !== Math.min(batchSize, samples.length - rows))
          throw new ShapeError(`cascade: the ${which} model gave ${formatShape(shape)}, not logits [B,C] of its batch`)
        classes = shape[1] as number
        if (found.length === 0) found = new Float32Array(samples.length * classes)
        found.set(Float32Array.from((await logits.data()) as Float32Array), rows * classes)
        rows += shape[0] as number
      }
    })
    return { data: found, classes }
  }

  /**
   * What the cascade says of samples: the small model answers all, those it is not sure of go to the large one together, in full
   * batches. Rejects with the signal's reason when it is aborted between batches.
   */
  async predict(samples: DatasetLike<T>, options: PredictOptions = {}): Promise<CascadePredictions> {
    const { signal } = optionsOf('predict', options)
    const { confidence: kind = 'probability' } = this.options
    signal?.throwIfAborted()
    const source = indexed('predict', samples)
    const count = source.length
    const small = await this.logits('small', source, signal)
    const { classes: classCount } = small
    const classes = new Int32Array(count)
    const probabilities = new Float32Array(count * classCount)
    const confidence = new Float32Array(count)
    const byLarge = new Uint8Array(count)
    const hard: number[] = []
    const answer = (row: number, given: Float64Array): void => {
      classes[row] = argmaxOf(given)
      probabilities.set(given, row * classCount)
    }
    for (let row = 0; row < count; row++) {
      const given = probabilitiesOf(small, row, this.calibration.small.temperature)
      const sure = confidenceOf(given, kind)
      confidence[row] = sure
      if (sure >= this.threshold) answer(row, given)
      else hard.push(row)
    }
    if (hard.length > 0) {
      const large = await this.logits('large', source.select(hard), signal)
      hard.forEach((row, i) => {
        answer(row, probabilitiesOf(large, i, this.calibration.large.temperature))
        byLarge[row] = 1
      })
    }
    const cost = count * this.cost.small + hard.length * this.cost.large
    return {
      classes,
      probabilities,
      classCount,
      confidence,
      byLarge,
      counts: { small: count - hard.length, large: hard.length },
      cost,
      costShare: count === 0 ? 0 : cost / (count * this.cost.large),
    }
  }
}

/**
 * Makes a cascade of a small and a large classifier. On held-out samples, temperatures are fitted to both (Guo et al. 2017), and the
 * threshold is chosen that reaches the target with as few samples as possible for the large model, or the best accuracy for a share
 * of it. Throws `ArgumentError` where no threshold reaches the target, with what can be reached.
 *
 * @example
 * const pair = await cascade({ small, large, forward, heldOut, label: ({ label }) => label, target: { below: 0.002 } })
 * const { classes, counts, costShare } = await pair.predict(samples)
 */
export async function cascade<S extends Module, L extends Module, T extends object, M extends string = never>(
  options: CascadeOptions<S, L, T, M>,
): Promise<Cascade<S, L, T, M>> {
  const op = 'cascade'
  const {
    small,
    large,
    forward,
    label,
    target,
    level,
    confidence = 'probability',
    batchSize = 64,
  } = optionsOf(op, options)
  for (const [name, model] of Object.entries({ small, large }))
    if (!(model instanceof Module))
      throw new ArgumentError(`${op}: the ${name} model is ${describe(model)}, not a module`)
  for (const [name, value] of Object.entries({ forward, label }))
    if (typeof value !== 'function')
      throw new ArgumentError(`${op}: ${name} must be a function, not ${describe(value)}`)
  const asked = Object.entries(optionsOf(op, target))
  const [[name, value] = ['', Number.NaN]] = asked
  if (asked.length !== 1 || !['accuracy', 'below', 'largeShare'].includes(name))
    throw new ArgumentError(`${op}: the target is one of { accuracy }, { below } and { largeShare }`)
  numberIn(op, `target.${name}`, value as number, 0, 1)
  if (level !== undefined && !(numberIn(op, 'the level', level, 0.5, 1) < 1))
    throw new ArgumentError(`${op}: the level is below 1`)
  oneOf(op, 'confidence', confidence, ['probability', 'margin', 'entropy'])
  integerFrom(op, 'batchSize', batchSize, 1)
  return new Cascade(options).fit()
}
