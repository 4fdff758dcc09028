// Events from any stream, handled several at a time and acknowledged only when their result is there.
import { integerFrom, numberIn, optionsOf } from '../ops/arguments.js'
import { ArgumentError, ClosedError, DeadlineError, OutOfMemoryError, OverloadedError } from '../runtime/errors.js'
import { describe } from '../schema/describe.js'

export interface ConsumeOptions<E, R> {
  /** Computes an event's result; `signal` is that of the consumption. */
  readonly handle: (
    event: E,
    context: { readonly attempt: number; readonly signal: AbortSignal | undefined },
  ) => Promise<R>
  /** Stores the result and tells the stream's source that the event is done. Called once for each, after its result. */
  readonly acknowledge: (event: E, result: R) => void | Promise<void>
  /** Stores an event that can not be handled, with why; then tells the source that it is done. */
  readonly deadLetter: (event: E, error: unknown) => void | Promise<void>
  /** The most events that are being handled. Default 64. */
  readonly inFlight?: number
  /** How often an event is tried that fails for a passing reason. Default 5. */
  readonly attempts?: number
  /**
   * Milliseconds before the second attempt, twice as many before each further one; longer where an `OverloadedError` says
   * that its queue takes longer. Default 20.
   */
  readonly backoffMs?: number
  /** Whether trying again may help. Default: for `OverloadedError`, `OutOfMemoryError` and `DeadlineError`. */
  readonly passing?: (error: unknown) => boolean
  /** Takes no more events; those that are being handled are still acknowledged, and the promise resolves. */
  readonly signal?: AbortSignal
}

export interface Consumed {
  readonly acknowledged: number
  readonly deadLettered: number
}

const mayPass = (error: unknown): boolean =>
  error instanceof OverloadedError || error instanceof OutOfMemoryError || error instanceof DeadlineError

/**
 * Handles every event of a stream, several at a time, in any order. An event counts as done only after `acknowledge` or
 * `deadLetter` has resolved: where the process ends before that, the source delivers it again, so that each is handled at
 * least once; make results idempotent by the event's id. The stream is asked for the next event only when there is room,
 * so that a slow model holds the source up instead of filling memory.
 *
 * Resolves at the end of the stream or after `signal`, when all taken events are done. Rejects with what the stream, an
 * acknowledgement or a dead letter fails with, or with `ClosedError` where the handler is closed; events not done by then
 * were not acknowledged.
 *
 * @example
 * await consume(events, {
 *   handle: ({ pixels }) => digits.predict(pixels),
 *   acknowledge: (event, row) => event.ack(row.data),
 *   deadLetter: (event, error) => event.reject(String(error)),
 * })
 */
export async function consume<E, R>(events: AsyncIterable<E>, options: ConsumeOptions<E, R>): Promise<Consumed> {
  const settings = optionsOf('consume', options)
  const {
    handle,
    acknowledge,
    deadLetter,
    inFlight = 64,
    attempts = 5,
    backoffMs = 20,
    passing = mayPass,
    signal,
  } = settings
  if (typeof events?.[Symbol.asyncIterator] !== 'function')
    throw new ArgumentError(`consume: it takes an async iterable of events, not ${describe(events)}`)
  for (const [name, value] of Object.entries({ handle, acknowledge, deadLetter }))
    if (typeof value !== 'function')
      throw new ArgumentError(`consume: ${name} must be a function, not ${describe(value)}`)
  integerFrom('consume', 'inFlight', inFlight, 1)
  integerFrom('consume', 'attempts', attempts, 1)
  numberIn('consume', 'backoffMs', backoffMs, 0)

  const counts = { acknowledged: 0, deadLettered: 0 }
  const taken = new Set<Promise<void>>()
  /** What ends the consumption; later failures change nothing. */
  let failure: { readonly error: unknown } | undefined

  const resultOf = async (event: E): Promise<R> => {
    for (let attempt = 1; ; attempt++) {
      try {
        return await handle(event, { attempt, signal })
      } catch (error) {
        if (attempt === attempts || !passing(error)) throw error
        const told = error instanceof OverloadedError ? error.retryAfterMs : 0
        await new Promise((resolve) => setTimeout(resolve, Math.max(backoffMs * 2 ** (attempt - 1), told)))
      }
    }
  }
  const take = async (event: E): Promise<void> => {
    let result: R
    try {
      result = await resultOf(event)
    } catch (error) {
      // Whoever is closed could handle it elsewhere, or after a new start.
      if (error instanceof ClosedError) throw error
      await deadLetter(event, error)
      counts.deadLettered++
      return
    }
    await acknowledge(event, result)
    counts.acknowledged++
  }

  const iterator = events[Symbol.asyncIterator]()
  // One callback each, set anew at every turn: a promise that is raced again and again would remember every race.
  let wake = (): void => undefined
  let makeRoom = (): void => undefined
  const onAbort = (): void => wake()
  signal?.addEventListener('abort', onAbort)
  const nextEvent = (): Promise<IteratorResult<E> | undefined> =>
    new Promise((resolve, reject) => {
      wake = () => resolve(undefined)
      iterator.next().then(resolve, reject)
    })
  const room = (): Promise<void> =>
    new Promise((resolve) => {
      makeRoom = resolve
    })
  try {
    while (!failure && !signal?.aborted) {
      const next = await nextEvent()
      if (!next || next.done) break
      const done: Promise<void> = take(next.value)
        .catch((error: unknown) => {
          failure ??= { error }
          // The stream may have nothing more to say for hours.
          wake()
        })
        .finally(() => {
          taken.delete(done)
          makeRoom()
        })
      taken.add(done)
      if (taken.size >= inFlight) await room()
    }
  } catch (error) {
    failure ??= { error }
  } finally {
    signal?.removeEventListener('abort', onAbort)
  }
  await Promise.all(taken)
  // Not waited for: a generator that is asked for an event only ends when it has one.
  Promise.resolve(iterator.return?.()).catch(() => undefined)
  if (failure) throw failure.error
  return counts
}
