// Steps that the device has accepted and not done yet, with their batches, and what went wrong with one.
import { disposeBatch } from '../data/tensors.js'
import type { TensorFields } from './batch.js'
import type { StepFigures, Submitted } from './trainingStep.js'

/** Steps whose figures may be on their way before the loop waits for the oldest. */
const MOST_PENDING = 8

/** A step, by its number from 1, and what it was taken with. */
export interface TakenStep<B extends object> {
  readonly step: number
  readonly batches: readonly TensorFields<B>[]
  readonly samples: number
}

/** A step that was not finite. */
export interface Fault<B extends object> extends TakenStep<B> {
  readonly figures: StepFigures
}

export class StepQueue<B extends object> {
  /** What the first step that failed did so with. */
  failure: { readonly error: unknown } | undefined
  /** The first step that was not finite; its batches are the caller's to dispose. */
  fault: Fault<B> | undefined
  private readonly pending: Promise<void>[] = []

  constructor(
    /** Takes the figures of a step in order; false where it is a fault. */
    private readonly done: (taken: TakenStep<B>, figures: StepFigures) => boolean,
  ) {}

  /** Batches belong to the queue from here on. */
  add(step: number, batches: readonly TensorFields<B>[], { samples, figures }: Submitted): void {
    const taken = { step, batches, samples }
    const settled = figures.then((found) => {
      const fine = this.done(taken, found)
      // Later steps change nothing either; the first one is what matters.
      if (fine || this.fault) batches.forEach(disposeBatch)
      else this.fault = { ...taken, figures: found }
    })
    const caught = settled.catch((error: unknown) => {
      this.fail(error)
      batches.forEach(disposeBatch)
    })
    const gone = caught.then(() => {
      this.pending.shift()
    })
    this.pending.push(gone)
  }

  /** Notes what went wrong, unless something did before. */
  fail(error: unknown): void {
    this.failure ??= { error }
  }

  /** Settles when a further step may be added. */
  async vacancy(): Promise<void> {
    while (this.pending.length > MOST_PENDING) await this.pending[0]
  }

  /** Settles when all are done. */
  async drain(): Promise<void> {
    while (this.pending.length > 0) await this.pending[0]
  }
}
