// New weights while requests are answered: nobody sees parts of both, whatever they come from.
import { describe, expect, it } from 'vitest'
import {
  ArgumentError,
  assign,
  compile,
  defaultDevice,
  full,
  nn,
  OutOfMemoryError,
  type StateDict,
  StateDictError,
  type Tensor,
} from '../../lib/index.js'
import { batcher } from '../../lib/serve/index.js'
import { Scale } from './models.js'

const state = (factor: number, offset: number): StateDict => ({
  factor: { data: Float32Array.of(factor), shape: [], dtype: 'f32' },
  offset: { data: Float32Array.of(offset), shape: [], dtype: 'f32' },
})

describe('swap', () => {
  it('answers with the old weights, then with the new', async () => {
    const scale = batcher(new Scale(2, 0), { input: { shape: [] } })
    const one = async (): Promise<number> => Number((await scale.predict(1)).data[0])
    expect(await one()).toBe(2)
    await scale.swap(state(5, 100))
    expect(await one()).toBe(105)
    await scale.swap(new Scale(7, 1000))
    expect(await one()).toBe(1007)
    expect(scale.figures.swaps).toBe(2)
  })

  it('lets no request see parts of both, under load and from a model in training', async () => {
    const served = new Scale(0, 0)
    const trained = new Scale(0, 0)
    // The offset is a hundred times the factor after every step, and at no other time.
    const step = compile((by: Tensor) => {
      const next = trained.factor.add(by)
      assign([
        [trained.factor, next],
        [trained.offset, next.mul(100)],
      ])
      return next
    })
    const scale = batcher(served, { input: { shape: [] }, maxBatch: 4, maxDelayMs: 0 })
    await scale.warmUp()
    let going = true
    const training = (async () => {
      const one = full([], 1)
      while (going) await (await step(one)).item()
    })()
    const answers: number[] = []
    const load = (async () => {
      while (going)
        answers.push(
          ...(await Promise.all(Array.from({ length: 6 }, async () => Number((await scale.predict(1)).data[0])))),
        )
    })()
    for (let i = 0; i < 30; i++) {
      if (i % 3 === 0) await scale.swap(state(-i, -100 * i))
      else await scale.swap(trained)
    }
    going = false
    await Promise.all([training, load])
    expect(new Set(answers).size).toBeGreaterThan(5)
    for (const answer of answers) expect(Math.abs(answer % 101)).toBe(0)
  })

  it('leaves the old weights where the new do not fit', async () => {
    const scale = batcher(new Scale(2, 0), { input: { shape: [] } })
    const { factor } = state(1, 1)
    const bad: [StateDict | nn.Module, RegExp][] = [
      [{ factor } as StateDict, /missing:\n {4}offset/],
      [{ ...state(1, 1), more: factor } as StateDict, /unexpected:\n {4}more/],
      [{ ...state(1, 1), factor: { data: new Float32Array(2), shape: [2], dtype: 'f32' } }, /another shape or dtype/],
      [new nn.Linear(2, 2), /missing:\n {4}factor/],
    ]
    for (const [source, message] of bad) {
      await expect(scale.swap(source)).rejects.toThrow(StateDictError)
      await expect(scale.swap(source)).rejects.toThrow(message)
    }
    expect((await scale.predict(1)).data[0]).toBe(2)
    const plain = batcher((x: Tensor) => x, { input: { shape: [] } })
    await expect(plain.swap(state(1, 1))).rejects.toThrow(ArgumentError)
  })

  it('leaves the old weights where memory does not suffice for both', async () => {
    const device = defaultDevice()
    const model = new nn.Linear(1024, 1024, { bias: false }).eval()
    const served = batcher(model, { input: { shape: [1024] }, maxBatch: 1 })
    await served.warmUp()
    const before = (await served.predict(new Float32Array(1024).fill(1))).data
    const other = await new nn.Linear(1024, 1024, { bias: false }).stateDict()
    device.setMemoryLimit(device.memory().allocated + (1 << 20))
    try {
      await expect(served.swap(other)).rejects.toThrow(OutOfMemoryError)
      expect((await served.predict(new Float32Array(1024).fill(1))).data).toEqual(before)
    } finally {
      device.setMemoryLimit(Number.POSITIVE_INFINITY)
    }
    await served.swap(other)
    expect((await served.predict(new Float32Array(1024).fill(1))).data).not.toEqual(before)
  })

  it('swaps asked for at once come one after the other', async () => {
    const scale = batcher(new Scale(2, 0), { input: { shape: [] } })
    await Promise.all([1, 2, 3].map((i) => scale.swap(state(i, i))))
    expect((await scale.predict(1)).data[0]).toBe(6)
  })
})
