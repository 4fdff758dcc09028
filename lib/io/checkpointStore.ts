// A store of checkpoints: the newest and the best of a run, old ones removed, damaged ones passed over.
import { mkdir, readdir, rename, rm, stat } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { ArgumentError, CheckpointError, FormatError } from '../runtime/errors.js'
import { describe } from '../schema/describe.js'
import {
  type Checkpoint,
  type CheckpointContent,
  type CheckpointInfo,
  checkStep,
  commitCheckpoint,
  infoOf,
  type LoadOptions,
  loadCheckpoint,
  readManifest,
} from './checkpoint.js'
import type { Metrics } from './checkpointManifest.js'
import { syncFolder } from './durable.js'
import { leftoverName, removeLeftovers } from './leftovers.js'

/** Which checkpoints are the best: those with the least or the greatest of a metric. */
export interface BestBy {
  readonly metric: string
  readonly mode: 'min' | 'max'
}

export interface StoreOptions {
  /** How many of the last saved are kept. Default: all. */
  readonly keep?: number
  /** How many of the best are kept besides. A checkpoint without the metric, or where it is NaN, is never among them. */
  readonly keepBest?: BestBy & { readonly count: number }
  /**
   * Is told of a checkpoint that is damaged and was passed over, and of one that should be removed and can not be.
   * Default: a process warning.
   */
  readonly onProblem?: (error: CheckpointError) => void
}

interface Known extends CheckpointInfo {
  readonly sequence: number
}

const STEP_FOLDER = /^step-(\d{6,})(?:\.(\d+))?$/

const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) > 0

function checkBest(op: string, best: BestBy): void {
  if (typeof best?.metric !== 'string' || (best.mode !== 'min' && best.mode !== 'max'))
    throw new ArgumentError(`${op}: what is best takes { metric, mode: 'min' or 'max' }, not ${describe(best)}`)
}

/** The best first; of equals the newer. */
function ranked(known: readonly Known[], { metric, mode }: BestBy): Known[] {
  const sign = mode === 'min' ? 1 : -1
  const value = ({ metrics }: Known): number =>
    sign * (Object.hasOwn(metrics, metric) ? (metrics[metric] as number) : Number.NaN)
  return known
    .filter((one) => !Number.isNaN(value(one)))
    .toSorted((a, b) => (value(a) === value(b) ? b.sequence - a.sequence : value(a) - value(b)))
}

/**
 * The checkpoints of a run in the folder `root`, each in `step-000123`. One process saves at a time; any may read.
 *
 * @example
 * const store = new CheckpointStore('runs/a', { keep: 3, keepBest: { metric: 'loss', mode: 'min', count: 1 } })
 * await store.save(step, { tensors: { model: await model.stateDict({ bits: true }) }, json: { epoch } }, { loss })
 */
export class CheckpointStore {
  readonly root: string
  private readonly onProblem: (error: CheckpointError) => void
  private last: Promise<unknown> = Promise.resolve()

  constructor(
    root: string,
    private readonly options: StoreOptions = {},
  ) {
    const op = 'CheckpointStore'
    if (typeof root !== 'string' || root === '')
      throw new ArgumentError(`${op}: the root must be a path, not ${describe(root)}`)
    const { keep, keepBest } = options
    if (keep !== undefined && !isCount(keep))
      throw new ArgumentError(`${op}: keep must be an integer above 0, not ${describe(keep)}`)
    if (keepBest !== undefined) {
      checkBest(op, keepBest)
      if (!isCount(keepBest.count))
        throw new ArgumentError(`${op}: keepBest.count must be an integer above 0, not ${describe(keepBest.count)}`)
    }
    this.root = resolve(root)
    this.onProblem = options.onProblem ?? ((error) => process.emitWarning(error))
  }

  /**
   * Saves a checkpoint, then removes those that are not to be kept; one of the same step is replaced. Whenever the process
   * or the machine stops, this one or the one before is there, whole. Throws `ArgumentError` before anything is written,
   * and `CheckpointError` where the disk is full or fails: what was there is untouched, and the run can go on. Calls are
   * carried out one after the other.
   */
  save(step: number, content: CheckpointContent, metrics: Metrics = {}): Promise<CheckpointInfo> {
    const saved = this.last.then(() => this.saveNow(step, content, metrics))
    this.last = saved.catch(() => undefined)
    return saved
  }

  private async saveNow(step: number, content: CheckpointContent, metrics: Metrics): Promise<CheckpointInfo> {
    const op = 'CheckpointStore.save'
    checkStep(op, step)
    await this.prepareRoot(op)
    const [before, folders] = [await this.known(), await this.folders()]
    const sequence = Math.max(0, ...before.map((one) => one.sequence)) + 1
    const attempts = folders.flatMap((name) => {
      const match = STEP_FOLDER.exec(name)
      return match && Number(match[1]) === step ? [Number(match[2] ?? 1)] : []
    })
    const stem = `step-${String(step).padStart(6, '0')}`
    const path = join(this.root, attempts.length === 0 ? stem : `${stem}.${Math.max(...attempts) + 1}`)
    const info = infoOf(path, await commitCheckpoint(op, path, content, { step, metrics }, sequence))
    await this.removeOld([...before, { ...info, sequence }])
    return info
  }

  private async prepareRoot(op: string): Promise<void> {
    try {
      const made = await mkdir(this.root, { recursive: true })
      // A new folder is there for good when the one around it is on the disk.
      if (made) for (let at = this.root; at.length >= made.length; at = dirname(at)) await syncFolder(dirname(at))
    } catch (error) {
      throw new CheckpointError(`${op}: the folder ${this.root} can not be made`, { cause: error })
    }
    await removeLeftovers(this.root).catch((error: unknown) => {
      this.onProblem(new CheckpointError(`${op}: what earlier saves left can not be removed`, { cause: error }))
    })
  }

  private async removeOld(known: readonly Known[]): Promise<void> {
    const { keep = Number.POSITIVE_INFINITY, keepBest } = this.options
    const newest = known.toSorted((a, b) => b.sequence - a.sequence)
    const steps = new Set<number>()
    const current = newest.filter(({ step }) => !steps.has(step) && steps.add(step))
    const best = keepBest ? ranked(current, keepBest).slice(0, keepBest.count) : []
    const kept = new Set([...current.slice(0, keep), ...best])
    for (const one of newest) {
      if (kept.has(one)) continue
      try {
        // Renamed first: what is half removed is no checkpoint.
        const leftover = await leftoverName(this.root, 'removed')
        await rename(one.path, leftover)
        await syncFolder(this.root)
        await rm(leftover, { recursive: true, force: true })
      } catch (error) {
        this.onProblem(
          new CheckpointError(`${one.path}: it is not needed any more and can not be removed`, { cause: error }),
        )
      }
    }
  }

  private async folders(): Promise<string[]> {
    try {
      return (await readdir(this.root)).filter((name) => STEP_FOLDER.test(name))
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return []
      throw new CheckpointError(`CheckpointStore: ${this.root} can not be read`, { cause: error })
    }
  }

  /** Every checkpoint whose description is whole, in the order they were saved. */
  private async known(damaged: CheckpointError[] = []): Promise<Known[]> {
    const known: Known[] = []
    for (const name of await this.folders()) {
      const path = join(this.root, name)
      try {
        const manifest = await readManifest(path)
        known.push({ ...infoOf(path, manifest), sequence: manifest.sequence })
      } catch (error) {
        if (!(await isThere(path))) continue
        damaged.push(asDamaged(path, error))
      }
    }
    return known.sort((a, b) => a.sequence - b.sequence)
  }

  /** Step, metrics and path of every checkpoint, in the order they were saved; tensors are neither read nor verified. */
  async list(): Promise<CheckpointInfo[]> {
    const damaged: CheckpointError[] = []
    const known = await this.known(damaged)
    damaged.forEach(this.onProblem)
    return known.map(({ path, step, metrics, savedAt }) => ({ path, step, metrics, savedAt }))
  }

  /**
   * The checkpoint that was saved last; undefined where there is none. One that is damaged is reported (`onProblem`) and
   * passed over; throws `CheckpointError` where all are damaged.
   */
  latest(options: LoadOptions = {}): Promise<Checkpoint | undefined> {
    return this.firstWhole((known) => known.toReversed(), options)
  }

  /** The best checkpoint, by `keepBest` unless `by` says otherwise; undefined where none has the metric. Else as `latest`. */
  best(by: BestBy | undefined = this.options.keepBest, options: LoadOptions = {}): Promise<Checkpoint | undefined> {
    if (!by)
      throw new ArgumentError('CheckpointStore.best: say what is best: keepBest of the store, or { metric, mode }')
    checkBest('CheckpointStore.best', by)
    return this.firstWhole((known) => ranked(known, by), options)
  }

  private async firstWhole(order: (known: Known[]) => Known[], options: LoadOptions): Promise<Checkpoint | undefined> {
    const damaged: CheckpointError[] = []
    const known = await this.known(damaged)
    damaged.forEach(this.onProblem)
    for (const { path } of order(known)) {
      try {
        return await loadCheckpoint(path, options)
      } catch (error) {
        if (!(error instanceof CheckpointError)) throw error
        if (!(await isThere(path))) continue
        damaged.push(error)
        this.onProblem(error)
      }
    }
    if (damaged.length === 0) return undefined
    throw new CheckpointError(
      `CheckpointStore: no checkpoint in ${this.root} can be read; ${damaged.length} are damaged`,
      {
        cause: new AggregateError(damaged),
      },
    )
  }
}

const isThere = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  )

function asDamaged(path: string, error: unknown): CheckpointError {
  if (error instanceof CheckpointError) return error
  const what = error instanceof FormatError || error instanceof Error ? error.message : String(error)
  return new CheckpointError(`${path}: its description can not be read: ${what}`, { cause: error })
}
