// A bounded number of asynchronous operations at a time.

/**
 * Does `work` on every item, at most `limit` at a time, and waits for all that was begun. After a failure nothing more is
 * begun; the first error is thrown once the others have ended.
 */
export async function concurrently<T>(
  limit: number,
  items: Iterable<T> | AsyncIterable<T>,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const iterator = Symbol.asyncIterator in items ? items[Symbol.asyncIterator]() : items[Symbol.iterator]()
  let failure: { readonly error: unknown } | undefined
  const worker = async (): Promise<void> => {
    try {
      while (!failure) {
        const next = await iterator.next()
        if (next.done || failure) return
        await work(next.value)
      }
    } catch (error) {
      failure ??= { error }
    }
  }
  await Promise.all(Array.from({ length: limit }, worker))
  if (!failure) return
  await iterator.return?.()
  throw failure.error
}
