// What a batcher counts: requests by how they ended, batches, their sizes, and where the time goes.
import { Histogram, SECONDS } from './histogram.js'
import type { RequestOutcome } from './request.js'

export class BatcherFigures {
  readonly requests: Record<RequestOutcome, number> = {
    ok: 0,
    error: 0,
    overloaded: 0,
    deadline: 0,
    aborted: 0,
    closed: 0,
  }
  batches = 0
  /** Batches that were run again in parts: out of memory, or for one bad request among them. */
  divided = 0
  swaps = 0
  /** From a request's arrival to its answer. */
  readonly latency = new Histogram(SECONDS)
  /** From a request's arrival to the begin of its batch. */
  readonly waiting = new Histogram(SECONDS)
  /** From a batch's begin to its results. */
  readonly running = new Histogram(SECONDS)
  /** Requests in a batch, without what it is filled up with. */
  readonly batchSize: Histogram

  constructor(sizes: readonly number[]) {
    this.batchSize = new Histogram(sizes)
  }
}
