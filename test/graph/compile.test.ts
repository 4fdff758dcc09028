// compile: state, signatures, guards, failures, backpressure.
import { describe, expect, it } from 'vitest'
import {
  ArgumentError,
  assign,
  Cell,
  compile,
  DeviceError,
  defaultDevice,
  grad,
  OutOfMemoryError,
  Parameter,
  type Tensor,
  TraceError,
  tensor,
} from '../../lib/index.js'

const item = async (x: Tensor): Promise<number> => Number(await x.item())

describe('compile', () => {
  it('gives what the uncompiled function gives', async () => {
    const f = (x: Tensor, y: Tensor): { sum: Tensor; parts: Tensor[] } => ({
      sum: x.add(y).tanh(),
      parts: [x.mul(y), x.sub(y).sum()],
    })
    const [x, y] = [
      tensor([
        [1, 2],
        [3, 4],
      ]),
      tensor([0.5, -1]),
    ]
    const [eager, compiled] = [f(x, y), await compile(f)(x, y)]
    expect(await compiled.sum.array()).toEqual(await eager.sum.array())
    expect(await compiled.parts[0]?.array()).toEqual(await eager.parts[0]?.array())
    expect(await item(compiled.parts[1] as Tensor)).toBe(await item(eager.parts[1] as Tensor))
  })

  it('traces once per signature and says why it traces again', async () => {
    const step = compile((x: Tensor, scale: number) => x.mul(scale))
    await step(tensor([1, 2]), 2)
    await step(tensor([3, 4]), 2)
    expect(step.traces).toEqual(['first call'])
    expect(await (await step(tensor([3, 4]), 3)).array()).toEqual([9, 12])
    await step(tensor([1, 2, 3]), 2)
    expect(step.traces).toHaveLength(3)
    expect(step.traces[2]).toMatch(/new signature: .*f32\[3\]/)
    expect(step.calls).toBe(4)
  })

  it('reads a cell as it is and assigns it with the run', async () => {
    const counter = new Cell(tensor(0))
    const step = compile((by: Tensor) => {
      const before = counter.add(0)
      counter.assign(counter.add(by))
      counter.assign(counter.mul(2))
      return before
    })
    expect(await item(await step(tensor(1)))).toBe(0)
    expect(await item(await step(tensor(1)))).toBe(2)
    expect(await item(counter)).toBe(6)
  })

  it('agrees with the uncompiled function about assignments', async () => {
    const [a, b] = [new Cell(tensor([1, 2])), new Cell(tensor([10, 20]))]
    const swap = (): void =>
      assign([
        [a, b.mul(1)],
        [b, a.mul(1)],
      ])
    swap()
    expect([await a.array(), await b.array()]).toEqual([
      [10, 20],
      [1, 2],
    ])
    await compile(() => {
      assign([
        [a, b],
        [b, a],
      ])
      return a.sum()
    })()
    expect([await a.array(), await b.array()]).toEqual([
      [1, 2],
      [10, 20],
    ])
  })

  it('keeps the old value of a cell for those who read it before', async () => {
    const p = new Cell(tensor([1, 2, 3]))
    const [old, view] = [p.mul(1), p.slice([1, 3])]
    const step = compile(() => {
      p.assign(p.add(1))
      return p.sum()
    })
    await step()
    expect(await old.array()).toEqual([1, 2, 3])
    expect(await view.array()).toEqual([2, 3])
    expect(await p.array()).toEqual([2, 3, 4])
    p.assign(p.mul(10))
    expect(await old.array()).toEqual([1, 2, 3])
    expect(await p.array()).toEqual([20, 30, 40])
  })

  it('inlines with inline, and only there', async () => {
    const square = compile((x: Tensor) => x.mul(x), { name: 'square' })
    const outer = compile((x: Tensor) => square.inline(x).add(1))
    expect(await item(await outer(tensor(3)))).toBe(10)
    expect(() => square.inline(tensor(1))).toThrow(TraceError)
    await expect(compile((x: Tensor) => [x, square(x)] as unknown as Tensor)(tensor(1))).rejects.toThrow(
      /use square.inline/,
    )
  })

  it('refuses to be async, to leak traced tensors and to read inside', async () => {
    await expect(compile(async (x: Tensor) => x)(tensor(1))).rejects.toThrow(/can not be async/)
    let leaked: Tensor | undefined
    await compile((x: Tensor) => {
      leaked = x.add(1)
      return leaked
    })(tensor(1))
    expect(() => (leaked as Tensor).mul(2)).toThrow(TraceError)
    await expect((leaked as Tensor).data()).rejects.toThrow(/no data yet/)
    await expect(compile(() => tensor(1))()).rejects.toThrow(/frozen into it/)
    await expect(compile((f: unknown) => f as Tensor)(() => 1)).rejects.toThrow(ArgumentError)
  })

  it('finds a JavaScript value that changes when asked to check', async () => {
    let scale = 1
    const step = compile((x: Tensor) => x.mul(scale).add(0.5), { check: true })
    for (let i = 0; i < 15; i++) await step(tensor(1))
    scale = 2
    await expect(step(tensor(1))).rejects.toThrow(/another graph/)
  })

  it('takes what was computed before as a constant, and disposes nothing it needs', async () => {
    const offset = tensor([1, 1]).mul(5)
    const step = compile((x: Tensor) => x.add(offset))
    const x = tensor([1, 2])
    const pending = step(x)
    x.dispose()
    expect(await (await pending).array()).toEqual([6, 7])
    offset.dispose()
    expect(await (await step(tensor([3, 4]))).array()).toEqual([8, 9])
  })

  it('traces again when a parameter is frozen', async () => {
    const [a, b] = [new Parameter(tensor(2)), new Parameter(tensor(3))]
    const step = compile(() => {
      const trained = [a, b].filter(({ trainable }) => trainable)
      const gradients = grad(a.mul(b), trained)
      return trained.map((parameter) => gradients.get(parameter))
    })
    expect(await step()).toHaveLength(2)
    b.trainable = false
    const [only, none] = await step()
    expect(await item(only as Tensor)).toBe(3)
    expect(none).toBeUndefined()
    expect(step.traces[1]).toMatch(/trainable was true and is false/)
  })

  it('keeps at most four runs in flight', async () => {
    const step = compile((x: Tensor) => x.matmul(x).sum())
    const x = tensor(new Float32Array(400 * 400), { shape: [400, 400] })
    const accepted: number[] = []
    const calls = Array.from({ length: 12 }, async (_, i) => {
      const result = await step(x)
      accepted.push(i)
      return result
    })
    const results = await Promise.all(calls)
    expect(accepted).toEqual(Array.from({ length: 12 }, (_, i) => i))
    expect(await item(results[11] as Tensor)).toBe(0)
  })

  it('plans can be read', async () => {
    const step = compile((x: Tensor) => x.matmul(x).tanh().sum())
    await step(
      tensor([
        [1, 2],
        [3, 4],
      ]),
    )
    expect(step.plan?.toString()).toMatch(/matmul -> f32\[2,2\].*\n.*reduce\.sum/)
    expect(step.plan?.toMermaid()).toMatch(/^flowchart TD\n/)
    expect(step.plan?.memory.arena).toBeGreaterThanOrEqual(16)
  })

  it('out of memory is an error that names the holders, and the next step runs', async () => {
    const cpu = defaultDevice()
    const held = tensor(new Float32Array(1 << 20))
    cpu.setMemoryLimit(cpu.memory().reserved + (1 << 20))
    try {
      const grow = compile((x: Tensor) =>
        x
          .reshape(1, -1)
          .broadcastTo([64, 1 << 20])
          .mul(2),
      )
      await expect(grow(held)).rejects.toThrow(OutOfMemoryError)
      await expect(grow(held)).rejects.toThrow(/tensor f32\[1048576\]/)
      expect(await item(held.sum())).toBe(0)
    } finally {
      cpu.setMemoryLimit(Number.POSITIVE_INFINITY)
    }
    expect(() => tensor([1], { device: 'cuda:99' })).toThrow(DeviceError)
  })
})
