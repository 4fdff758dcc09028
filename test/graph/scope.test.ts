// scope: what is made inside goes at its end, what is returned stays.
import { describe, expect, it } from 'vitest'
import { Cell, compile, defaultDevice, scope, type Tensor, tensor } from '../../lib/index.js'

describe('scope', () => {
  it('disposes what was made inside, across awaits, and keeps what is returned', async () => {
    const made: Tensor[] = []
    const kept = await scope(async () => {
      const x = tensor([1, 2])
      await x.data()
      const y = x.add(1)
      made.push(x, y)
      return { sum: y.sum(), parts: [y.mul(2)] }
    })
    expect(made.map(({ disposed }) => disposed)).toEqual([true, true])
    expect(await kept.sum.item()).toBe(5)
    expect(await kept.parts[0]?.array()).toEqual([4, 6])
  })

  it('nests: what an inner scope returns belongs to the outer one', async () => {
    let inner: Tensor | undefined
    await scope(async () => {
      inner = await scope(() => tensor([1]))
      expect(inner.disposed).toBe(false)
    })
    expect(inner?.disposed).toBe(true)
  })

  it('disposes when its function fails, and leaves cells alone', async () => {
    const cell = new Cell(tensor([3]))
    let lost: Tensor | undefined
    await expect(
      scope(() => {
        lost = cell.add(1)
        throw new Error('no')
      }),
    ).rejects.toThrow('no')
    expect(lost?.disposed).toBe(true)
    expect(await cell.array()).toEqual([3])
  })

  it('gives the memory back', async () => {
    const step = compile((x: Tensor) => x.broadcastTo([64, 1024]).mul(2))
    const run = (): Promise<unknown> => scope(async () => (await step(tensor(new Float32Array(1024)))).data())
    await run()
    const before = defaultDevice().memory().allocated
    for (let i = 0; i < 50; i++) await run()
    expect(defaultDevice().memory().allocated).toBe(before)
  })
})
