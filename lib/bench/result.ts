// What a benchmark finds, as it is shown, saved as JSON and compared with.
import type { DType, Shape } from '../index.js'
import type { Machine } from './machine.js'
import type { Timing } from './sampling.js'
import type { LimitsInTurn } from './turns.js'

/** Which of the machine's limits is nearer. */
export type Bound = 'arithmetic' | 'memory'

/** A timing, and how near it comes to the roofline. */
export interface Measured extends Timing {
  /** The share of the roofline its median reaches, at the medians of the limits; 1 is all of it. */
  readonly roofline: number
  readonly gflops: number
  readonly gbPerS: number
}

export interface Row {
  readonly case: string
  readonly family: string
  readonly dtype: DType
  readonly shapes: readonly Shape[]
  /** Timed at the shapes of its test, where a call's own cost is most of the time. */
  readonly small: boolean
  /** Operations and bytes of one run, and its steps, as its plan tells. */
  readonly work: { readonly operations: number; readonly bytes: number; readonly steps: number }
  /** The arena of its plan, and the bytes of operands and results beside it. */
  readonly memory: { readonly arenaBytes: number; readonly allocatedBytes: number }
  readonly bound: Bound
  /** What the device gave in turn with its samples, which its shares are of. Results of earlier versions do not have it. */
  readonly limits?: LimitsInTurn
  /** In runs one after the other: operands and results are in a cache, where they fit into one. */
  readonly warm: Measured
  /** With nothing of it in any cache. */
  readonly cold: Measured
  /**
   * What counts: warm where arithmetic is the limit, cold where memory is; the median of what each sample reaches of the
   * limits measured just before it.
   */
  readonly roofline: number
  /** Where it stays behind: the share of the roofline its kernels reach with all of it in a cache. */
  readonly inCache?: number
  /** Why it stays behind, where that is known. */
  readonly reason?: string
  /** Where there is a baseline: its median over this one's, and what that means. */
  readonly comparison?: Comparison
}

export interface Comparison {
  /** How many times as long it takes now; above 1 it got slower. */
  readonly ratio: number
  readonly verdict: 'slower' | 'faster' | 'same'
}

/** A case that could not be timed. */
export interface FailedRow {
  readonly case: string
  readonly error: string
}

/** What `--json` writes and `--baseline` reads. */
export interface BenchResult {
  readonly format: 'heddle bench 1'
  readonly heddle: string
  readonly node: string
  readonly written: string
  readonly machine: Machine
  readonly rows: readonly Row[]
  readonly failed: readonly FailedRow[]
}

/** The share of the roofline that a kernel is expected to reach. */
export const EXPECTED = 0.8

/** Whether it stays behind, at a size for timing, and nobody knows why. */
export const isUnexplained = ({
  small,
  roofline,
  reason,
}: Pick<Row, 'small' | 'roofline'> & { readonly reason?: string | undefined }): boolean =>
  !small && roofline < EXPECTED && !reason

/** What counts of a row. */
export const headline = ({ bound, warm, cold }: Row): Measured => (bound === 'arithmetic' ? warm : cold)
