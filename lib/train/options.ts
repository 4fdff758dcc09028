// What a training is told, and what comes of it.

import type { Parameter } from '../cell.js'
import type { DataLoader, LoaderState } from '../data/loader.js'
import type { CheckpointInfo } from '../io/checkpoint.js'
import type { Json } from '../io/checkpointManifest.js'
import type { BestBy } from '../io/checkpointStore.js'
import type { Module } from '../nn/module.js'
import type { Generator } from '../ops/random.js'
import type { AverageOptions, ExponentialMovingAverage } from '../optim/average.js'
import type { Optimizer } from '../optim/optimizer.js'
import type { EarlyStoppingOptions } from './earlyStopping.js'
import type { EvaluationResult } from './evaluation.js'
import type { InterruptionReason } from './interruption.js'
import type { Log, LogValues } from './log.js'
import type { Metrics, Outcome } from './objective.js'
import type { ProgressOptions } from './progress.js'
import type { TrainingStepOptions } from './trainingStep.js'

/** Where data are; what else it holds is theirs. Plain JSON. */
export type DataState = Pick<LoaderState, 'epoch'>

/** Batches, an epoch per iteration; `state` and `load` make exact resuming possible. A `DataLoader` is such. */
export interface TrainingData<B extends object> extends AsyncIterable<B> {
  /** Batches of an epoch, where that is known. */
  readonly length?: number | undefined
  /** After the batch that was handed out last. */
  state?(): DataState
  /** The next iteration goes on behind that batch; behind the last of an epoch, with the next epoch. */
  load?(state: DataState): void
}

export interface ValidationOptions<B extends object, O extends Outcome> {
  readonly data: AsyncIterable<B>
  /** Measured beside the mean loss; each is `validation/name` among the figures. */
  readonly metrics?: Metrics<B, O>
  /** Steps between validations. Default: at the end of each epoch. */
  readonly every?: number
}

export interface CheckpointOptions {
  /** The folder of the run's checkpoints; other runs have others. */
  readonly folder: string
  /** Steps or minutes between checkpoints; there is always one at the end. Default: at the end of each epoch. */
  readonly every?: { readonly steps: number } | { readonly minutes: number }
  /** How many of the last are kept. Default 3. */
  readonly keep?: number
  /** One more is kept: the best by one of the figures. Default: what early stopping monitors, else the least `validation/loss`. */
  readonly best?: BestBy
  /** Whether the run goes on from the last checkpoint where there is one. Default true. With false the folder must be empty. */
  readonly resume?: boolean
  /** Generators besides the default one whose place is saved, by name. */
  readonly generators?: Readonly<Record<string, Generator>>
}

/** What a callback sees, and how it ends the run. */
export interface RunView<M extends Module = Module> {
  readonly model: M
  readonly optimizer: Optimizer
  /** Steps done. */
  readonly step: number
  /** Epochs done. */
  readonly epoch: number
  /** The latest of each figure, by name. */
  readonly figures: LogValues
  /** Ends the run after this step, for a reason that the run then gives. */
  stop(reason: string): void
  /** Writes a line to the progress and to the logs. */
  note(text: string): void
}

type Awaitable = void | Promise<void>

/** Called along a run, which waits for it. What it throws ends the run. */
export interface Callback<M extends Module = Module> {
  /** Names its state in checkpoints; needed with `save`. */
  readonly name?: string
  onStart?(run: RunView<M>): Awaitable
  /** After every step that was accepted; its figures may still be on their way. */
  onStep?(run: RunView<M>): Awaitable
  onValidation?(run: RunView<M>, result: EvaluationResult): Awaitable
  onEpoch?(run: RunView<M>): Awaitable
  onCheckpoint?(run: RunView<M>, checkpoint: CheckpointInfo): Awaitable
  onEnd?(run: RunView<M>): Awaitable
  /** What it has to remember in a checkpoint, and the reverse. */
  save?(): Json
  load?(state: Json): void
}

export interface TrainOptions<M extends Module, B extends object, O extends Outcome>
  extends Omit<TrainingStepOptions<M, B, O>, 'optimizer' | 'average' | 'onMicroBatch'> {
  /** The optimizer, or what makes it of the model's trainable parameters. Its `totalSteps` is set unless it has one. */
  readonly optimizer: Optimizer | ((parameters: Parameter[]) => Optimizer)
  /** How often the data are gone through. It ends with the first of `epochs` and `steps` that is reached. */
  readonly epochs?: number
  /** Steps of the optimizer. */
  readonly steps?: number
  /** Batches per step. Default 1. The last step of an epoch may have fewer. */
  readonly accumulate?: number
  /** An average of the parameters is kept and used for validation; `run.average` has it. */
  readonly average?: AverageOptions
  readonly validation?: ValidationOptions<B, O>
  /** Ends the run when validation no longer gets better. */
  readonly earlyStopping?: EarlyStoppingOptions
  /** A folder, or more about checkpoints. Default: none are saved. */
  readonly checkpoint?: string | CheckpointOptions
  readonly callbacks?: readonly Callback<M>[]
  /** Where figures and notes are written; they are closed at the end. */
  readonly logs?: readonly Log[]
  /** Steps between figures in logs. Default 10. */
  readonly logEvery?: number
  /** An HTML file with curves, timings and memory, for a browser. */
  readonly report?: string
  /** Progress on standard error, or elsewhere. Default true. */
  readonly progress?: boolean | Pick<ProgressOptions, 'stream' | 'intervalMs'>
  /** Ends the run after the step in progress: the checkpoint is saved and the promise resolves. */
  readonly signal?: AbortSignal
  /**
   * Whether SIGINT and SIGTERM end the run after the step in progress; when the checkpoint is saved the process ends by that
   * signal. Default: where there is a checkpoint.
   */
  readonly handleSignals?: boolean
}

/** Figures at the end of an epoch, or at a validation within one. */
export interface HistoryEntry {
  readonly step: number
  /** Epochs done. */
  readonly epoch: number
  /** `epoch/loss`, the mean over the epoch, `validation/loss` and what else was measured, by name. */
  readonly figures: LogValues
}

/** A run that has ended. */
export interface Run<M extends Module> {
  /** The model it was given. With early stopping it has the parameters of its best validation. */
  readonly model: M
  readonly optimizer: Optimizer
  /** The average of the parameters; `swap()` puts it into the model. */
  readonly average: ExponentialMovingAverage | undefined
  readonly steps: number
  readonly epochs: number
  /** `finished`, `early stopping`, `aborted`, a signal's name, or what a callback said. */
  readonly stopped: 'finished' | 'early stopping' | InterruptionReason | (string & {})
  readonly history: readonly HistoryEntry[]
  /** The best figure that early stopping has seen. */
  readonly best: { readonly value: number; readonly step: number } | undefined
  /** What the last validation gave, metrics that are no numbers included; undefined where there was none since the start. */
  readonly validation: EvaluationResult | undefined
  /** Seconds in all, those before it was resumed included. */
  readonly seconds: number
}

export type { DataLoader }
