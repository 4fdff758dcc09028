// Datasets that the tests of the loader's workers make from this module, in this thread and in theirs.
import { appendFileSync, existsSync, readFileSync } from 'node:fs'
import { isMainThread } from 'node:worker_threads'
import { dataset, type HostArray, type IndexedDataset, Random } from '../../lib/data/index.js'

interface Row {
  readonly x: number
  readonly drawn: number
  readonly name: string
  readonly tokens: Int32Array
}

/** `count` samples that draw, of tokens of several lengths; in worker threads some take longer than others. */
export function rows(count: number, slow = false): IndexedDataset<Row> {
  return dataset(Array.from({ length: count }, (_, x) => x)).map(async (x, { random }) => {
    if (slow && !isMainThread)
      await new Promise((resolve) => setTimeout(resolve, new Random(9, 'sample', { index: x }).integer(8)))
    return { x, drawn: random.uniform(), name: `row ${x}`, tokens: new Int32Array(x % 4).fill(x) }
  })
}

/** Sample `fatal` ends its thread the first `times` times; a file counts. */
export function fatal(
  count: number,
  sample: number,
  times: number,
  file: string,
): IndexedDataset<{ readonly x: number }> {
  return dataset(Array.from({ length: count }, (_, x) => x)).map((x) => {
    if (x === sample && !isMainThread) {
      const deaths = existsSync(file) ? readFileSync(file).length : 0
      if (deaths < times) {
        appendFileSync(file, 'x')
        process.exit(7)
      }
    }
    return { x }
  })
}

/** Sample 5 throws, or throws later where nobody waits for it. */
export function throwing(how: 'now' | 'later' | 'memory'): IndexedDataset<{ readonly x: number }> {
  return dataset(Array.from({ length: 9 }, (_, x) => x)).map(async (x) => {
    if (x === 5 && how === 'now') throw new TypeError('row 5 is no row')
    if (x === 5 && how === 'later') {
      setTimeout(() => {
        throw new Error('thrown by a timer')
      })
      await new Promise((resolve) => setTimeout(resolve, 5000))
    }
    return { x }
  })
}

export const mean = (samples: readonly Row[], { random, batch }: { random: Random; batch: number }) => ({
  mean: {
    data: Float64Array.of(samples.reduce((sum, { x }) => sum + x, 0) / samples.length, random.uniform(), batch),
    shape: [3],
    dtype: 'f64',
  } as HostArray,
})

export const uncloneable = dataset([{ x: () => 1 }])
export const stream = (): AsyncIterable<number> => dataset([1, 2]).stream()
export const failing = (): never => {
  if (isMainThread) return dataset([{ x: 1 }]) as never
  throw new Error('the disk is not mounted')
}
export const dying = (): unknown => (isMainThread ? dataset([{ x: 1 }]) : process.exit(9))
