// The loader with worker threads, from dist/: order, position, deaths, early ends.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import type { Worker } from 'node:worker_threads'
import { afterAll, describe, expect, it } from 'vitest'

const root = fileURLToPath(new URL('../..', import.meta.url))
const compiled = (path: string): string => pathToFileURL(join(root, 'dist', path)).href
const { DataError, DataLoader, fromModule, split } = (await import(
  compiled('lib/data/index.js')
)) as typeof import('../../lib/data/index.js')
const module = compiled('test/data/samples.js')

const folder = mkdtempSync(join(tmpdir(), 'heddle-'))
afterAll(() => rmSync(folder, { recursive: true }))

interface Row {
  readonly x: number
  readonly drawn: number
  readonly name: string
  readonly tokens: Int32Array
}
type Options = import('../../lib/data/index.js').LoaderOptions<Row>

const rows = (count: number, slow = false) => fromModule<Row>(module, { export: 'rows', args: [count, slow] })
const options: Options = { batchSize: 3, shuffle: true, seed: 5, pad: { tokens: { value: -1, mask: 'mask' } } }
const alive = new Set<Worker>()
process.on('worker', (worker) => {
  alive.add(worker)
  worker.on('exit', () => alive.delete(worker))
})
const threads = (): number => alive.size

/** Everything in each batch of one epoch, as plain arrays. */
async function epochOf(loader: AsyncIterable<object>, most = Number.POSITIVE_INFINITY): Promise<unknown[]> {
  const batches: unknown[] = []
  if (most === 0) return batches
  for await (const batch of loader) {
    const fields = Object.entries(batch).map(async ([name, value]) => [
      name,
      Array.isArray(value) ? value : await value.array(),
    ])
    batches.push(Object.fromEntries(await Promise.all(fields)))
    if (batches.length === most) break
  }
  return batches
}

async function failureOf(
  loader: AsyncIterable<object>,
): Promise<{ seen: number; error: InstanceType<typeof DataError> }> {
  let seen = 0
  try {
    for await (const _ of loader) seen++
  } catch (error) {
    return { seen, error: error as InstanceType<typeof DataError> }
  }
  throw new Error('nothing failed')
}

describe('workers', () => {
  it.each([1, 2, 4])('of whom there are %i give the batches that this thread makes, in order', async (workers) => {
    const samples = await rows(31, true)
    const alone = new DataLoader(samples, options)
    const expected = [await epochOf(alone), await epochOf(alone)]
    expect(expected[0]).not.toEqual(expected[1])
    expect(expected[0]).toHaveLength(11)
    const loader = new DataLoader(samples, { ...options, workers })
    expect([await epochOf(loader), await epochOf(loader)]).toEqual(expected)
    expect(threads()).toBe(0)
  })

  it('are gone on with at every position, by any number of them', async () => {
    const samples = await rows(12)
    const whole = new DataLoader(samples, options)
    const expected = [...(await epochOf(whole)), ...(await epochOf(whole))]
    for (let taken = 1; taken <= 4; taken++) {
      const stopped = new DataLoader(samples, { ...options, workers: 2, prefetch: 3 })
      const before = await epochOf(stopped, taken)
      const resumed = new DataLoader(samples, { ...options, workers: 1 })
      resumed.load(JSON.parse(JSON.stringify(stopped.state())))
      const rest = await epochOf(resumed)
      expect([...before, ...rest]).toEqual(expected.slice(0, taken === 4 ? 8 : 4))
    }
  })

  it('take parts of a dataset, and name samples by the place in their part', async () => {
    const { train, test } = split(await rows(20), { train: 0.8, test: 0.2 }, { seed: 1 })
    for (const part of [train, test.shuffle({ seed: 2 }).take(3)]) {
      const alone = await epochOf(new DataLoader(part, options))
      expect(await epochOf(new DataLoader(part, { ...options, workers: 2 }))).toEqual(alone)
    }
    const late = (await fromModule<Row>(module, { export: 'throwing', args: ['now'] })).skip(4)
    expect((await failureOf(new DataLoader(late, { workers: 1 }))).error).toMatchObject({ sample: 1 })
    expect((await failureOf(new DataLoader(late))).error).toMatchObject({ sample: 1 })
  })

  it('use the collate function that the module exports', async () => {
    const samples = await fromModule<Row>(module, { export: 'rows', args: [8], collate: 'mean' })
    const alone = await epochOf(new DataLoader(samples, { batchSize: 3, seed: 2 }))
    expect(alone).toEqual([1, 4, 6.5].map((mean, batch) => ({ mean: [mean, expect.any(Number), batch] })))
    expect(alone).toHaveLength(3)
    expect(await epochOf(new DataLoader(samples, { batchSize: 3, seed: 2, workers: 2 }))).toEqual(alone)
  })
})

describe('a worker that dies', () => {
  const fatal = (sample: number, times: number, name: string) =>
    fromModule<Row>(module, { export: 'fatal', args: [20, sample, times, join(folder, name)] })

  it.each([1, 3])('once is replaced, and nobody notices (%i workers)', async (workers) => {
    const samples = await fatal(10, 1, `once-${workers}`)
    const expected = await epochOf(new DataLoader(samples, { batchSize: 3 }))
    expect(await epochOf(new DataLoader(samples, { batchSize: 3, workers }))).toEqual(expected)
    expect(readFileSync(join(folder, `once-${workers}`), 'utf8')).toBe('x')
    expect(threads()).toBe(0)
  })

  it.each([1, 3])('twice is reported with the sample, after the batches before it (%i workers)', async (workers) => {
    const samples = await fatal(10, 9, `twice-${workers}`)
    const { seen, error } = await failureOf(new DataLoader(samples, { batchSize: 3, workers }))
    expect(error).toBeInstanceOf(DataError)
    expect(error).toMatchObject({ code: 'workerDied', sample: 10 })
    expect(error.message).toBe('loader: sample 10 killed two worker threads, one after the other (exit code 7)')
    expect(seen).toBe(3)
    expect(readFileSync(join(folder, `twice-${workers}`), 'utf8')).toBe('xx')
    expect(threads()).toBe(0)
  })

  it('of an error that nobody caught is reported with that error', async () => {
    const samples = await fromModule<Row>(module, { export: 'throwing', args: ['later'] })
    const { error } = await failureOf(new DataLoader(samples, { batchSize: 3, workers: 2 }))
    expect(error).toMatchObject({ code: 'workerDied', sample: 5, cause: { message: 'thrown by a timer' } })
  })

  it('before it made anything is reported, not started for ever', async () => {
    const samples = await fromModule<Row>(module, { export: 'dying' })
    const { error } = await failureOf(new DataLoader(samples, { workers: 2 }))
    expect(error).toMatchObject({ code: 'workerDied', sample: undefined })
    expect(error.message).toContain('before they made a sample of batch 0 (exit code 9)')
  })
})

describe('a sample that fails in a worker', () => {
  it('is named, as on this thread, and ends the workers', async () => {
    const samples = await fromModule<Row>(module, { export: 'throwing', args: ['now'] })
    const alone = await failureOf(new DataLoader(samples, { batchSize: 2 }))
    const { seen, error } = await failureOf(new DataLoader(samples, { batchSize: 2, workers: 2 }))
    expect(error).toBeInstanceOf(DataError)
    expect(error).toMatchObject({ code: 'sampleFailed', sample: 5, message: alone.error.message })
    expect((error.cause as Error).stack).toContain('samples.js')
    expect(seen).toBe(alone.seen)
    expect(threads()).toBe(0)
  })

  it('by what can not be sent is an error', async () => {
    const samples = await fromModule<Row>(module, { export: 'uncloneable' })
    expect((await failureOf(new DataLoader(samples, { workers: 1 }))).error.message).toMatch(/could not be cloned/)
  })

  it('because the module can not make its dataset there is an error', async () => {
    const samples = await fromModule<Row>(module, { export: 'failing' })
    expect((await failureOf(new DataLoader(samples, { workers: 2 }))).error.message).toContain(
      'the disk is not mounted',
    )
  })
})

describe('workers that are kept', () => {
  it('make epoch after epoch, another one when one died meanwhile, and end with the loader', async () => {
    const samples = await rows(12)
    const whole = new DataLoader(samples, options)
    const expected: unknown[] = []
    for (let epoch = 0; epoch < 4; epoch++) expected.push(await epochOf(whole))
    const loader = new DataLoader(samples, { ...options, workers: 2, keepWorkers: true })
    const made = [await epochOf(loader)]
    const first = [...alive]
    expect(first).toHaveLength(2)
    made.push(await epochOf(loader))
    expect([...alive]).toEqual(first)
    await first[0]?.terminate()
    made.push(await epochOf(loader))
    expect(threads()).toBe(2)
    loader.load({ ...loader.state(), epoch: 3, position: 0 })
    made.push(await epochOf(loader))
    expect(made).toEqual(expected)
    await epochOf(loader, 1)
    expect(threads()).toBe(0)
    expect(await epochOf(loader)).toHaveLength(4)
    await loader.close()
    expect(threads()).toBe(0)
  })
})

describe('a loop that is left', () => {
  it.each(['break', 'throw', 'return'])('by %s ends its workers', async (how) => {
    const loader = new DataLoader(await rows(30, true), { ...options, workers: 2 })
    let made: { disposed: boolean } | undefined
    const leave = async (): Promise<void> => {
      for await (const { x } of loader) {
        made = x
        expect(threads()).toBeGreaterThan(0)
        if (how === 'break') break
        if (how === 'throw') throw new Error('left')
        return
      }
    }
    await (how === 'throw' ? expect(leave()).rejects.toThrow('left') : leave())
    expect(made?.disposed).toBe(true)
    expect(threads()).toBe(0)
    expect(await epochOf(loader)).toHaveLength(10)
  })

  it('before its first batch starts none', async () => {
    const iterator = new DataLoader(await rows(5), { workers: 2 })[Symbol.asyncIterator]()
    await iterator.return()
    expect(threads()).toBe(0)
  })
})

describe('fromModule', () => {
  it('says what the module does not give', async () => {
    await expect(fromModule(module, { export: 'nothing' })).rejects.toThrow("has no export 'nothing'")
    await expect(fromModule(module, { export: 'stream' })).rejects.toThrow('is a stream; workers take samples by index')
    await expect(fromModule(module, { export: 'rows', args: [1], collate: 'stream2' })).rejects.toThrow(
      "the export 'stream2'",
    )
  })
})
