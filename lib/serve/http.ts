// What any HTTP server needs beside a batcher: the status for an error, and a signal for a client that goes away.
import type { Server, ServerResponse } from 'node:http'
import { Server as TcpServer } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { numberIn, optionsOf } from '../ops/arguments.js'
import {
  ArgumentError,
  ClosedError,
  DeadlineError,
  DTypeError,
  OutOfMemoryError,
  OverloadedError,
  ShapeError,
} from '../runtime/errors.js'
import { LONGEST_MS } from './options.js'

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

/**
 * Ends a server without losing a request: it takes no more connections, those that are there hear with their next answer
 * that it is the last, and only what then has been silent for `quietMs` (default 500) is closed. `server.close()` alone
 * breaks connections on which a request is on its way. Before it, let `ready` be false for as long as whoever sends
 * requests needs to notice: connections that are still being made when a server ends are lost.
 */
export async function drainServer(server: Server, options: { readonly quietMs?: number } = {}): Promise<void> {
  const { quietMs = 500 } = optionsOf('drainServer', options)
  numberIn('drainServer', 'quietMs', quietMs, 0, LONGEST_MS)
  let heard = performance.now()
  server.prependListener('request', (_, response: ServerResponse) => {
    heard = performance.now()
    response.setHeader('connection', 'close')
  })
  // That of HTTP would close idle connections at once.
  const closed = new Promise<void>((resolve) => TcpServer.prototype.close.call(server, () => resolve()))
  const quiet = (async () => {
    while (performance.now() - heard < quietMs) await pause(10)
  })()
  await Promise.race([closed, quiet])
  server.closeIdleConnections()
  await closed
}
