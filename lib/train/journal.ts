// What a run tells while it goes: figures by step to the logs, notes, and the progress bar.
import type { Device } from '../runtime/device.js'
import type { Log, LogValues } from './log.js'
import { Progress, type ProgressOptions } from './progress.js'
import { HtmlReport } from './report.js'
import type { StepFigures } from './trainingStep.js'

/** Sums over steps; plain JSON for a checkpoint, so that a run that goes on writes the figures of one that nobody stopped. */
export interface JournalSums {
  /** Of the epoch so far. */
  readonly epoch: { readonly loss: number; readonly samples: number }
  /** Since figures were written last; `norm` is null where nobody looked at gradients. */
  readonly recent: { readonly steps: number; readonly loss: number; readonly norm: number | null }
}

export class Journal {
  /** The latest of each figure, by name. */
  readonly figures: Record<string, number> = {}
  private epoch: JournalSums['epoch'] = { loss: 0, samples: 0 }
  private recent: JournalSums['recent'] = NOTHING
  private timing = emptyTiming()
  private progress: Progress | undefined
  private readonly failed = new Set<Log>()

  constructor(
    private readonly logs: readonly Log[],
    /** The options of the progress; undefined where none is shown. */
    private readonly shown: Omit<ProgressOptions, 'total' | 'start'> | undefined,
    private readonly every: number,
    private readonly device: Device,
  ) {}

  /** The run begins behind `step`, of `total` where that is known. */
  async begin(step: number, total: number | undefined): Promise<void> {
    // Where a run goes on, what was written behind its checkpoint comes again. Else reports of other runs end here.
    await this.each((log) => (step > 0 || log instanceof HtmlReport ? log.rewind?.(step) : undefined))
    if (this.shown) this.progress = new Progress({ ...this.shown, total: total ?? step + 1, start: step })
  }

  /** The loop has waited so long for a batch. */
  waitedForData(milliseconds: number): void {
    this.timing.dataMs += milliseconds
  }

  /** The figures of a step that the device has done, in order. `total` is how many steps there will be, where that is known. */
  stepDone(step: number, samples: number, figures: StepFigures, total: number | undefined): void {
    if (Number.isFinite(figures.loss)) {
      this.epoch = { loss: this.epoch.loss + figures.loss * samples, samples: this.epoch.samples + samples }
    }
    const { steps, loss: sum, norm } = this.recent
    const looked = norm !== null && !Number.isNaN(figures.gradientNorm)
    this.recent = {
      steps: steps + 1,
      loss: sum + figures.loss,
      norm: looked ? norm + figures.gradientNorm : null,
    }
    this.timing.steps++
    this.timing.samples += samples
    if (step % this.every === 0) this.closeInterval(step, figures)
    const loss = this.figures['train/loss'] ?? figures.loss
    this.progress?.update(step, { loss: loss.toPrecision(4), ...this.validationFact() }, total ?? step)
  }

  private validationFact(): Record<string, string> {
    const loss = this.figures['validation/loss']
    return loss === undefined ? {} : { validation: loss.toPrecision(4) }
  }

  private closeInterval(step: number, { lr }: StepFigures): void {
    const { steps, loss, norm } = this.recent
    const { steps: timed, samples, dataMs, begun } = this.timing
    const seconds = (performance.now() - begun) / 1000
    const { allocated, reserved } = this.device.memory()
    this.write(step, {
      'train/loss': loss / steps,
      ...(norm === null ? {} : { 'train/gradient norm': norm / steps }),
      'train/learning rate': lr,
      'rate/steps per second': timed / seconds,
      'rate/samples per second': samples / seconds,
      'time/step ms': (seconds * 1000) / timed,
      'time/waiting for data ms': dataMs / timed,
      'memory/allocated bytes': allocated,
      'memory/reserved bytes': reserved,
    })
    this.recent = NOTHING
    this.timing = emptyTiming()
  }

  /** The mean loss of the epoch that ends here; a new one begins. */
  closeEpoch(): number {
    const { loss, samples } = this.epoch
    this.epoch = { loss: 0, samples: 0 }
    return loss / samples
  }

  /** What the loop did meanwhile is no part of the rate. */
  restartTiming(): void {
    this.timing = emptyTiming()
  }

  write(step: number, values: LogValues): void {
    Object.assign(this.figures, values)
    for (const log of this.logs) log.write(step, values)
  }

  /** A line for the progress and, of a step, for the logs. */
  note(step: number | undefined, text: string): void {
    if (step !== undefined) for (const log of this.logs) log.note?.(step, text)
    this.progress?.note(text)
  }

  /** A note of something that went wrong: whoever sees no progress gets a warning of the process. */
  warn(step: number, text: string): void {
    this.note(step, text)
    if (!this.progress) process.emitWarning(text)
  }

  state(): JournalSums {
    return { epoch: this.epoch, recent: this.recent }
  }

  load({ epoch, recent }: JournalSums, figures: LogValues): void {
    this.epoch = epoch
    this.recent = recent
    Object.assign(this.figures, figures)
  }

  /** A log that can not be written says so once and ends no run. */
  private async each(what: (log: Log) => Promise<void> | undefined): Promise<void> {
    await Promise.all(
      this.logs.map(async (log) => {
        try {
          await what(log)
        } catch (error) {
          if (!this.failed.has(log)) process.emitWarning(error as Error)
          this.failed.add(log)
        }
      }),
    )
  }

  flush(): Promise<void> {
    return this.each((log) => log.flush())
  }

  async close(state: 'finished' | 'stopped'): Promise<void> {
    this.progress?.finish()
    await this.each((log) => log.close(state))
  }
}

const NOTHING: JournalSums['recent'] = { steps: 0, loss: 0, norm: 0 }
const emptyTiming = () => ({ steps: 0, samples: 0, dataMs: 0, begun: performance.now() })
