// Out of memory under load: typed errors, smaller batches, and a service that goes on as before.
import { afterEach, describe, expect, it } from 'vitest'
import { defaultDevice, memory, nn, type Tensor } from '../../lib/index.js'
import { batcher } from '../../lib/serve/index.js'
import { endsOf } from './models.js'

const device = defaultDevice()
afterEach(() => device.setMemoryLimit(Number.POSITIVE_INFINITY))

const WIDTH = 1 << 16
/** Takes a quarter of a megabyte per request and gives back one number of it. */
const wide = (x: Tensor): Tensor => x.sum({ axes: 1 })

const first = async (row: Promise<{ data: ArrayLike<number | bigint> }>): Promise<number> => Number((await row).data[0])

describe('out of memory', () => {
  it('makes batches smaller, and loses no request', async () => {
    const served = batcher(wide, { input: { shape: [WIDTH] }, maxBatch: 16 })
    const sample = (i: number): Float32Array => new Float32Array(WIDTH).fill(i)
    const all = (): Promise<(number | string)[]> =>
      endsOf(Array.from({ length: 32 }, (_, i) => first(served.predict(sample(i)))))
    const right = Array.from({ length: 32 }, (_, i) => WIDTH * i)
    await served.predict(sample(0))
    // Room for a few samples, not for sixteen.
    device.setMemoryLimit(device.memory().allocated + 6 * 4 * WIDTH)
    expect(await all()).toEqual(right)
    expect(served.figures.divided).toBeGreaterThan(0)
    const divided = served.figures.divided
    // It has learnt from that.
    expect(await all()).toEqual(right)
    expect(served.figures.divided - divided).toBeLessThan(3)
    device.setMemoryLimit(Number.POSITIVE_INFINITY)
    for (let i = 0; i < 20; i++) expect(await all()).toEqual(right)
    expect(served.figures.requests).toMatchObject({ ok: 1 + 22 * 32, error: 0 })
  })

  it('is a typed error where not even one request fits, and the next one works', async () => {
    const model = new nn.Sequential(new nn.Linear(256, 256), new nn.Linear(256, 4)).eval()
    const served = batcher(model, { input: { shape: [256] }, maxBatch: 8 })
    const sample = new Float32Array(256).fill(1)
    await served.warmUp()
    const expected = (await served.predict(sample)).data
    const before = memory.snapshot()
    for (let i = 0; i < 25; i++) {
      device.setMemoryLimit(1)
      const ends = await endsOf(Array.from({ length: 20 }, () => served.predict(sample)))
      expect(new Set(ends)).toEqual(new Set(['OutOfMemoryError']))
      device.setMemoryLimit(Number.POSITIVE_INFINITY)
      expect((await served.predict(sample)).data).toEqual(expected)
      expect(served.health()).toMatchObject({ live: true, ready: true })
    }
    expect(memory.diff(before, memory.snapshot()).bytes).toBe(0)
  })
})
