// Dynamic batching: what is answered, in which batches, who is turned away, and that every promise settles.
import { setTimeout as pause } from 'node:timers/promises'
import { describe, expect, expectTypeOf, it } from 'vitest'
import {
  ArgumentError,
  ClosedError,
  DeadlineError,
  DTypeError,
  embedding,
  nn,
  OverloadedError,
  ShapeError,
  scope,
  startProfile,
  stopProfile,
  type Tensor,
  tensor,
} from '../../lib/index.js'
import { type Batcher, batcher, type Row } from '../../lib/serve/index.js'
import { endsOf, Scale } from './models.js'

const numbers = (row: Row): number[] => Array.from(row.data as Float32Array)

describe('answers', () => {
  it('gives each request its own row, whatever batch it is in', async () => {
    const scale = batcher(new Scale(), { input: { shape: [3] }, maxBatch: 8 })
    const rows = await Promise.all(Array.from({ length: 21 }, (_, i) => scale.predict([i, i + 1, i + 2])))
    rows.forEach((row, i) => {
      expect(numbers(row)).toEqual([2 * i, 2 * i + 2, 2 * i + 4])
      expect(row.shape).toEqual([3])
      expect(row.dtype).toBe('f32')
    })
    expect(scale.figures.requests.ok).toBe(21)
    expect(scale.figures.batches).toBe(3)
    expect(scale.figures.batchSize.sum).toBe(21)
  })

  it('lets the device answer a batch before it begins the next, however many wait', async () => {
    const scale = batcher(new Scale(), { input: { shape: [64] }, maxBatch: 16, lanes: 1, name: 'scale' })
    await scale.warmUp()
    startProfile()
    const rows = await Promise.all(Array.from({ length: 64 }, (_, i) => scale.predict(new Float32Array(64).fill(i))))
    const jobs = stopProfile().events.filter(({ category }) => category === 'job')
    rows.forEach((row, i) => expect(numbers(row)).toEqual(new Array(64).fill(2 * i)))
    expect(jobs.map(({ name }) => name)).toEqual(Array(4).fill(['batcher scale of 16', 'read']).flat())
  })

  it('computes full batches beside one another, with the answers of one by one', async () => {
    const model = new nn.Sequential(
      new nn.Linear(32, 512),
      new nn.GELU(),
      new nn.Linear(512, 512),
      new nn.Linear(512, 4),
    ).eval()
    const one = batcher(model, { input: { shape: [32] }, maxBatch: 64, lanes: 1 })
    const two = batcher(model, { input: { shape: [32] }, maxBatch: 64, lanes: 2 })
    await two.warmUp()
    startProfile()
    const samples = Array.from({ length: 64 * 20 }, (_, i) =>
      Float32Array.from({ length: 32 }, (__, j) => ((i * j) % 7) / 7),
    )
    const rows = await Promise.all(samples.map((sample) => two.predict(sample)))
    const jobs = stopProfile().events.filter(({ category, name }) => category === 'job' && name.includes('of 64'))
    expect(jobs).toHaveLength(20)
    expect(new Set(jobs.map(({ lane }) => lane))).toEqual(new Set(['high 1', 'high 2']))
    // How many each computes, and whether two are under way together, is a matter of time; of one lane they never are.
    for (const lane of ['high 1', 'high 2']) {
      const own = jobs.filter((job) => job.lane === lane)
      own.slice(1).forEach((job, i) => expect(job.start).toBeGreaterThanOrEqual(own[i]?.end as number))
    }
    const expected = await Promise.all(samples.map((sample) => one.predict(sample)))
    rows.forEach((row, i) => {
      numbers(row).forEach((value, j) => expect(value).toBeCloseTo(numbers(expected[i] as Row)[j] as number, 4))
    })
  })

  it('fills batches up to few sizes', async () => {
    const seen = new Set<number>()
    const note = (x: Tensor): Tensor => {
      seen.add(x.shape[0] as number)
      return x.add(1)
    }
    const one = batcher(note, { input: { shape: [] }, maxBatch: 12, sizes: [4] })
    for (const count of [1, 3, 5, 12, 9, 4]) {
      const rows = await Promise.all(Array.from({ length: count }, (_, i) => one.predict(i)))
      expect(rows.map(numbers)).toEqual(Array.from({ length: count }, (_, i) => [i + 1]))
    }
    expect([...seen].sort((a, b) => a - b)).toEqual([4, 12])
  })

  it('takes and gives several tensors by name', async () => {
    const both = batcher(({ a, b }) => ({ sum: a.add(b), product: a.mul(b) }), {
      input: { a: { shape: [2] }, b: { shape: [2] } },
    })
    expectTypeOf(both.predict).returns.resolves.toHaveProperty('sum')
    const { sum, product } = await both.predict({ a: [1, 2], b: new Float32Array([3, 4]) })
    expect([numbers(sum), numbers(product)]).toEqual([
      [4, 6],
      [3, 8],
    ])
  })

  it('keeps requests of unlike shapes in batches of their own', async () => {
    const shapes: string[] = []
    const note = (x: Tensor): Tensor => {
      shapes.push(String(x.shape))
      return x.sum({ axes: 1 })
    }
    const sums = batcher(note, { input: { shape: [null] }, maxBatch: 4 })
    const rows = await Promise.all([1, 2, 3, 2, 1, 2].map((n) => sums.predict(new Array(n).fill(1))))
    expect(rows.map((row) => numbers(row)[0])).toEqual([1, 2, 3, 2, 1, 2])
    expect(shapes.sort()).toEqual(['1,3', '2,1', '4,2'])
    expect(sums.figures.batches).toBe(3)
  })

  it('does not keep or see what callers do with their arrays', async () => {
    const scale = batcher(new Scale(), { input: { shape: [2] } })
    const mine = new Float32Array([1, 2])
    const row = scale.predict(mine)
    mine.fill(9)
    expect(numbers(await row)).toEqual([2, 4])
  })

  it('is not undone by the scope of whoever asks', async () => {
    const scale = batcher(new Scale(), { input: { shape: [2] }, maxDelayMs: 5 })
    const others = Array.from({ length: 3 }, () => scale.predict([3, 4]))
    const short = scope(async () => {
      void scale.predict([1, 2]).catch(() => undefined)
      tensor([1]).dispose()
    })
    await short
    for (const row of await Promise.all(others)) expect(numbers(row)).toEqual([6, 8])
    expect(numbers(await scope(() => scale.predict([1, 2])))).toEqual([2, 4])
  })

  it('takes results of another batcher as they are', async () => {
    const scale = batcher(new Scale(), { input: { shape: [2] } })
    expect(numbers(await scale.predict(await scale.predict([1, 2])))).toEqual([4, 8])
  })
})

describe('bad requests', () => {
  const scale = batcher(new Scale(), { input: { shape: [2] } })

  it.each<[string, unknown, string, RegExp]>([
    ['another shape', [1, 2, 3], 'ShapeError', /one sample of shape \[2\], not \[3\]/],
    ['ragged lists', [[1], [1, 2]], 'ShapeError', /ragged/],
    ['too few elements', new Float32Array(1), 'ShapeError', /not 1 elements/],
    ['another dtype', new Int32Array(2), 'DTypeError', /takes f32, a Float32Array, not a Int32Array/],
    ['text', ['1', '2'], 'ArgumentError', /string '1' is no number/],
    ['null in a list', [1, null], 'ArgumentError', /null is no number/],
    ['nothing', undefined, 'ArgumentError', /not undefined/],
    ['NaN', [1, Number.NaN], 'ArgumentError', /element 1 of 2 is NaN/],
    ['an infinity', [Number.NEGATIVE_INFINITY, 1], 'ArgumentError', /element 0 of 2 is NaN or an infinity/],
  ])('%s fails alone', async (_, sample, name, message) => {
    const [first, bad, last] = await Promise.allSettled([
      scale.predict([1, 2]),
      scale.predict(sample as number[]),
      scale.predict([3, 4]),
    ])
    expect(first.status).toBe('fulfilled')
    expect(last.status).toBe('fulfilled')
    expect(bad).toMatchObject({ status: 'rejected', reason: { name, message: expect.stringMatching(message) } })
  })

  it('large finite values are no infinities', async () => {
    expect(numbers(await scale.predict([3e38, 3e38]))).toEqual([Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY])
    const allowed = batcher(new Scale(), { input: { shape: [1], nonFinite: 'allow' } })
    expect(numbers(await allowed.predict([Number.NaN]))).toEqual([Number.NaN])
  })

  it('an index out of range fails alone, though only the run finds it', async () => {
    const table = tensor([[1], [2], [3]])
    const look = batcher((at: Tensor) => embedding(table, at), { input: { shape: [1], dtype: 'i32' }, maxBatch: 8 })
    const ends = await endsOf([0, 1, 7, 2, 1].map(async (i) => numbers(await look.predict([i]))[0]))
    expect(ends).toEqual([1, 2, 'ArgumentError', 3, 2])
    expect(look.figures.requests).toMatchObject({ ok: 4, error: 1 })
    expect(look.figures.divided).toBeGreaterThan(0)
  })

  it('a model that gives no batch is named', async () => {
    const sum = batcher((x: Tensor) => x.sum(), { input: { shape: [2] }, name: 'sums' })
    await expect(sum.predict([1, 2])).rejects.toThrow(/batcher sums: the output has shape \[\]; its first axis/)
  })
})

describe('the queue', () => {
  const slow = (options: object = {}): Batcher<{ shape: readonly [1] }, Tensor> =>
    batcher(new Scale(), { input: { shape: [1] }, maxBatch: 2, maxQueue: 4, inFlight: 1, maxDelayMs: 1e6, ...options })

  it('turns away at once what is too much', async () => {
    const scale = slow({ maxBatch: 8 })
    const waiting = [1, 2, 3, 4].map((i) => scale.predict([i]))
    const error = await scale.predict([5]).catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(OverloadedError)
    expect((error as OverloadedError).retryAfterMs).toBeGreaterThan(0)
    expect(scale.health()).toMatchObject({ live: true, ready: false })
    const closed = scale.close()
    expect((await Promise.all(waiting)).map(numbers)).toEqual([[2], [4], [6], [8]])
    await closed
  })

  it('lets the more important go first, and makes room for them', async () => {
    const scale = slow({ maxBatch: 8 })
    const order: string[] = []
    const note = (name: string, promise: Promise<unknown>): Promise<unknown> =>
      promise.then(
        () => order.push(name),
        (error: Error) => order.push(`${name}: ${error.name}`),
      )
    const all = [
      note('low 1', scale.predict([1], { priority: 'low' })),
      note('low 2', scale.predict([1], { priority: 'low' })),
      note('normal', scale.predict([1])),
      note('low 3', scale.predict([1], { priority: 'low' })),
      note('high 1', scale.predict([1], { priority: 'high' })),
      note('high 2', scale.predict([1], { priority: 'high' })),
      note('low 4', scale.predict([1], { priority: 'low' })),
    ]
    void scale.close()
    await Promise.all(all)
    expect(order.slice(0, 3).sort()).toEqual([
      'low 2: OverloadedError',
      'low 3: OverloadedError',
      'low 4: OverloadedError',
    ])
    expect(order.slice(3)).toEqual(['high 1', 'high 2', 'normal', 'low 1'])
  })

  it('gives up at the deadline, in the queue and without one for others', async () => {
    const scale = slow({ maxBatch: 8, deadlineMs: 20 })
    const late = scale.predict([1])
    const patient = scale.predict([2], { deadlineMs: 100_000 })
    await expect(late).rejects.toThrow(DeadlineError)
    await expect(late).rejects.toThrow(/20 ms were up while it still waited in the queue/)
    expect(scale.queued).toBe(1)
    const closed = scale.close()
    expect(numbers(await patient)).toEqual([4])
    await closed
  })

  it('ends a request whose signal aborts: before, in the queue, in flight', async () => {
    const scale = slow({ maxBatch: 8, maxDelayMs: 30 })
    const reason = new Error('the client is gone')
    await expect(scale.predict([1], { signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
    const [queued, flying] = [new AbortController(), new AbortController()]
    const first = scale.predict([1], { signal: queued.signal })
    const second = scale.predict([2], { signal: flying.signal })
    const third = scale.predict([3])
    queued.abort(reason)
    await expect(first).rejects.toBe(reason)
    expect(scale.queued).toBe(2)
    while (scale.inFlight === 0) await pause(1)
    flying.abort(reason)
    await expect(second).rejects.toBe(reason)
    expect(numbers(await third)).toEqual([6])
    expect(scale.figures.requests).toMatchObject({ aborted: 3, ok: 1 })
  })
})

describe('closing', () => {
  it('answers what it has, and nothing more', async () => {
    const scale = batcher(new Scale(), { input: { shape: [1] }, maxBatch: 4, maxDelayMs: 1e6, inFlight: 1 })
    const waiting = Array.from({ length: 10 }, (_, i) => scale.predict([i]))
    const closed = scale.close()
    expect(scale.health()).toMatchObject({ status: 'draining', ready: false, live: true })
    await expect(scale.predict([1])).rejects.toThrow(ClosedError)
    await closed
    expect((await Promise.all(waiting)).map(numbers)).toEqual(Array.from({ length: 10 }, (_, i) => [2 * i]))
    expect(scale.health().status).toBe('closed')
    await scale.close()
  })

  it('rejects what is left when its time is up', async () => {
    const scale = batcher(new Scale(), { input: { shape: [1] }, maxBatch: 1, maxQueue: 10_000, inFlight: 1 })
    const waiting = Array.from({ length: 5000 }, (_, i) => scale.predict([i]))
    const ends = endsOf(waiting.map(async (row) => numbers(await row)[0]))
    await scale.close({ graceMs: 5 })
    const settled = await ends
    expect(settled.filter((end) => end === 'ClosedError').length).toBeGreaterThan(0)
    settled.forEach((end, i) => expect([2 * i, 'ClosedError']).toContain(end))
    expect(scale.queued + scale.inFlight).toBe(0)
  })

  it('disposes as await using does', async () => {
    let row: Promise<Row>
    {
      await using scale = batcher(new Scale(), { input: { shape: [1] } })
      row = scale.predict([1])
    }
    expect(numbers(await row)).toEqual([2])
  })
})

describe('options', () => {
  it.each<[string, object, RegExp]>([
    ['no input', {}, /inputs must be \{ shape, dtype \}/],
    ['a batch of 0', { input: { shape: [1] }, maxBatch: 0 }, /maxBatch must be an integer from 1 up, not 0/],
    ['a size above', { input: { shape: [1] }, maxBatch: 4, sizes: [8] }, /the size 8 is above maxBatch/],
    ['a lane too many', { input: { shape: [1] }, lanes: 3 }, /lanes is 3, above inFlight, which is 2/],
    ['an extent of 0', { input: { shape: [0] } }, /has the extent number 0/],
    ['a deadline beyond timers', { input: { shape: [1] }, deadlineMs: 1e12 }, /deadlineMs must be a number from 0 to/],
    ['no such dtype', { input: { shape: [1], dtype: 'f8' } }, /no dtype string 'f8'/],
  ])('%s is an error', (_, options, message) => {
    expect(() => batcher(new Scale(), options as { input: { shape: [1] } })).toThrow(message)
  })

  it('a model in training mode is one', () => {
    expect(() => batcher(new nn.Linear(1, 1), { input: { shape: [1] } })).toThrow(/call eval\(\) first/)
    expect(() => batcher(3 as unknown as Scale, { input: { shape: [1] } })).toThrow(ArgumentError)
  })

  it('readiness comes with the warm-up', async () => {
    const scale = batcher(new Scale(), { input: { shape: [3] }, maxBatch: 4 })
    expect(scale.health()).toMatchObject({ status: 'starting', ready: false })
    const warm = scale.warmUp()
    expect(scale.health().why).toMatch(/warming up/)
    await warm
    expect(scale.health()).toMatchObject({ status: 'ready', ready: true })
    expect(scale.figures.batches).toBe(0)
    const varying = batcher(new Scale(), { input: { shape: [null] } })
    await expect(varying.warmUp()).rejects.toThrow(ArgumentError)
    await varying.warmUp([[3]])
    expect(varying.health().ready).toBe(true)
    await expect(scale.predict([1, 2] as number[])).rejects.toThrow(ShapeError)
    await expect(scale.predict(new Int32Array(3))).rejects.toThrow(DTypeError)
  })
})
