// The checkpoints of a run: what they hold, when they are saved, and how the run goes on from one.
import type { Checkpoint, CheckpointContent, CheckpointInfo } from '../io/checkpoint.js'
import { type BestBy, CheckpointStore } from '../io/checkpointStore.js'
import type { Module } from '../nn/module.js'
import { integerFrom, numberIn, optionsOf } from '../ops/arguments.js'
import { defaultGenerator, type Generator } from '../ops/random.js'
import type { ExponentialMovingAverage } from '../optim/average.js'
import type { LossScale } from '../optim/lossScale.js'
import type { Optimizer } from '../optim/optimizer.js'
import { ArgumentError, CheckpointError, HeddleError } from '../runtime/errors.js'
import { describe } from '../schema/describe.js'
import type { StateDict } from '../state.js'
import type { LogValues } from './log.js'
import type { Metric } from './metrics/metric.js'
import type { CheckpointOptions } from './options.js'

/** Something with tensors in a checkpoint, under the name of its group. */
export interface Kept {
  readonly group: string
  stateDict(): Promise<StateDict>
  loadStateDict(state: StateDict): void
}

const DEFAULT_KEEP = 3

/** Saves in the background: a run waits only for the one before. */
export class Checkpointing {
  private readonly store: CheckpointStore
  private readonly options: CheckpointOptions
  private saving: Promise<void> = Promise.resolve()
  private lastSaved = performance.now()

  constructor(
    options: string | CheckpointOptions,
    best: BestBy | undefined,
    private readonly told: { saved(info: CheckpointInfo): void; failed(step: number, error: CheckpointError): void },
  ) {
    const given: CheckpointOptions =
      typeof options === 'string' ? { folder: options } : optionsOf('checkpoint', options)
    const { folder, keep = DEFAULT_KEEP, every } = given
    this.options = given
    const by = given.best ?? best
    this.store = new CheckpointStore(folder, {
      keep: integerFrom('checkpoint', 'keep', keep, 1),
      ...(by ? { keepBest: { ...by, count: 1 } } : {}),
    })
    if (every !== undefined) checkEvery(every)
  }

  /** Whether one is due after `step`, the epoch having ended or not. */
  due(step: number, epochEnded: boolean): boolean {
    const { every } = this.options
    if (!every) return epochEnded
    if ('steps' in every) return !epochEnded && step % every.steps === 0
    return performance.now() - this.lastSaved >= every.minutes * 60_000
  }

  /** The last checkpoint to go on from. Throws `CheckpointError` where there is one that must not be gone on from. */
  async latest(): Promise<Checkpoint | undefined> {
    if (this.options.resume === false) {
      if ((await this.store.list()).length === 0) return undefined
      throw new CheckpointError(
        `train: there are checkpoints in ${this.store.root} already; take another folder, remove it, or let the run go on from them with resume: true`,
      )
    }
    return this.store.latest()
  }

  /** Begins to save; resolves when that has begun, for which the one before must have ended. */
  async save(step: number, content: CheckpointContent, figures: LogValues): Promise<void> {
    await this.saving
    this.lastSaved = performance.now()
    this.saving = this.store.save(step, content, figures).then(this.told.saved, (error: unknown) => {
      const known = error instanceof HeddleError ? error : new CheckpointError(String(error), { cause: error })
      this.told.failed(step, known as CheckpointError)
    })
  }

  /** Settles when nothing is being saved. */
  finish(): Promise<void> {
    return this.saving
  }
}

function checkEvery(every: NonNullable<CheckpointOptions['every']>): void {
  if ('steps' in every) integerFrom('checkpoint', 'every.steps', every.steps, 1)
  else if ('minutes' in every) numberIn('checkpoint', 'every.minutes', every.minutes, 0)
  else throw new ArgumentError(`checkpoint: every is { steps } or { minutes }, not ${describe(every)}`)
}

/** What a run is made of that has tensors. */
export interface Stateful<M extends Module> {
  readonly model: M
  readonly optimizer: Optimizer
  readonly average: ExponentialMovingAverage | undefined
  readonly scaler: LossScale | undefined
  readonly metrics: Readonly<Record<string, Metric<unknown>>>
  /** Generators by name; the device's default one is always among them. */
  readonly generators: Readonly<Record<string, Generator>>
}

type State = Omit<Kept, 'group'>

/** Everything with tensors that a checkpoint of a run holds. */
export function partsOf<M extends Module>(run: Stateful<M>): Kept[] {
  const { model, optimizer, average, scaler, metrics, generators } = run
  const groups: (readonly [string, State | undefined])[] = [
    // As they are kept, 16 bits each where they are.
    [
      'model',
      { stateDict: () => model.stateDict({ bits: true }), loadStateDict: (state) => model.loadStateDict(state) },
    ],
    [
      'optimizer',
      {
        stateDict: () => optimizer.stateDict({ bits: true }),
        loadStateDict: (state) => optimizer.loadStateDict(state),
      },
    ],
    ['random', defaultGenerator()],
    ...Object.entries(generators).map(([name, one]) => [`random.${name}`, one] as const),
    ['average', average],
    ['scale', scaler],
    ...Object.entries(metrics).map(([name, metric]) => [`metric.${name}`, metric] as const),
  ]
  return groups.flatMap(([group, part]) =>
    part
      ? [{ group, stateDict: () => part.stateDict(), loadStateDict: (state: StateDict) => part.loadStateDict(state) }]
      : [],
  )
}

/** The tensors of all parts, by group. */
export async function tensorsOf(parts: readonly Kept[]): Promise<Record<string, StateDict>> {
  // Asked for together, so that all are of one moment.
  return Object.fromEntries(await Promise.all(parts.map(async (part) => [part.group, await part.stateDict()] as const)))
}

/**
 * Gives every part its tensors. Throws `CheckpointError` where a part is missing, and what a part finds wrong with them;
 * all are then as before.
 */
export async function loadTensors({ path, tensors }: Checkpoint, parts: readonly Kept[]): Promise<void> {
  const missing = parts.filter(({ group }) => !Object.hasOwn(tensors, group)).map(({ group }) => group)
  if (missing.length > 0) {
    throw new CheckpointError(
      `${path}: it has no ${missing.join(', ')}: the run was another one when it was saved; it had ${Object.keys(tensors).join(', ')}`,
    )
  }
  const before = await tensorsOf(parts)
  try {
    for (const part of parts) part.loadStateDict(tensors[part.group] as StateDict)
  } catch (error) {
    for (const part of parts) part.loadStateDict(before[part.group] as StateDict)
    throw error
  }
}
