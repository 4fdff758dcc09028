// What any HTTP server needs beside a batcher: the status for an error, and a signal for a client that goes away.
import type { ServerResponse } from 'node:http'
import {
  ArgumentError,
  ClosedError,
  DeadlineError,
  DTypeError,
  OutOfMemoryError,
  OverloadedError,
  ShapeError,
} from '../runtime/errors.js'

const STATUS = new Map<unknown, number>([
  [ShapeError, 400],
  [DTypeError, 400],
  [ArgumentError, 400],
  [OverloadedError, 503],
  [ClosedError, 503],
  [OutOfMemoryError, 503],
  [DeadlineError, 504],
])

/**
 * The HTTP status for what a prediction fails with: 400 for a sample that is not what was declared, 503 where trying again
 * later or elsewhere may help, 504 for a deadline; undefined for anything else.
 */
export const httpStatus = (error: unknown): number | undefined =>
  error instanceof Error ? STATUS.get(error.constructor) : undefined

/** Headers that go with it: when to try again. */
export const httpHeaders = (error: unknown): Record<string, string> =>
  error instanceof OverloadedError ? { 'retry-after': String(Math.ceil(error.retryAfterMs / 1000)) } : {}

/** A signal that aborts when the client goes away before its answer is complete. */
export function clientSignal(response: ServerResponse): AbortSignal {
  const left = new AbortController()
  response.once('close', () => {
    if (!response.writableFinished) left.abort(new ClosedError('the client went away before it had its answer'))
  })
  return left.signal
}
