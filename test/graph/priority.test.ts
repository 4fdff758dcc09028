// Compiled functions of high priority: results are those of the order of the calls, whatever overtakes what.
import { describe, expect, it } from 'vitest'
import {
  ArgumentError,
  Cell,
  compile,
  DeviceError,
  Generator,
  type Priority,
  randomNormal,
  startProfile,
  stopProfile,
  type Tensor,
} from '../../lib/index.js'

/** Integers from 0, the same ones each time. */
function* numbers(): globalThis.Generator<number, void> {
  for (let state = 7; ; ) {
    state = (state * 1103515245 + 12345) % 2 ** 31
    yield state >> 8
  }
}

/** What hundreds of calls that mix a few cells leave in them and give, where every second function has that priority. */
async function mixed(priority: Priority, lanes = 1): Promise<number[][]> {
  const generator = new Generator(1)
  const cells = Array.from({ length: 5 }, () => new Cell(randomNormal([24, 24], { generator }).mul(0.1)))
  const functions = Array.from({ length: 20 }, (_, i) => {
    const [target, source] = [cells[i % 5] as Cell, cells[(i * 3 + 1) % 5] as Cell]
    const body = (): Tensor => {
      let product: Tensor = source
      for (let k = 0; k < 6; k++) product = product.matmul(source).tanh()
      target.assign(target.mul(0.5).add(product.mul(0.25)))
      return product.sum()
    }
    const lane = lanes > 1 && i % 4 === 0 ? { lane: 1 + ((i / 4) % lanes), lanes } : undefined
    return compile(body, { priority: i % 2 === 0 ? priority : 'normal', name: `function ${i}`, lane })
  })
  const results: Promise<number>[] = []
  const random = numbers()
  for (let call = 0; call < 300; call++) {
    const step = functions[(random.next().value as number) % functions.length] as () => Promise<Tensor>
    results.push((await step()).item() as Promise<number>)
  }
  const values = await Promise.all(results)
  const state = await Promise.all(cells.map(async (cell) => [...((await cell.data()) as Float32Array)]))
  return [values, ...state]
}

describe('priority', () => {
  it('changes no result', { timeout: 60_000 }, async () => {
    const normal = await mixed('normal')
    expect(await mixed('high')).toEqual(normal)
    expect(await mixed('high', 2)).toEqual(normal)
    expect(await mixed('high', 3)).toEqual(normal)
  })

  it('is normal or high', () => {
    expect(() => compile((x: Tensor) => x.mul(2), { priority: 'urgent' as 'high' })).toThrow(
      new ArgumentError(`compile: the priority is normal or high, not string 'urgent'`),
    )
  })
})

describe('a profile', () => {
  it('shows a compiled function and its kernels on the clock of performance.now()', async () => {
    const generator = new Generator(1)
    const x = await randomNormal([64, 64], { generator })
    const twice = compile((value: Tensor) => value.matmul(value), { name: 'twice', priority: 'high' })
    await (await twice(x)).data()
    startProfile()
    expect(() => startProfile()).toThrow(DeviceError)
    const before = performance.now() * 1e3
    await (await twice(x)).data()
    const after = performance.now() * 1e3
    const { events, dropped } = stopProfile()
    expect(dropped).toBe(0)
    const job = events.find(({ name }) => name === 'twice')
    const kernel = events.find(({ name }) => name === 'matmul')
    expect(job).toMatchObject({ category: 'job', lane: 'high' })
    expect(kernel).toMatchObject({ category: 'kernel', lane: 'high' })
    // The two clocks are compared a moment later: to within 50 us.
    expect(job?.start).toBeGreaterThan(before - 50)
    expect(job?.end).toBeLessThan(after + 50)
    expect(() => stopProfile()).toThrow('is not being recorded')
  })
})
