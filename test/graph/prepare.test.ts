// Kernels are made on the device's thread: the event loop turns meanwhile, and everything keeps its order.
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { describe, expect, it } from 'vitest'
import {
  assign,
  Cell,
  compile,
  defaultDevice,
  Generator,
  grad,
  OutOfMemoryError,
  optim,
  Parameter,
  randomNormal,
  softmax,
  type Tensor,
  tensor,
  zeros,
} from '../../lib/index.js'
import { root } from '../runtime/addon.js'

const generator = new Generator(3)
const weight = (...shape: number[]): Parameter => new Parameter(randomNormal(shape, { generator }).mul(0.05))

/** A step of many products of shapes of their own, so that making its kernels takes a while. */
function largeStep(): { parameters: Parameter[]; step: () => Promise<Tensor> } {
  const parameters = Array.from({ length: 20 }, (_, i) => weight(320 + 3 * i, 323 + 3 * i))
  const x = randomNormal([96, 320], { generator })
  const adam = new optim.Adam(parameters)
  const step = compile(() => {
    const y = parameters.reduce<Tensor>((h, p) => h.matmul(p).tanh(), x)
    const loss = y.mul(y).mean()
    adam.step(grad(loss, parameters))
    return loss
  })
  return { parameters, step: () => step() }
}

/** How often a timer fires until `work` settles. */
async function ticksDuring(work: Promise<unknown>): Promise<number> {
  let ticks = 0
  const timer = setInterval(() => ticks++, 1)
  try {
    await work
  } finally {
    clearInterval(timer)
  }
  return ticks
}

/** What needs so many MiB of the arena, for a moment. */
function needing(mebibytes: number): () => Tensor {
  const x = zeros([mebibytes * 128, 2048]).realize()
  return () => softmax(x).sum()
}

// These come first, while the arena is small.
describe('kernels that can not be made for want of memory', () => {
  const device = defaultDevice()
  const short = async (work: () => Promise<void>): Promise<void> => {
    await device.synchronize()
    device.setMemoryLimit(device.memory().allocated + 2 ** 20)
    try {
      await work()
    } finally {
      device.setMemoryLimit(Number.POSITIVE_INFINITY)
    }
  }
  const numbers = async (x: Tensor): Promise<number[]> => Array.from((await x.data()) as Float32Array)

  it('reject a call, at its own line; it changes nothing and may be made again', async () => {
    const cell = new Cell(tensor([1, 2]))
    const sum = needing(8)
    const step = compile(() => cell.assign(cell.add(sum())))
    await short(async () => {
      const [first, second] = await Promise.allSettled([step(), step()])
      expect([first.status, second.status]).toEqual(['rejected', 'rejected'])
      const { reason } = first as PromiseRejectedResult
      expect(reason).toBeInstanceOf(OutOfMemoryError)
      expect((reason as Error).stack).toContain('prepare.test.ts')
    })
    expect(await numbers(cell)).toEqual([1, 2])
    await step()
    expect(await numbers(cell)).toEqual([1025, 1026])
    expect(step.traces.at(-1)).toContain('could not be made')
  })

  it('are told of by an assignment at once, by a read as it rejects', async () => {
    const cell = new Cell(tensor([1, 2]))
    const sum = needing(16)
    const read = sum().add(1)
    await short(async () => {
      expect(() => cell.assign(cell.add(sum()))).toThrow(OutOfMemoryError)
      expect(() => new Cell(sum())).toThrow(OutOfMemoryError)
      await expect(read.item()).rejects.toThrow(OutOfMemoryError)
      const twice = compile((x: Tensor) => x.mul(2))
      await expect(twice(sum().add(2))).rejects.toThrow(OutOfMemoryError)
    })
    expect(await numbers(cell)).toEqual([1, 2])
    expect(await read.item()).toBe(2049)
    cell.assign(cell.add(sum()))
    expect(await numbers(cell)).toEqual([2049, 2050])
  })
})

describe('the first call', () => {
  it('leaves the event loop to others while kernels are made', async () => {
    const { step } = largeStep()
    await defaultDevice().synchronize()
    // Were they made in the call, its promise would settle before any timer.
    expect(await ticksDuring(step())).toBeGreaterThan(10)
  })

  it('outside of compiled functions does so too', async () => {
    const weights = Array.from({ length: 20 }, (_, i) => weight(220 + 3 * i, 223 + 3 * i))
    const x = randomNormal([96, 220], { generator }).realize()
    await defaultDevice().synchronize()
    const y = weights.reduce<Tensor>((h, p) => h.matmul(p).tanh(), x).sum()
    expect(await ticksDuring(y.item())).toBeGreaterThan(10)
  })

  it('knows the memory of its plan as it settles', async () => {
    const step = compile((x: Tensor) => x.matmul(x).tanh().matmul(x))
    await step(
      tensor([
        [1, 2],
        [3, 4],
      ]),
    )
    expect(step.plan?.memory.arena).toBeGreaterThanOrEqual(16)
  })
})

describe('order', () => {
  /** Steps, compiled and not, on the same cells; `pace` is called after each. */
  async function program(pace: (work?: Promise<unknown>) => Promise<unknown>): Promise<number[][]> {
    const numbers = new Generator(7)
    const w = new Parameter(randomNormal([40, 40], { generator: numbers }).mul(0.1))
    const total = new Cell(tensor(new Float32Array(40)))
    const x = randomNormal([16, 40], { generator: numbers }).realize()
    const sgd = new optim.SGD([w], { lr: 0.1, momentum: 0.9 })
    const train = compile((x: Tensor) => {
      const loss = x.matmul(w).tanh().square().mean()
      sgd.step(grad(loss, [w]))
      return loss
    })
    const add = compile((by: Tensor) => {
      total.assign(total.add(w.sum({ axes: 0 }).mul(by)))
      return total.mean()
    })
    const seen: Promise<unknown>[] = []
    const note = (work: Promise<unknown>): Promise<unknown> => {
      seen.push(work)
      return pace(work)
    }
    const item = async (result: Tensor | Promise<Tensor>): Promise<number> => Number(await (await result).item())
    // Few enough runs between two rests for a place in flight: a call that waits for one comes after what did not.
    const rest = (): Promise<void> => defaultDevice().synchronize()
    for (let round = 0; round < 3; round++) {
      await rest()
      await note(item(train(x)))
      assign([[total, total.mul(0.5).add(w.slice([0, 1]).reshape(40))]])
      await note(item(add(tensor(round + 1))))
      await rest()
      await note(item(total.max()))
      sgd.lr = 0.1 / (round + 2)
      await note(item(train(x.mul(1 + round))))
      await rest()
      w.assign(w.sub(total.mul(0.01)))
      await note(item(train(x.slice([0, 8 + round]))))
      await rest()
      if (round === 1) total.write(new Float32Array(40).fill(0.25))
      await note(item(add(w.mean())))
      await note(item(w.sum()))
    }
    const losses = (await Promise.all(seen)) as number[]
    return [losses, ...(await Promise.all([w, total].map(async (c) => Array.from((await c.data()) as Float32Array))))]
  }

  it('of calls, assignments, writes and reads is that of the program, whoever waits for what', async () => {
    const nobody = async (): Promise<void> => undefined
    const wanted = await program(async (work) => {
      await work
      await defaultDevice().synchronize()
    })
    expect(wanted.flat().every(Number.isFinite)).toBe(true)
    for (let i = 0; i < 5; i++) expect(await program(nobody)).toEqual(wanted)
  })
})

describe('workers', () => {
  it('terminated in their first call leave nothing behind', async () => {
    const check = compile((x: Tensor) => x.add(1))
    const x = tensor([2])
    await (await check(x)).item()
    await defaultDevice().synchronize()
    const { allocated, arenaBytes } = defaultDevice().memory()
    for (let seed = 0; seed < 12; seed++) {
      const worker = new Worker(join(root, 'dist/test/graph/prepareWorker.js'), { workerData: { seed } })
      await once(worker, 'message')
      await pause(seed)
      await worker.terminate()
    }
    expect(await (await check(x)).item()).toBe(3)
    await defaultDevice().synchronize()
    const after = defaultDevice().memory()
    expect(after.allocated - after.arenaBytes).toBeLessThanOrEqual(allocated - arenaBytes)
  })
})
