// train: a model, its data and what to do, as one promise of a run.

import type { Parameter } from '../cell.js'
import { Module } from '../nn/module.js'
import { integerFrom, optionsOf } from '../ops/arguments.js'
import { Optimizer } from '../optim/optimizer.js'
import { ArgumentError } from '../runtime/errors.js'
import { describe } from '../schema/describe.js'
import { Interruption } from './interruption.js'
import { Journal } from './journal.js'
import type { Log } from './log.js'
import { checkMetrics, type Outcome } from './objective.js'
import type { Run, TrainingData, TrainOptions } from './options.js'
import { HtmlReport } from './report.js'
import { Training } from './training.js'

const LOG_EVERY = 10

/** Steps there will be, where that is known. */
function stepsOf<M extends Module, B extends object, O extends Outcome>(
  data: TrainingData<B>,
  { epochs, steps, accumulate = 1 }: TrainOptions<M, B, O>,
): number | undefined {
  const perEpoch = data.length === undefined ? undefined : Math.ceil(data.length / accumulate)
  const byEpochs = epochs === undefined || perEpoch === undefined ? undefined : epochs * perEpoch
  if (steps === undefined) return byEpochs
  return byEpochs === undefined ? steps : Math.min(steps, byEpochs)
}

function check<M extends Module, B extends object, O extends Outcome>(
  model: M,
  data: TrainingData<B>,
  options: TrainOptions<M, B, O>,
): void {
  if (!(model instanceof Module)) throw new ArgumentError(`train: the model must be a module, not ${describe(model)}`)
  if (typeof data?.[Symbol.asyncIterator] !== 'function')
    throw new ArgumentError(
      `train: the data must be batches to iterate over, such as a DataLoader, not ${describe(data)}`,
    )
  const {
    epochs,
    steps,
    accumulate,
    logEvery,
    metrics,
    validation,
    checkpoint,
    callbacks = [],
  } = optionsOf('train', options)
  if (epochs === undefined && steps === undefined)
    throw new ArgumentError('train: say how long it goes: epochs, steps, or both')
  for (const [name, value] of Object.entries({
    epochs,
    steps,
    accumulate,
    logEvery,
    'validation.every': validation?.every,
  }))
    if (value !== undefined) integerFrom('train', name, value, 1)
  if (metrics !== undefined) checkMetrics(metrics)
  if (validation !== undefined && typeof validation.data?.[Symbol.asyncIterator] !== 'function')
    throw new ArgumentError(`train: validation.data must be batches to iterate over, not ${describe(validation.data)}`)
  if (options.earlyStopping && !validation)
    throw new ArgumentError('train: early stopping looks at a figure of the validation; give validation: { data }')
  const resumes = checkpoint !== undefined && (typeof checkpoint === 'string' || checkpoint.resume !== false)
  if (resumes && !(data.state && data.load)) {
    throw new ArgumentError(
      'train: a run with checkpoints goes on where it was, for which the data need state() and load(), as a DataLoader has; without that, say checkpoint: { folder, resume: false }',
    )
  }
  for (const callback of callbacks) {
    if (callback.save && callback.name === undefined)
      throw new ArgumentError('train: a callback with save needs a name, under which a checkpoint keeps it')
  }
}

/**
 * Trains a model: steps of the optimizer over the batches of `data`, epoch by epoch, until `epochs` or `steps` are done,
 * early stopping or a callback ends it, or `signal`, SIGINT or SIGTERM interrupt it. With `checkpoint` it goes on from
 * the last checkpoint in the folder, bit for bit as if it had never ended. Rejects with `ArgumentError` for options that
 * do not fit, `NonFiniteError` where loss or gradients are not finite (the model is then as before that step),
 * `OutOfMemoryError` where not even one sample fits, and with what callbacks, data and the loss function throw.
 *
 * @example
 * const run = await train(model, new DataLoader(digits, { batchSize: 64, shuffle: true }), {
 *   loss: (model, { image, label }) => crossEntropy(model.forward(image), label),
 *   optimizer: (parameters) => new optim.AdamW(parameters, { lr: 1e-3 }),
 *   epochs: 5,
 *   checkpoint: 'runs/digits',
 * })
 */
export async function train<M extends Module, B extends object, O extends Outcome = Outcome>(
  model: M,
  data: TrainingData<B>,
  options: TrainOptions<M, B, O>,
): Promise<Run<M>> {
  check(model, data, options)
  const { progress = true, logEvery = LOG_EVERY, checkpoint } = options
  const optimizer = optimizerOf(model, options.optimizer)
  optimizer.totalSteps ??= stepsOf(data, options)
  const device = (optimizer.parameters[0] as Parameter).device
  const logs = [...(options.logs ?? []), ...reportOf(model, optimizer, options)]
  const journal = new Journal(logs, progress === true ? {} : progress || undefined, logEvery, device)
  using interruption = new Interruption(options.signal, options.handleSignals ?? checkpoint !== undefined, (reason) =>
    journal.note(
      undefined,
      `${reason}: the step in progress is finished and all is saved; a second signal ends it at once`,
    ),
  )
  let state: 'finished' | 'stopped' = 'stopped'
  try {
    const run = await new Training<M, B, O>(model, data, optimizer, options, journal, interruption).run()
    if (interruption.reason === undefined) state = 'finished'
    return run
  } finally {
    await journal.close(state)
    interruption.leave()
  }
}

/** The report that is asked for, with what the run was told as its settings. */
function reportOf<M extends Module, B extends object, O extends Outcome>(
  model: M,
  optimizer: Optimizer,
  options: TrainOptions<M, B, O>,
): Log[] {
  if (options.report === undefined) return []
  const parameters = model.parameters()
  const settings = Object.entries({
    model: model.constructor.name,
    parameters: parameters.reduce((sum, { size }) => sum + size, 0),
    optimizer: optimizer.constructor.name,
    'learning rate': typeof optimizer.lr === 'number' ? optimizer.lr : 'a schedule',
    epochs: options.epochs,
    steps: options.steps ?? optimizer.totalSteps,
    'batches per step': options.accumulate,
    precision: options.precision ?? 'f32',
    'gradients clipped at': options.clipNorm,
    device: `${parameters[0]?.device.name} (${parameters[0]?.device.instructionSet})`,
  })
  const given = settings.filter((entry): entry is [string, string | number] => entry[1] !== undefined)
  return [new HtmlReport(options.report, { settings: Object.fromEntries(given) })]
}

function optimizerOf(model: Module, given: Optimizer | ((parameters: Parameter[]) => Optimizer)): Optimizer {
  const made = typeof given === 'function' ? given(model.parameters({ trainable: true })) : given
  if (made instanceof Optimizer) return made
  throw new ArgumentError(`train: optimizer must be an optimizer, or make one of parameters, not ${describe(made)}`)
}
