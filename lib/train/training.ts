// The loop of a training: epochs of steps, with validation, checkpoints and callbacks at their places.
import type { Parameter } from '../cell.js'
import { disposeBatch } from '../data/tensors.js'
import type { Checkpoint } from '../io/checkpoint.js'
import type { Module } from '../nn/module.js'
import { autocast } from '../ops/autocast.js'
import { ExponentialMovingAverage } from '../optim/average.js'
import type { Optimizer } from '../optim/optimizer.js'
import type { Device } from '../runtime/device.js'
import { ArgumentError, CheckpointError } from '../runtime/errors.js'
import { recordSpan } from '../runtime/spans.js'
import type { Tensor } from '../tensor.js'
import { holdBatch, type TensorFields } from './batch.js'
import { Callbacks } from './callbacks.js'
import { Checkpointing, type Kept, loadTensors, partsOf, tensorsOf } from './checkpointing.js'
import { EarlyStopping } from './earlyStopping.js'
import { numbersOf } from './evaluation.js'
import type { Interruption } from './interruption.js'
import type { Journal } from './journal.js'
import { diagnose } from './nonFinite.js'
import { metricOf, type Outcome, outcomeOf, reset, resultsOf } from './objective.js'
import type { DataState, HistoryEntry, Run, RunView, TrainingData, TrainOptions } from './options.js'
import { type RunState, runStateOf, runStateToJson } from './runState.js'
import { StepQueue, type TakenStep } from './stepQueue.js'
import { type StepFigures, TrainingStep } from './trainingStep.js'
import { Validation } from './validation.js'

export class Training<M extends Module, B extends object, O extends Outcome> {
  private readonly stepper: TrainingStep<M, B, O>
  private readonly average: ExponentialMovingAverage | undefined
  private readonly validation: Validation<M, B, O> | undefined
  private readonly stopping: EarlyStopping | undefined
  private readonly checkpoints: Checkpointing | undefined
  private readonly parts: readonly Kept[]
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
  private secondsBefore = 0
  /** The place that was saved last, is being saved, or is gone on from. */
  private saved: string | undefined

  constructor(
    private readonly model: M,
    private readonly data: TrainingData<B>,
    private readonly optimizer: Optimizer,
    private readonly options: TrainOptions<M, B, O>,
    private readonly journal: Journal,
    private readonly interruption: Interruption,
  ) {
    const { validation, earlyStopping, checkpoint, metrics = {} } = options
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
    this.stopping = earlyStopping && new EarlyStopping(earlyStopping)
    this.validation =
      validation && new Validation(model, validation, options, this.average, this.stopping, interruption)
    this.callbacks = new Callbacks(options.callbacks ?? [], () => this.view())
    this.parts = partsOf({
      model,
      optimizer,
      average: this.average,
      scaler: this.stepper.scaler,
      metrics: Object.fromEntries(Object.entries(metrics).map(([name, entry]) => [name, metricOf(entry)])),
      generators: typeof checkpoint === 'object' ? (checkpoint.generators ?? {}) : {},
    })
    const monitored = {
      metric: this.stopping?.monitor ?? 'validation/loss',
      mode: earlyStopping?.mode ?? 'min',
    } as const
    this.checkpoints =
      checkpoint === undefined
        ? undefined
        : new Checkpointing(checkpoint, validation && monitored, {
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
    try {
      return await this.loop()
    } finally {
      this.stepper.dispose()
    }
  }

  private async loop(): Promise<Run<M>> {
    const { validation, checkpoints } = this
    const found = await checkpoints?.latest()
    if (found) await this.resume(found)
    await this.journal.begin(this.step, this.total)
    if (found) this.note(`goes on from step ${this.step}, ${found.path}`)
    this.model.train()
    await this.callbacks.call('onStart')
    // One that was interrupted; the end of an epoch comes again by itself.
    if (validation?.dueAt(this.step) && validation.step < this.step) await this.validate(validation)
    while (!this.ended()) await this.runEpoch()
    await this.drain()
    if (validation && this.reason === undefined && validation.step < this.step) await this.validate(validation)
    // Twice, should what is still being saved fail.
    await checkpoints?.finish()
    await this.checkpoint()
    await checkpoints?.finish()
    await this.check()
    if (this.stopping?.restoreBest && validation?.best && !this.interruption.reason)
      this.model.loadStateDict(validation.best)
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
      validation: validation?.result,
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
        span('waiting for data', asked)
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
    const begun = performance.now()
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
    span(`step ${step}`, begun)
    await this.check()
    await this.callbacks.call('onStep')
    if (this.validation?.dueAt(step)) {
      await this.drain()
      await this.validate(this.validation)
    }
    if (this.checkpoints?.due(step, false)) await this.checkpoint()
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

  private async endEpoch(): Promise<void> {
    const { metrics = {} } = this.options
    await this.drain()
    const measured = numbersOf('train', await resultsOf(metrics))
    await reset(metrics)
    this.journal.write(this.step, { 'epoch/loss': this.journal.closeEpoch(), ...measured })
    // Where it is interrupted, the end of the epoch comes again when the run goes on.
    if (this.validation?.perEpoch && !(await this.validate(this.validation))) return
    this.epoch++
    this.open = false
    this.noteFigures()
    await this.callbacks.call('onEpoch')
    await this.journal.flush()
    if (this.checkpoints?.due(this.step, true)) await this.checkpoint()
    this.journal.restartTiming()
  }

  private noteFigures(): void {
    this.history.push({ step: this.step, epoch: this.epoch, figures: { ...this.journal.figures } })
  }

  /** Whether it came to its end. */
  private async validate(validation: Validation<M, B, O>): Promise<boolean> {
    const begun = performance.now()
    const figures = await validation.run(this.step)
    span('validation', begun)
    this.journal.restartTiming()
    if (!figures) return false
    this.journal.write(this.step, figures)
    if (!validation.perEpoch) this.noteFigures()
    await this.callbacks.call('onValidation', validation.result)
    return true
  }

  /** What tells a state of the run from all others. */
  private get place(): string {
    return `${this.step} ${this.epoch} ${this.open} ${this.validation?.step}`
  }

  private async checkpoint(): Promise<void> {
    if (!this.checkpoints || this.saved === this.place) return
    const begun = performance.now()
    await this.drain()
    this.saved = this.place
    const tensors = await tensorsOf(this.parts)
    span('copying for a checkpoint', begun)
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
      validatedAt: this.validation?.step ?? 0,
      seconds: this.seconds(),
      algorithms: this.device.algorithms(),
      callbacks: this.callbacks.save(),
    }
    const best = this.validation?.best
    const content = { tensors: { ...tensors, ...(best ? { best } : {}) }, json: runStateToJson(state) }
    await this.journal.flush()
    await this.checkpoints.save(this.step, content, this.journal.figures)
  }

  /** Becomes what it was when the checkpoint was saved. */
  private async resume(found: Checkpoint): Promise<void> {
    const state = runStateOf(found)
    if (state.data && !this.data.load) {
      throw new CheckpointError(`${found.path}: it has a position in the data, and these data can not go on from one`)
    }
    await loadTensors(found, this.parts)
    this.device.useAlgorithms(state.algorithms)
    if (state.data) this.data.load?.(state.data)
    this.callbacks.load(state.callbacks)
    if (state.earlyStopping) this.stopping?.load(state.earlyStopping)
    this.step = state.step
    this.epoch = state.epoch
    this.open = state.open
    this.position = state.data
    if (this.validation) {
      this.validation.step = state.validatedAt
      this.validation.best = found.tensors['best']
    }
    this.secondsBefore = state.seconds
    this.history.push(...state.history)
    this.stepper.microBatch = state.microBatch
    this.journal.load(state.sums, state.figures)
    this.saved = this.place
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

/** For traces: what the loop has done since `start`. */
const span = (name: string, start: number): void =>
  recordSpan({ name, category: 'train', lane: 'train', start, end: performance.now() })
