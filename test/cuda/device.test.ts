// What only a device that queues its work can get wrong: order, replays, failures found late, memory that runs out.
import { afterEach, describe, expect, it } from 'vitest'
import * as h from '../../lib/index.js'

const name = process.env['HEDDLE_TEST_DEVICE'] ?? 'cpu'

describe.skipIf(!name.startsWith('cuda'))('a CUDA device', () => {
  const cuda = (): h.Device => h.device(name)
  afterEach(() => cuda().setMemoryLimit(Number.POSITIVE_INFINITY))

  it('has a name, a number and an architecture', () => {
    expect(h.device('cuda').name).toBe('cuda:0')
    expect(h.device('cuda:0')).toBe(h.device('cuda'))
    expect(h.device('auto').kind).toBe('cuda')
    expect(cuda().instructionSet).toMatch(/\(sm_\d+\)$/)
    expect(() => h.device('cuda:99')).toThrow(/there is no device 'cuda:99' here; there are cuda:0/)
  })

  it('is not mixed with another', async () => {
    expect(() => h.tensor([1], { device: 'cpu' }).add(h.tensor([1], { device: 'cuda' }))).toThrow(h.DeviceError)
    expect(await h.tensor([1, 2], { device: 'cpu' }).add(1).data()).toEqual(new Float32Array([2, 3]))
  })

  it('replays a step from its third run on, on inputs and cells that move', async () => {
    const weight = new h.Parameter(h.tensor([0.5, -1, 2], { dtype: 'f64' }))
    const step = h.compile((x: h.Tensor) => {
      const loss = h.softmax(x.mul(weight)).square().sum()
      weight.assign(weight.sub(h.grad(loss, [weight]).get(weight).mul(0.1)))
      return loss
    })
    const plain = (x: h.Tensor, w: h.Tensor): { loss: h.Tensor; next: h.Tensor } => {
      const loss = h.softmax(x.mul(w)).square().sum()
      return { loss, next: w.sub(h.grad(loss, [w]).get(w).mul(0.1)) }
    }
    let w: h.Tensor = h.tensor([0.5, -1, 2], { dtype: 'f64' })
    const before = cuda().memory().replays
    for (let i = 0; i < 8; i++) {
      const x = h.tensor([i, 1, -i / 2], { dtype: 'f64' })
      const { loss, next } = plain(x, w)
      expect(await (await step(x)).item()).toBeCloseTo(Number(await loss.item()), 12)
      w = h.tensor(await next.data(), { dtype: 'f64' })
      // A value set by hand lies elsewhere afterwards.
      if (i === 4) {
        w = h.tensor([1, 1, 1], { dtype: 'f64' })
        weight.assign(h.tensor([1, 1, 1], { dtype: 'f64' }))
      }
    }
    expect(await weight.data()).toEqual(await w.data())
    expect(cuda().memory().replays).toBeGreaterThan(before)
  })

  it.each(['AdamW', 'SGD'] as const)('changes no state in a step of %s that finds a wrong index', async (optimizer) => {
    const model = new h.nn.Sequential(new h.nn.Embedding(5, 8), new h.nn.Linear(8, 3))
    const parameters = model.parameters()
    const rule = new h.optim[optimizer](parameters, { lr: 0.1 })
    const average = new h.Cell(h.zeros([]))
    const step = h.compile((tokens: h.Tensor, targets: h.Tensor) => {
      const loss = h.crossEntropy(model.forward(tokens), targets)
      rule.step(h.grad(loss, parameters))
      average.assign(average.mul(0.9).add(loss.mul(0.1)))
      return loss
    })
    const i32 = (...values: number[]): h.Tensor => h.tensor(values, { dtype: 'i32' })
    const state = async () => [await model.stateDict(), await rule.stateDict(), await average.item()]
    // The first run, the one that is recorded, and replays.
    for (let run = 0; run < 4; run++) {
      const before = await state()
      const wrong = await (run % 2 === 0 ? step(i32(0, 5), i32(0, 1)) : step(i32(0, 4), i32(0, 3)))
      // Queued behind it, before anybody knows.
      const good = step(i32(1, 2), i32(2, 0))
      await expect(wrong.item()).rejects.toThrow(run % 2 === 0 ? /index 5/ : /target 3/)
      expect(await (await good).item()).toBeGreaterThan(0)
      const once = await state()
      expect(once).not.toEqual(before)
      await expect((await step(i32(0, 5), i32(0, 1))).item()).rejects.toThrow(/index 5/)
      expect(await state()).toEqual(once)
    }
  })

  it('fails the reads of a run that found an index out of range, and goes on', async () => {
    const table = h.tensor([
      [1, 2],
      [3, 4],
      [5, 6],
    ])
    const good = h.tensor([2, 0], { dtype: 'i32' })
    const bad = h.tensor([0, 3], { dtype: 'i32' })
    const look = h.compile((index: h.Tensor) =>
      h.gather(table, h.broadcastTo(index.reshape(2, 1), [2, 2]), { axis: 0 }).mul(2),
    )
    const failed = await look(bad)
    await expect(failed.data()).rejects.toThrow(/index 3 at position \d+ is out of range; it must be in \[0, 3\)/)
    for (let i = 0; i < 3; i++) expect(await (await look(good)).data()).toEqual(new Float32Array([10, 12, 2, 4]))
    await expect((await look(bad)).data()).rejects.toThrow(h.ArgumentError)
    expect(await (await look(good)).data()).toEqual(new Float32Array([10, 12, 2, 4]))
  })

  it('runs out of memory without losing anything', async () => {
    const kept = h.tensor([1, 2, 3]).add(1)
    await kept.data()
    cuda().setMemoryLimit(cuda().memory().reserved + (8 << 20))
    expect(() => h.tensor(new Float32Array(8 << 20))).toThrow(h.OutOfMemoryError)
    expect(await kept.data()).toEqual(new Float32Array([2, 3, 4]))
    cuda().setMemoryLimit(Number.POSITIVE_INFINITY)
    const large = h.tensor(new Float32Array(8 << 20).fill(2))
    expect(await large.sum().item()).toBe(2 * (8 << 20))
  })
})
