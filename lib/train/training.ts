// The loop of a training: epochs of steps, with validation, checkpoints and callbacks at their places.
import type { Parameter } from '../cell.js'
import { disposeBatch } from '../data/tensors.js'
import type { Checkpoint } from '../io/checkpoint.js'
import type { Module } from '../nn/module.js'
import { autocast } from '../ops/autocast.js'
import { defaultGenerator } from '../ops/random.js'
import { ExponentialMovingAverage } from '../optim/average.js'
import type { Optimizer } from '../optim/optimizer.js'
import type { Device } from '../runtime/device.js'
import { ArgumentError, CheckpointError } from '../runtime/errors.js'
import type { StateDict } from '../state.js'
import { scope, type Tensor } from '../tensor.js'
import { holdBatch, type TensorFields } from './batch.js'
import { Callbacks } from './callbacks.js'
import { EarlyStopping } from './earlyStopping.js'
import { Evaluation, type EvaluationResult, numbersOf } from './evaluation.js'
import type { Interruption } from './interruption.js'
import type { Journal } from './journal.js'
import { Keeper, type Kept, loadTensors, tensorsOf } from './keeper.js'
import { diagnose } from './nonFinite.js'
import { metricOf, type Outcome, outcomeOf } from './objective.js'
import type { DataState, HistoryEntry, Run, RunView, TrainingData, TrainOptions } from './options.js'
import { type RunState, runStateOf, runStateToJson } from './runState.js'
import { StepQueue, type TakenStep } from './stepQueue.js'
import { type StepFigures, TrainingStep } from './trainingStep.js'

export class Training<M extends Module, B extends object, O extends Outcome> {
  private readonly stepper: TrainingStep<M, B, O>
  private readonly average: ExponentialMovingAverage | undefined
  private readonly evaluation: Evaluation<M, B, O> | undefined
  private readonly stopping: EarlyStopping | undefined
  private readonly keeper: Keeper | undefined
  private readonly begun = performance.now()
  private readonly history: HistoryEntry[] = []
  private readonly queue = new StepQueue<B>((taken, figures) => this.stepDone(taken, figures))
  private readonly callbacks: Callbacks<M>
  /** Why it ends, once that is decided. */
  private reason: string | undefined
  private step = 0
  private epoch = 0
  private open = false
  private position: DataState | undefined
  private validatedAt = 0
  private validation: EvaluationResult | undefined
  private best: StateDict | undefined
  private secondsBefore = 0
  /** The place that was saved last, or is being saved. */
  private saved: string | undefined

  constructor(
    private readonly model: M,
    private readonly data: TrainingData<B>,
    private readonly optimizer: Optimizer,
    private readonly options: TrainOptions<M, B, O>,
    private readonly journal: Journal,
    private readonly interruption: Interruption,
  ) {
    const { validation, earlyStopping, checkpoint } = options
    this.average = options.average && new ExponentialMovingAverage(optimizer.parameters, options.average)
    this.stepper = new TrainingStep<M, B, O>(model, {
      ...options,
      optimizer,
      average: this.average,
      onMicroBatch: (samples) =>
        this.note(
          `out of memory: from here on ${samples} samples go through the model at once; a step is still of all`,
        ),
    })
    this.evaluation = validation && new Evaluation<M, B, O>(model, { ...options, metrics: validation.metrics })
    this.stopping = earlyStopping && new EarlyStopping(earlyStopping)
    this.callbacks = new Callbacks(options.callbacks ?? [], () => this.view())
    const monitored = {
      metric: this.stopping?.monitor ?? 'validation/loss',
      mode: earlyStopping?.mode ?? 'min',
    } as const
    this.keeper =
      checkpoint === undefined
        ? undefined
        : new Keeper(checkpoint, validation && monitored, {
            saved: (info) =>
              void this.callbacks.call('onCheckpoint', info).catch((error: unknown) => this.queue.fail(error)),
            failed: (step, error) => {
              this.saved = undefined
              this.journal.warn(
                this.step,
                `the checkpoint of step ${step} could not be saved; the run goes on, with the one before: ${error.message}`,
              )
            },
          })
  }

  private get device(): Device {
    return (this.optimizer.parameters[0] as Parameter).device
  }

  /** Steps that there will be, by what is known. */
  private get total(): number | undefined {
    return this.optimizer.totalSteps
  }

  async run(): Promise<Run<M>> {
    const found = await this.keeper?.latest()
    if (found) await this.resume(found)
    await this.journal.begin(this.step, this.total)
    if (found) this.note(`goes on from step ${this.step}, ${found.path}`)
    this.model.train()
    await this.callbacks.call('onStart')
    // One that was interrupted; the end of an epoch comes again by itself.
    const every = this.options.validation?.every
    if (every !== undefined && this.step > this.validatedAt && this.step % every === 0) await this.validate()
    while (!this.ended()) await this.runEpoch()
    await this.drain()
    if (this.options.validation && this.reason === undefined && this.validatedAt < this.step) await this.validate()
    // Twice, should what is still being saved fail.
    await this.keeper?.finish()
    await this.checkpoint()
    await this.keeper?.finish()
    await this.check()
    if (this.stopping?.restoreBest && this.best && !this.interruption.reason) this.model.loadStateDict(this.best)
    await this.callbacks.call('onEnd')
    return {
      model: this.model,
      optimizer: this.optimizer,
      average: this.average,
      steps: this.step,
      epochs: this.epoch,
      stopped: this.reason ?? 'finished',
      history: this.history,
      best: this.stopping?.bestSoFar,
      validation: this.validation,
      seconds: this.seconds(),
    }
  }

  private seconds(): number {
    return this.secondsBefore + (performance.now() - this.begun) / 1000
  }

  private ended(): boolean {
    const { epochs = Number.POSITIVE_INFINITY, steps = Number.POSITIVE_INFINITY } = this.options
    if (this.stopping?.exhausted) this.reason ??= 'early stopping'
    this.reason ??= this.interruption.reason
    return this.reason !== undefined || this.step >= steps || this.epoch >= epochs
  }

  /** Batches up to the end of the epoch, or up to the end of the run. */
  private async runEpoch(): Promise<void> {
    const { accumulate = 1 } = this.options
    let group: TensorFields<B>[] = []
    const resumed = this.open
    let first = true
    try {
      let asked = performance.now()
      for await (const batch of this.data) {
        this.journal.waitedForData(performance.now() - asked)
        if (first && resumed && this.position && this.dataEpoch() > this.position.epoch) {
          // The checkpoint was saved behind the last batch of its epoch, whose end comes first.
          await this.endEpoch()
          if (this.ended()) return
        }
        first = false
        group.push(holdBatch(batch))
        const position = this.data.state?.()
        if (group.length >= accumulate) {
          const full = group
          group = []
          await this.takeStep(full, position)
          if (this.ended()) return
        }
        asked = performance.now()
      }
      const position = this.data.state?.()
      if (group.length > 0) {
        const rest = group
        group = []
        await this.takeStep(rest, position)
        if (this.reason !== undefined) return
      }
    } finally {
      for (const batch of group) disposeBatch(batch)
    }
    if (first && !resumed) throw new ArgumentError('train: the data gave no batch; an epoch must have at least one')
    await this.endEpoch()
  }

  /** The epoch that the data are in. */
  private dataEpoch(): number {
    return this.data.state?.().epoch ?? 0
  }

  private async takeStep(batches: readonly TensorFields<B>[], position: DataState | undefined): Promise<void> {
    const step = this.step + 1
    try {
      this.queue.add(step, batches, await this.stepper.run(...(batches as unknown as B[])))
    } catch (error) {
      batches.forEach(disposeBatch)
      throw error
    }
    this.step = step
    this.position = position
    this.open = true
    await this.queue.vacancy()
    await this.check()
    await this.callbacks.call('onStep')
    const { validation } = this.options
    if (validation?.every !== undefined && step % validation.every === 0) {
      await this.drain()
      await this.validate()
    }
    if (this.keeper?.due(step, false)) await this.checkpoint()
  }

  /** Whether the run may go on after a step with these figures. */
  private stepDone({ step, samples }: TakenStep<B>, figures: StepFigures): boolean {
    const finite = Number.isFinite(figures.loss) && (figures.applied || this.stepper.scaler !== undefined)
    if (!finite && (this.options.nonFinite ?? 'stop') === 'stop') return false
    if (!figures.applied) this.note(`step ${step} was skipped: its loss or gradients are not finite`, step)
    this.journal.stepDone(step, samples, figures, this.total)
    return true
  }

  /** Throws what went wrong with a step that was accepted. */
  private async check(): Promise<void> {
    const { failure, fault } = this.queue
    if (failure) throw failure.error
    if (!fault) return
    await this.queue.drain()
    const { loss, precision = 'f32' } = this.options
    const lossOf = (batch: TensorFields<B>): Tensor =>
      autocast(precision, () => outcomeOf(loss(this.model, batch))).loss
    try {
      throw await diagnose(this.model, lossOf, fault, this.stepper.microBatch)
    } finally {
      fault.batches.forEach(disposeBatch)
    }
  }

  private async drain(): Promise<void> {
    await this.queue.drain()
    await this.check()
  }

  /** What is computed at an epoch's end without being compiled is given back at once. */
  private endEpoch(): Promise<void> {
    return scope(() => this.closeEpoch())
  }

  private async closeEpoch(): Promise<void> {
    await this.drain()
    const measured = await this.trainingMetrics()
    this.journal.write(this.step, { 'epoch/loss': this.journal.closeEpoch(), ...measured })
    if (this.options.validation && this.options.validation.every === undefined) {
      await this.validate()
      // Interrupted: the end of the epoch comes again when the run goes on.
      if (this.validatedAt < this.step) return
    }
    this.epoch++
    this.open = false
    this.history.push({ step: this.step, epoch: this.epoch, figures: { ...this.journal.figures } })
    await this.callbacks.call('onEpoch')
    await this.journal.flush()
    if (this.keeper?.due(this.step, true)) await this.checkpoint()
    this.journal.restartTiming()
  }

  private async trainingMetrics(): Promise<Record<string, number>> {
    const entries = Object.entries(this.options.metrics ?? {}).map(([name, entry]) => [name, metricOf(entry)] as const)
    const results = await Promise.all(entries.map(async ([name, metric]) => [name, await metric.result()] as const))
    for (const [, metric] of entries) metric.reset()
    return numbersOf('train', Object.fromEntries(results) as EvaluationResult)
  }

  private validate(): Promise<void> {
    return scope(() => this.evaluate())
  }

  private async evaluate(): Promise<void> {
    const { data } = this.options.validation as { readonly data: AsyncIterable<B> }
    this.average?.swap()
    try {
      const result = await (this.evaluation as Evaluation<M, B, O>).run(data, this.interruption.abort)
      this.validation = result
      this.validatedAt = this.step
      const figures = numbersOf('validation', result)
      this.journal.write(this.step, figures)
      if (this.stopping?.update(this.step, figures) && this.stopping.restoreBest) {
        this.best = await this.model.stateDict({ bits: true })
      }
      if (this.options.validation?.every !== undefined)
        this.history.push({ step: this.step, epoch: this.epoch, figures: { ...this.journal.figures } })
    } catch (error) {
      if (this.interruption.reason === undefined) throw error
      return
    } finally {
      this.average?.restore()
      this.model.train()
      this.journal.restartTiming()
    }
    await this.callbacks.call('onValidation', this.validation as EvaluationResult)
  }

  /** Everything with tensors that a checkpoint holds. */
  private parts(): Kept[] {
    const { metrics = {}, checkpoint } = this.options
    const named = (group: string, part: Omit<Kept, 'group'>): Kept => ({
      group,
      stateDict: () => part.stateDict(),
      loadStateDict: (state) => part.loadStateDict(state),
    })
    const { model, optimizer } = this
    const generators = typeof checkpoint === 'object' ? (checkpoint.generators ?? {}) : {}
    return [
      {
        group: 'model',
        stateDict: () => model.stateDict({ bits: true }),
        loadStateDict: (s) => model.loadStateDict(s),
      },
      {
        group: 'optimizer',
        stateDict: () => optimizer.stateDict({ bits: true }),
        loadStateDict: (s) => optimizer.loadStateDict(s),
      },
      named('random', defaultGenerator()),
      ...Object.entries(generators).map(([name, generator]) => named(`random.${name}`, generator)),
      ...(this.average ? [named('average', this.average)] : []),
      ...(this.stepper.scaler ? [named('scale', this.stepper.scaler)] : []),
      ...Object.entries(metrics).map(([name, entry]) => named(`metric.${name}`, metricOf(entry))),
    ]
  }

  /** What tells a state of the run from all others. */
  private get place(): string {
    return `${this.step} ${this.epoch} ${this.open}`
  }

  private async checkpoint(): Promise<void> {
    if (!this.keeper || this.saved === this.place) return
    await this.drain()
    this.saved = this.place
    const tensors = await tensorsOf(this.parts())
    const state: RunState = {
      step: this.step,
      epoch: this.epoch,
      open: this.open,
      data: this.position,
      sums: this.journal.state(),
      figures: this.journal.figures,
      history: this.history,
      microBatch: this.stepper.microBatch,
      earlyStopping: this.stopping?.state(),
      validatedAt: this.validatedAt,
      seconds: this.seconds(),
      algorithms: this.device.algorithms(),
      callbacks: this.callbacks.save(),
    }
    const content = {
      tensors: { ...tensors, ...(this.best ? { best: this.best } : {}) },
      json: runStateToJson(state),
    }
    await this.journal.flush()
    await this.keeper.save(this.step, content, this.journal.figures)
  }

  /** Becomes what it was when the checkpoint was saved. */
  private async resume(found: Checkpoint): Promise<void> {
    const state = runStateOf(found)
    if (state.data && !this.data.load) {
      throw new CheckpointError(`${found.path}: it has a position in the data, and these data can not go on from one`)
    }
    await loadTensors(found, this.parts())
    this.device.useAlgorithms(state.algorithms)
    this.best = found.tensors['best']
    if (state.data) this.data.load?.(state.data)
    this.callbacks.load(state.callbacks)
    if (state.earlyStopping) this.stopping?.load(state.earlyStopping)
    this.step = state.step
    this.epoch = state.epoch
    this.open = state.open
    this.position = state.data
    this.validatedAt = state.validatedAt
    this.secondsBefore = state.seconds
    this.history.push(...state.history)
    this.stepper.microBatch = state.microBatch
    this.journal.load(state.sums, state.figures)
  }

  private note(text: string, step = this.step): void {
    this.journal.note(step, text)
  }

  private view(): RunView<M> {
    return {
      model: this.model,
      optimizer: this.optimizer,
      step: this.step,
      epoch: this.epoch,
      figures: this.journal.figures,
      stop: (reason) => {
        this.reason ??= reason
      },
      note: (text) => this.note(text),
    }
  }
}
