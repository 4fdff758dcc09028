// Gradient rules of one's own, recomputation instead of keeping, and what gradients are keyed by.
import { describe, expect, it } from 'vitest'
import * as h from '../../lib/index.js'

const numbers = async (x: h.Tensor): Promise<number[]> => Array.from((await x.data()) as ArrayLike<number>)
const vector = (): h.Tensor => h.tensor([-1.5, -0.25, 0.5, 2], { dtype: 'f64' })

describe('customGradient', () => {
  it('passes gradients straight through a rounding', async () => {
    const straight = h.customGradient(
      (x: h.Tensor) => h.round(x),
      (dy) => [dy],
    )
    const x = vector()
    const y = straight(x)
    const slope = h.grad(y.mul(h.tensor([1, 2, 3, 4], { dtype: 'f64' })).sum(), [x]).get(x)
    expect(await numbers(y)).toEqual([-2, -0, 0, 2])
    expect(await numbers(slope)).toEqual([1, 2, 3, 4])
  })

  it('has its rule differentiated for the second order', async () => {
    const cube = h.customGradient(
      (x: h.Tensor) => x.mul(x).mul(x),
      (dy, [x]) => [dy.mul((x as h.Tensor).square()).mul(3)],
    )
    const x = vector()
    const first = h.grad(cube(x).sum(), [x]).get(x)
    const second = h.grad(first.sum(), [x]).get(x)
    expect(await numbers(first)).toEqual([6.75, 0.1875, 0.75, 12])
    expect(await numbers(second)).toEqual([-9, -1.5, 3, 12])
  })

  it('is given the inputs and the output, eagerly and compiled', async () => {
    const product = h.customGradient(
      (a: h.Tensor, b: h.Tensor) => a.mul(b).exp(),
      (dy, [a, b], y) => [dy.mul(y).mul(b as h.Tensor), dy.mul(y).mul(a as h.Tensor)],
    )
    const gradients = (a: h.Tensor, b: h.Tensor): h.Tensor[] => {
      const found = h.grad(product(a, b).sum(), [a, b])
      return [found.get(a), found.get(b)]
    }
    const plain = (a: h.Tensor, b: h.Tensor): h.Tensor[] => {
      const found = h.grad(a.mul(b).exp().sum(), [a, b])
      return [found.get(a), found.get(b)]
    }
    const [a, b] = [vector(), h.tensor([0.5, -1, 0.25, 1], { dtype: 'f64' })]
    const wanted = await Promise.all(plain(a, b).map(numbers))
    expect(await Promise.all(gradients(a, b).map(numbers))).toEqual(wanted)
    expect(await Promise.all((await h.compile(gradients)(a, b)).map(numbers))).toEqual(wanted)
  })

  it('may stop a gradient, which is then missing', async () => {
    const half = h.customGradient(
      (a: h.Tensor, b: h.Tensor) => a.add(b),
      (dy) => [dy, undefined],
    )
    const [a, b] = [vector(), vector().mul(1)]
    const loss = half(a, b).sum()
    expect(await numbers(h.grad(loss, [a]).get(a))).toEqual([1, 1, 1, 1])
    expect(() => h.grad(loss, [b])).toThrow(h.GradientError)
    expect(await numbers(h.grad(loss, [b], { missing: 'zero' }).get(b))).toEqual([0, 0, 0, 0])
  })

  it('refuses a cotangent of another shape, naming both', () => {
    const wrong = h.customGradient(
      (x: h.Tensor) => x.mul(2),
      (dy) => [dy.sum()],
    )
    const x = vector()
    expect(() => h.grad(wrong(x).sum(), [x])).toThrow(h.ShapeError)
    expect(() => h.grad(wrong(x).sum(), [x])).toThrow(
      /customGradient: the cotangent of input 0 has shape \[\], the input \[4\]/,
    )
  })
})

describe('checkpoint', () => {
  const block = (x: h.Tensor, w: h.Tensor): h.Tensor => h.gelu(h.matmul(x, w)).add(x)
  const operands = (size = 4): [h.Tensor, h.Tensor] => {
    const make = (offset: number): h.Tensor =>
      h.tensor(
        Array.from({ length: size * size }, (_, i) => Math.sin(i * 1.7 + offset)),
        { shape: [size, size], dtype: 'f64' },
      )
    return [make(0), make(1)]
  }

  const through =
    (layer: (x: h.Tensor, w: h.Tensor) => h.Tensor, depth = 3) =>
    (x: h.Tensor, w: h.Tensor): h.Tensor[] => {
      let y = x
      for (let i = 0; i < depth; i++) y = layer(y, w)
      const found = h.grad(y.square().sum(), [x, w])
      return [found.get(x), found.get(w)]
    }

  it('gives the same bits as without, eagerly and compiled', async () => {
    const [x, w] = operands()
    const wanted = await Promise.all(through(block)(x, w).map(numbers))
    expect(await Promise.all(through(h.checkpoint(block))(x, w).map(numbers))).toEqual(wanted)
    expect(await Promise.all((await h.compile(through(h.checkpoint(block)))(x, w)).map(numbers))).toEqual(wanted)
  })

  it('gives the same second order', async () => {
    const [x, w] = operands()
    const second = (layer: typeof block): h.Tensor => {
      const first = h.grad(layer(x, w).square().sum(), [x]).get(x)
      return h.grad(first.square().sum(), [w]).get(w)
    }
    const [plain, kept] = [await numbers(second(block)), await numbers(second(h.checkpoint(block)))]
    kept.forEach((value, i) =>
      expect(Math.abs(value - (plain[i] as number))).toBeLessThanOrEqual(1e-7 * (1 + Math.abs(plain[i] as number))),
    )
  })

  it('drops the same elements when it computes again', async () => {
    const generator = new h.Generator(3)
    const dropped = h.checkpoint((x: h.Tensor) => h.dropout(x.exp(), 0.5, { generator }))
    const step = h.compile((x: h.Tensor) => {
      const y = dropped(x)
      return [y, h.grad(y.sum(), [x]).get(x)]
    })
    const x = h.tensor(Array.from({ length: 64 }, (_, i) => i / 64))
    for (let call = 0; call < 2; call++) {
      const [y, slope] = (await step(x)) as [h.Tensor, h.Tensor]
      // d/dx of the kept e^x / (1 - p) is itself.
      expect(await numbers(slope)).toEqual(await numbers(y))
      expect((await numbers(y)).filter((v) => v === 0).length).toBeGreaterThan(0)
    }
  })

  it('works in a loop of training', async () => {
    const w = new h.Parameter(operands()[1])
    const losses = h.compile((x: h.Tensor) => {
      const loss = h
        .checkpoint((y: h.Tensor) => block(block(y, w), w))(x)
        .square()
        .mean()
      w.assign(w.sub(h.grad(loss, [w]).get(w).mul(0.05)))
      return loss
    })
    const [x] = operands()
    const [first, last] = [
      Number(await (await losses(x)).item()),
      Number(
        await ((await (await Promise.all(Array.from({ length: 30 }, () => losses(x)))).at(-1)) as h.Tensor).item(),
      ),
    ]
    expect(last).toBeLessThan(first / 2)
  })

  it('keeps less in memory', async () => {
    const [x, w] = operands(64)
    const wide = (y: h.Tensor, v: h.Tensor): h.Tensor => {
      let z = y
      for (let i = 0; i < 4; i++) z = h.softmax(h.matmul(z, v))
      return z
    }
    const live = async (layer: typeof block, depth: number): Promise<number> => {
      const step = h.compile((y: h.Tensor, v: h.Tensor) => {
        let z = y
        for (let i = 0; i < depth; i++) z = layer(z, v)
        return h.grad(z.square().sum(), [y]).get(y)
      })
      await step(x, w)
      return step.plan?.memory.live as number
    }
    const plain = await live(wide, 6)
    // The results of 24 softmaxes are kept, or those of 6 blocks and of the 4 in one of them.
    expect(await live(h.checkpoint(wide), 6)).toBeLessThan(0.6 * plain)
    expect(
      await live(
        h.checkpoint((y, v) => wide(h.checkpoint(wide)(y, v), v)),
        3,
      ),
    ).toBeLessThan(0.6 * plain)
  })

  it('keeps what it captures instead of computing it again', async () => {
    const [x, w] = operands()
    const step = h.compile((y: h.Tensor, v: h.Tensor) => {
      const outside = h.softmax(h.matmul(y, v))
      const inside = h.checkpoint((z: h.Tensor) => h.tanh(z).mul(outside))(y)
      return h.grad(inside.sum(), [y]).get(y)
    })
    await step(x, w)
    expect(step.plan?.toString().match(/^ *\d+ +softmax /gm)).toHaveLength(1)
  })
})

describe('grad', () => {
  it('of an expression is there although an equal one was read before', async () => {
    const x = vector()
    const read = x.square()
    await read.data()
    const again = x.square()
    expect(await numbers(h.grad(again.sum(), [x]).get(x))).toEqual([-3, -0.5, 1, 4])
    expect(() => h.grad(read.sum(), [x])).toThrow(/history was let go when it was read/)
  })

  it('names tied weights once', async () => {
    const w = new h.Parameter(h.tensor([2, 3]))
    const found = h.grad(w.mul(w).sum(), [w, w])
    expect(found.size).toBe(1)
    expect(await numbers(found.get(w))).toEqual([4, 6])
  })

  it('goes through views, broadcasts and reuse at once', async () => {
    const x = h.tensor(
      [
        [1, 2, 3],
        [4, 5, 6],
      ],
      { dtype: 'f64' },
    )
    const y = x
      .transpose()
      .slice([0, 2])
      .reshape(4)
      .mul(h.tensor([1, 2, 3, 4], { dtype: 'f64' }))
      .sum()
      .add(x.sum({ axes: 0 }).square().sum())
    expect(await numbers(h.grad(y, [x]).get(x))).toEqual([11, 17, 18, 12, 18, 18])
  })

  it('gives the third order', async () => {
    const x = h.tensor(0.7, { dtype: 'f64' })
    let y: h.Tensor = h.sin(x)
    for (let order = 0; order < 3; order++) y = h.grad(y, [x]).get(x)
    expect(Math.abs(Number(await y.item()) + Math.cos(0.7))).toBeLessThan(1e-12)
  })
})
