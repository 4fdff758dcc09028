// What fails while it runs: the read rejects, and the process, the next step and state are as they were.
import { describe, expect, it } from 'vitest'
import { apply } from '../../lib/graph/node.js'
import { kernelOps, type Op } from '../../lib/graph/op.js'
import * as h from '../../lib/index.js'

const i32 = (...indices: number[]): h.Tensor => h.tensor(indices, { dtype: 'i32' })

/** The line of this file a call stands on. */
function line(): string {
  return /failure\.test\.ts:\d+/.exec(new Error().stack?.split('\n')[2] as string)?.[0] as string
}

async function failureOf(read: Promise<unknown>): Promise<Error> {
  const outcome = await read.then(
    () => undefined,
    (error: Error) => error,
  )
  return outcome ?? expect.fail('the read did not reject')
}

describe('an index out of range', () => {
  const table = (): h.Tensor<'f32'> => h.arange(6, undefined, 1, { dtype: 'f32' }).reshape(3, 2)
  const OPS: readonly (readonly [string, (index: h.Tensor) => h.Tensor, readonly number[], wrong: number])[] = [
    ['take', (index) => h.take(table(), index), [0, 3], 3],
    ['take', (index) => h.take(table(), index), [-1, 0], -1],
    ['take', (index) => h.embedding(table(), index), [1, 7], 7],
    ['gather', (index) => h.gather(table(), index.reshape(2, 1), { axis: 1 }), [0, 2], 2],
    [
      'scatterAdd',
      (index) => h.scatterAdd(table(), index.reshape(2, 1), h.ones([2, 1]), { axis: 0 }),
      [-2147483648, 0],
      -2147483648,
    ],
    ['crossEntropy', (index) => h.crossEntropy(h.zeros([2, 3]), index), [2, 3], 3],
    ['crossEntropy', (index) => h.crossEntropy(h.zeros([2, 3]), index), [-1, 0], -1],
  ]

  it.each(OPS)('of %s rejects the read and shows the line of the call', async (name, op, index, wrong) => {
    for (const dtype of ['i32', 'i64'] as const) {
      const at = line()
      const eager = await failureOf(op(h.tensor([...index], { dtype })).data())
      expect(eager).toBeInstanceOf(h.ArgumentError)
      expect(eager.message).toMatch(new RegExp(`^${name}: (index|target) ${wrong} .*`))
      expect(Number(/:(\d+)/.exec(eager.stack?.match(/failure\.test\.ts:\d+/)?.[0] as string)?.[1])).toBe(
        Number(at.split(':')[1]) + 1,
      )
      const step = h.compile(op)
      const called = line()
      const failed = await failureOf((await step(h.tensor([...index], { dtype }))).data())
      expect(failed).toBeInstanceOf(h.ArgumentError)
      expect(failed.message).toBe(eager.message)
      expect(Number(/:(\d+)/.exec(failed.stack?.match(/failure\.test\.ts:\d+/)?.[0] as string)?.[1])).toBe(
        Number(called.split(':')[1]) + 1,
      )
      const good = await (await step(h.tensor([0, 1], { dtype }))).data()
      expect(good).toEqual(await op(h.tensor([0, 1], { dtype })).data())
    }
  })

  it('of a call that had to wait shows its line too', async () => {
    const rows = table()
    const step = h.compile((index: h.Tensor) => h.take(rows, index))
    const results: Promise<h.Tensor>[] = []
    for (let i = 0; i < 9; i++) results.push(step(i32(9)))
    for (const result of results) {
      const error = await failureOf((await result).data())
      expect(error.stack).toMatch(/failure\.test\.ts/)
    }
  })

  it('fails what is computed from it, with the same error', async () => {
    const failed = h.take(table(), i32(5)).realize()
    const [first, second] = [await failureOf(failed.mul(2).data()), await failureOf(failed.sum().item())]
    expect(first).toBe(second)
    expect(first.message).toMatch(/take: index 5 at position 0 is out of range; it must be in \[0, 3\)/)
  })

  it('that nobody reads is no unhandled rejection', async () => {
    const unhandled: unknown[] = []
    const listener = (reason: unknown): void => void unhandled.push(reason)
    process.on('unhandledRejection', listener)
    h.take(table(), i32(5)).realize()
    const step = h.compile((index: h.Tensor) => h.take(table(), index))
    await step(i32(8))
    new h.Cell(h.zeros([1, 2])).assign(h.take(table(), i32(4)))
    await h.defaultDevice().synchronize()
    await new Promise((resolve) => setTimeout(resolve, 20))
    process.off('unhandledRejection', listener)
    expect(unhandled).toEqual([])
  })
})

describe('cells', () => {
  const rows = h.tensor([
    [1, 2],
    [3, 4],
    [5, 6],
  ])

  it('keep the old value where an assignment fails', async () => {
    const cell = new h.Cell(h.tensor([[7, 8]]))
    const before = cell.mul(1)
    cell.assign(h.take(rows, i32(3)))
    const failed = cell.add(0)
    await expect(failed.data()).rejects.toThrow(/take: index 3/)
    expect(await cell.array()).toEqual([[7, 8]])
    cell.assign(cell.add(1))
    expect(await cell.array()).toEqual([[8, 9]])
    expect(await before.array()).toEqual([[7, 8]])
  })

  it('keep the old value where several assignments fail, and what read them in between', async () => {
    const cell = new h.Cell(h.tensor([[7, 8]]))
    const step = h.compile(() => {
      cell.assign(cell.mul(2))
      return cell.sum()
    })
    cell.assign(h.take(rows, i32(3)))
    const inBetween = await step()
    cell.assign(h.take(rows, i32(4)))
    cell.assign(h.take(rows, i32(-1)))
    await expect(inBetween.item()).rejects.toThrow(/take: index 3/)
    await h.defaultDevice().synchronize()
    expect(await cell.array()).toEqual([[7, 8]])
    expect(await (await step()).item()).toBe(30)
    expect(await cell.array()).toEqual([[14, 16]])
  })

  it('take the last of several assignments that does not fail', async () => {
    const cell = new h.Cell(h.tensor([[7, 8]]))
    cell.assign(h.take(rows, i32(3)))
    cell.assign(h.take(rows, i32(1)))
    cell.assign(h.take(rows, i32(3)))
    await h.defaultDevice().synchronize()
    expect(await cell.array()).toEqual([[3, 4]])
    cell.assign(h.take(rows, i32(3)))
    cell.write(new Float32Array([5, 5]))
    await h.defaultDevice().synchronize()
    expect(await cell.array()).toEqual([[5, 5]])
  })

  it('do not change what was read of the old value when it comes back', async () => {
    const cell = new h.Cell(h.tensor([[7, 8]]))
    const before = cell.mul(1)
    cell.assign(h.take(rows, i32(3)))
    await h.defaultDevice().synchronize()
    await h.compile(() => {
      cell.assign(cell.add(1))
      return cell.sum()
    })()
    expect(await before.array()).toEqual([[7, 8]])
    expect(await cell.array()).toEqual([[8, 9]])
  })

  it('are as they were where a step fails before it writes any', async () => {
    const cell = new h.Cell(h.tensor([[1, 1]]))
    const step = h.compile((index: h.Tensor) => {
      cell.assign(cell.add(h.take(rows, index)))
      return cell.sum()
    })
    expect(await (await step(i32(0))).item()).toBe(5)
    await expect((await step(i32(3))).item()).rejects.toThrow(/take: index 3/)
    expect(await cell.array()).toEqual([[2, 3]])
    expect(await (await step(i32(2))).item()).toBe(16)
  })

  it('are as they were where an index is wrong, wherever it is looked at', async () => {
    const model = new h.nn.Sequential(new h.nn.Embedding(5, 8), new h.nn.Linear(8, 3))
    const parameters = model.parameters()
    const adam = new h.optim.AdamW(parameters, { lr: 0.1 })
    const seen = new h.Cell(h.zeros([]))
    const step = h.compile((tokens: h.Tensor, targets: h.Tensor) => {
      seen.assign(seen.add(1))
      const loss = h.crossEntropy(model.forward(tokens), targets)
      adam.step(h.grad(loss, parameters))
      return [loss, h.take(rows, targets)] as const
    })
    const vector = (...values: number[]): h.Tensor => h.tensor(values, { dtype: 'i32' })
    const state = async () => [await model.stateDict(), await adam.stateDict(), await seen.item()]
    await step(vector(0, 1), vector(1, 0))
    const before = await state()
    for (const [tokens, targets, message] of [
      [vector(0, 5), vector(1, 0), /index 5/],
      [vector(0, 1), vector(1, 3), /target 3/],
      [vector(0, 1), vector(1, 2), undefined],
    ] as const) {
      const [loss, taken] = await step(tokens, targets)
      if (message) await expect(loss.item()).rejects.toThrow(message)
      if (message) await expect(taken.data()).rejects.toThrow(message)
      if (message) expect(await state()).toEqual(before)
      else expect(await state()).not.toEqual(before)
    }
  })

  /** [[[1, 3, 5]]] at an index, three times, by a kernel whose indices are otherwise another kernel's. */
  const plane = h.tensor([1, 3, 5], { shape: [1, 1, 3] })
  const lookedUp = (index: h.Tensor): h.Tensor => {
    const op = kernelOps().find(({ name }) => name === 'maxPoolGather')
    const window = { kernel: [1], stride: [1], padding: [0, 0], dilation: [1] }
    const everywhere = h.broadcastTo(index.reshape(1, 1, 1), [1, 1, 3])
    return new h.Tensor(apply(op as Op, window, [plane.value, everywhere.value]).output)
  }
  /** Writes its cell first and fails afterwards, where the compiler does not know that it may. */
  const lossy = (cell: h.Cell): h.Compiled<[h.Tensor], h.Tensor> =>
    h.compile((index: h.Tensor) => {
      cell.assign(cell.add(1))
      return lookedUp(index)
    })

  it('are lost where a step fails after it has written some, until they are written', async () => {
    const cell = new h.Cell(h.tensor([10, 20]), { name: 'weight' })
    const step = lossy(cell)
    const failed = await failureOf((await step(i32(3))).data())
    expect(failed.message).toMatch(/maxPoolGather: index 3/)
    const lost = await failureOf(step(i32(0)))
    expect(lost).toBeInstanceOf(h.StateLostError)
    expect(lost.message).toMatch(/weight: a run failed after it had begun to write its state/)
    expect(lost.cause).toBe(failed)
    await expect(cell.data()).rejects.toThrow()
    cell.write(new Float32Array([1, 2]))
    expect(await (await step(i32(0))).array()).toEqual([[[1, 1, 1]]])
    expect(await cell.array()).toEqual([2, 3])
  })

  it('lost in one step make the next one fail, which loses no others', async () => {
    const [cell, other] = [new h.Cell(h.tensor([10, 20])), new h.Cell(h.tensor([1, 2]), { name: 'other' })]
    const first = lossy(cell)
    const second = h.compile(() => {
      other.assign(other.add(cell))
      return other.sum()
    })
    const [a, b] = await Promise.all([first(i32(3)), second()])
    await expect(a.data()).rejects.toThrow(/maxPoolGather/)
    await expect(b.item()).rejects.toThrow(/maxPoolGather/)
    expect(await other.array()).toEqual([1, 2])
    cell.write(new Float32Array([10, 20]))
    expect(await (await second()).item()).toBe(33)
  })

  it('written at once after the call that loses them are not lost', async () => {
    const cell = new h.Cell(h.tensor([10, 20]))
    const step = lossy(cell)
    const result = await step(i32(3))
    cell.write(new Float32Array([1, 2]))
    await expect(result.data()).rejects.toThrow(/maxPoolGather/)
    await step(i32(0))
    expect(await cell.array()).toEqual([2, 3])
  })
})

describe('out of memory', () => {
  it('in a read, an assignment and a step leaves everything as it was', async () => {
    const huge = (): h.Tensor => h.zeros([2 ** 40]).add(1)
    const cell = new h.Cell(h.tensor([1, 2]))
    await expect(huge().data()).rejects.toThrow(h.OutOfMemoryError)
    expect(() => new h.Cell(h.zeros([2 ** 42]))).toThrow(h.OutOfMemoryError)
    const step = h.compile(() => {
      cell.assign(cell.add(1))
      return h.randomUniform([2 ** 40])
    })
    await expect(step()).rejects.toThrow(h.OutOfMemoryError)
    expect(await cell.array()).toEqual([1, 2])
  })
})
