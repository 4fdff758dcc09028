// distill: trains a student on what teachers say, teacher and student in one compiled step.
import type { Module } from '../nn/module.js'
import { numberIn } from '../ops/arguments.js'
import { crossEntropy } from '../ops/crossEntropy.js'
import { add, mul } from '../ops/element.js'
import { stopGradient } from '../ops/view.js'
import { ArgumentError } from '../runtime/errors.js'
import type { Tensor } from '../tensor.js'
import type { TensorFields } from '../train/batch.js'
import { type Outcome, outcomeOf } from '../train/objective.js'
import type { Run, TrainingData, TrainOptions } from '../train/options.js'
import { train } from '../train/train.js'
import { asTeachers, checkTeachers, Distillation } from './distillation.js'
import { type SoftTargetOptions, softTargets } from './losses/soft.js'
import { logitsOf, type Outputs } from './outputs.js'
import { TeacherCache } from './teacherCache.js'

/** What every teacher gave for a batch: at least one. */
export type FromTeachers<R> = readonly [R, ...R[]]

export interface DistillOptions<
  S extends Module,
  T extends Module,
  B extends object,
  R extends Outputs,
  O extends Outcome = Outcome,
> extends Omit<TrainOptions<Distillation<S>, B, O>, 'loss'>,
    Pick<SoftTargetOptions, 'temperature' | 'weights' | 'combine'> {
  /** Runs a model on a batch: gives logits, or `{ logits, ... }` with whatever else `loss` compares. */
  readonly forward: (model: S | T, batch: TensorFields<B>) => R
  /** Runs a teacher, where that goes another way. Default `forward`. */
  readonly teacherForward?: (teacher: T, batch: TensorFields<B>) => R
  /** The right classes of a batch, for the hard share and for metrics. Default: there are none, all is learnt from the teacher. */
  readonly labels?: (batch: TensorFields<B>) => Tensor
  /** The share of the cross entropy with the labels, from 0 to 1. Default 0.1 where there are labels. */
  readonly hardShare?: number
  /**
   * The loss, in place of soft targets: of what the student gave, what the teachers gave (without gradients), and the batch.
   * The student's outputs may be put beside it for metrics, as in `train`.
   */
  readonly loss?: (student: R, teachers: FromTeachers<R>, batch: TensorFields<B>) => Tensor | O
  /** Modules that `loss` uses and that are trained with the student, such as `HiddenMatching`, by name. */
  readonly with?: Readonly<Record<string, Module>>
}

/** Soft targets, and labels where there are any. */
function usualLoss<R extends Outputs, B>(
  student: R,
  teachers: FromTeachers<R>,
  batch: TensorFields<B>,
  options: Pick<SoftTargetOptions, 'temperature' | 'weights' | 'combine'> & {
    readonly labels?: ((batch: TensorFields<B>) => Tensor) | undefined
    readonly hardShare?: number | undefined
  },
): Outcome {
  const { labels, hardShare = labels ? 0.1 : 0, temperature, weights, combine } = options
  const given = { temperature, weights, combine }
  const soft = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined))
  const predictions = logitsOf('distill', student)
  const kept = softTargets(
    predictions,
    teachers.map((one) => logitsOf('distill', one)),
    soft,
  )
  const targets = labels?.(batch)
  if (!targets) return { loss: kept, predictions }
  const loss =
    hardShare === 0 ? kept : add(mul(crossEntropy(predictions, targets), hardShare), mul(kept, 1 - hardShare))
  return { loss, predictions, targets }
}

/** The outputs with nothing behind them to differentiate. */
function withoutGradient<R extends Outputs>(outputs: R): R {
  const map = (value: Outputs): Outputs => {
    if (Array.isArray(value)) return value.map((item: Outputs) => map(item))
    if (typeof value === 'object' && 'shape' in value && 'dtype' in value) return stopGradient(value as Tensor)
    return Object.fromEntries(
      Object.entries(value as Readonly<Record<string, Outputs | undefined>>).flatMap(([name, item]) =>
        item === undefined ? [] : [[name, map(item)]],
      ),
    )
  }
  return map(outputs) as R
}

/** What a cache has for a batch, in the form that forward gave; undefined where the batch came from elsewhere. */
function cachedOutputs<R extends Outputs>(batch: object): R | undefined {
  const { teacher } = batch as { readonly teacher?: Outputs }
  if (teacher === undefined) return undefined
  // Lists went to disk as objects by position.
  const listed = (value: Outputs): Outputs => {
    if (typeof value !== 'object' || 'shape' in value) return value
    const entries = Object.entries(value as Readonly<Record<string, Outputs>>).map(
      ([name, item]) => [name, listed(item)] as const,
    )
    return entries.every(([name], i) => name === String(i))
      ? entries.map(([, item]) => item)
      : Object.fromEntries(entries)
  }
  return listed(teacher) as R
}

/**
 * Trains `student` on what `teacher` (a module, a list of them, or a `cacheTeacher`) says of the batches of `data`: by default
 * soft targets at `temperature` 4, mixed with the labels where `labels` gives them (Hinton et al. 2015). It is `train` with
 * that loss: everything else in the options, validation and checkpoints included, is `train`'s. Teachers are in `eval` mode
 * meanwhile, compiled into the same step, and get no gradient. What is trained is a `Distillation`; the run's `model` is the
 * student. Throws as `train` does, and `ArgumentError` for a student that has parameters of a teacher.
 *
 * @example
 * const run = await distill(student, teacher, loader, {
 *   forward: (model, { image }) => model.forward(image),
 *   labels: ({ label }) => label,
 *   optimizer: (parameters) => new optim.AdamW(parameters, { lr: 1e-3 }),
 *   epochs: 10,
 * })
 */
export async function distill<
  S extends Module,
  T extends Module,
  B extends object,
  R extends Outputs,
  O extends Outcome = Outcome,
>(
  student: S,
  teacher: T | readonly T[] | TeacherCache<T>,
  data: TrainingData<B>,
  options: DistillOptions<S, T, B, R, O>,
): Promise<Run<S>> {
  const op = 'distill'
  const cache = teacher instanceof TeacherCache ? (teacher as TeacherCache<T>) : undefined
  const teachers = cache ? [cache.teacher] : Array.isArray(teacher) ? (teacher as readonly T[]) : [teacher as T]
  checkTeachers(op, student, teachers)
  const { forward, labels, hardShare, temperature, weights, combine, loss, with: criteria = {}, ...rest } = options
  const { teacherForward = forward as (teacher: T, batch: TensorFields<B>) => R, ...training } = rest
  if (typeof forward !== 'function')
    throw new ArgumentError(`${op}: forward runs a model on a batch: (model, batch) => logits`)
  if (hardShare !== undefined) {
    numberIn(op, 'hardShare', hardShare, 0, 1)
    if (!labels && hardShare > 0) throw new ArgumentError(`${op}: a hard share needs labels: (batch) => batch.label`)
  }
  const answers = (batch: TensorFields<B>): FromTeachers<R> => {
    const known = cache && cachedOutputs<R>(batch)
    if (known) return [withoutGradient(known)]
    const run = cache ? (cache.forward as (teacher: T, batch: TensorFields<B>) => R) : teacherForward
    return teachers.map((one) => withoutGradient(run(one, batch))) as unknown as FromTeachers<R>
  }
  const objective = ({ student: model }: Distillation<S>, batch: TensorFields<B>): O => {
    const mine = forward(model, batch)
    const theirs = answers(batch)
    return loss
      ? outcomeOf(loss(mine, theirs, batch))
      : (usualLoss<R, B>(mine, theirs, batch, { labels, hardShare, temperature, weights, combine } as never) as O)
  }
  return asTeachers(teachers, async () => {
    const run = await train<Distillation<S>, B, O>(new Distillation(student, criteria), data, {
      ...(training as Omit<TrainOptions<Distillation<S>, B, O>, 'loss'>),
      loss: objective,
    })
    return { ...run, model: student }
  })
}
