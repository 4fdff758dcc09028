// Iterables that can be read only once: read a second time they would be empty without a word.
import { Readable } from 'node:stream'
import { ArgumentError } from '../runtime/errors.js'

type AnyIterable<T> = AsyncIterable<T> | Iterable<T>

const read = new WeakSet<object>()

export const isIterable = (value: unknown): value is AnyIterable<never> =>
  typeof value === 'object' && value !== null && (Symbol.asyncIterator in value || Symbol.iterator in value)

/** The iterable, to be read from its beginning. Throws `ArgumentError` for a generator or a stream that was read before. */
export function fromBeginning<T>(op: string, iterable: AnyIterable<T>): AnyIterable<T> {
  const once = 'next' in iterable || iterable instanceof Readable || iterable instanceof ReadableStream
  if (!once) return iterable
  if (read.has(iterable)) {
    throw new ArgumentError(
      `${op}: a generator or a stream can be read only once; for several epochs give a function that makes a new one`,
    )
  }
  read.add(iterable)
  return iterable
}
