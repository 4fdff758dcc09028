// What a job writes of itself while it runs: numbers by step, and what happened.
import { ArgumentError } from '../runtime/errors.js'

/** Numbers of one step by name, such as `train/loss`. */
export type LogValues = Readonly<Record<string, number>>

/** Where numbers of a run go. */
export interface Log {
  /**
   * Notes the values of a step; they are on their way to the file when it returns. Throws `ArgumentError` for a step
   * that is no integer from 0 up and for values that are no numbers; NaN and infinities are numbers.
   */
  write(step: number, values: LogValues): void
  /** Notes something that happened at a step, such as "out of memory: micro-batches of 16 instead of 32". */
  note?(step: number, text: string): void
  /**
   * Forgets what was written and noted of steps behind `step`, at which a run goes on, by this log and by those before it
   * in the same place. What is written after the call stays. Rejects with `LogError`, and all is as it was.
   */
  rewind?(step: number): Promise<void>
  /** Settles when all that was noted is in the file. Rejects with `LogError` where some could not be written. */
  flush(): Promise<void>
  /** `flush`, and lets go of the file; the run has got to its end, or it has not. */
  close(state?: 'finished' | 'stopped'): Promise<void>
}

/** Throws `ArgumentError` unless it is a step. */
export function checkStep(log: string, step: number): void {
  if (!Number.isSafeInteger(step) || step < 0)
    throw new ArgumentError(`${log}: a step is an integer from 0 up, not ${step}`)
}

/** Throws `ArgumentError` unless a log can take it. */
export function checkValues(log: string, step: number, values: LogValues): void {
  checkStep(log, step)
  for (const [name, value] of Object.entries(values)) {
    if (typeof value !== 'number')
      throw new ArgumentError(`${log}: '${name}' of step ${step} is a ${typeof value}, not a number`)
  }
}

/** Throws `ArgumentError` unless a log can take it. */
export function checkNote(log: string, step: number, text: string): void {
  checkStep(log, step)
  if (typeof text !== 'string') throw new ArgumentError(`${log}: the note of step ${step} is a ${typeof text}, no text`)
}
