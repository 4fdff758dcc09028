// Memory: how plans pack it, what they reuse, and that a long loop holds it flat.
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import * as h from '../../lib/index.js'
import { root } from '../runtime/addon.js'

type Memory = h.PlanMemory

/** Expects blocks that are alive together to lie apart, and all of them in the arena. */
function expectApart({ blocks, arena }: Memory): void {
  blocks.forEach((a, i) => {
    expect(a.offset + a.bytes).toBeLessThanOrEqual(arena)
    for (const b of blocks.slice(i + 1)) {
      const together = a.first <= b.last && b.first <= a.last
      const overlap = a.offset < b.offset + b.bytes && b.offset < a.offset + a.bytes
      if (together && overlap) expect.fail(`${JSON.stringify(a)} and ${JSON.stringify(b)} share bytes`)
    }
  })
}

const random = (shape: readonly number[], seed = 1): h.Tensor =>
  h.randomNormal(shape, { generator: new h.Generator(seed) })

function perceptron(): h.Compiled<[h.Tensor, h.Tensor], h.Tensor> {
  const sizes = [
    [64, 128],
    [128, 128],
    [128, 96],
    [96, 10],
  ]
  const weights = sizes.map((shape, i) => new h.Parameter(random(shape, i).mul(0.1)))
  const biases = sizes.map(([, width]) => new h.Parameter(h.zeros([width as number])))
  return h.compile((x: h.Tensor, targets: h.Tensor) => {
    const y = weights.reduce((input, w, i) => {
      const out = input.matmul(w).add(biases[i] as h.Tensor)
      return i < weights.length - 1 ? h.gelu(out) : out
    }, x)
    const loss = h.crossEntropy(y, targets)
    const parameters = [...weights, ...biases]
    h.assign(h.grad(loss, parameters).map((slope, p) => p.sub(slope.mul(0.01))) as never)
    return loss
  })
}

function transformer(): h.Compiled<[h.Tensor], h.Tensor[]> {
  const [batch, length, width, heads] = [2, 32, 64, 4]
  const make = (shape: readonly number[], seed: number): h.Parameter => new h.Parameter(random(shape, seed).mul(0.05))
  const layers = [0, 1, 2].map((i) => ({
    qkv: make([width, 3 * width], 10 * i),
    out: make([width, width], 10 * i + 1),
    up: make([width, 4 * width], 10 * i + 2),
    down: make([4 * width, width], 10 * i + 3),
  }))
  return h.compile((x: h.Tensor) => {
    let y = x
    for (const { qkv, out, up, down } of layers) {
      const parts = h.split(h.layerNorm(y, [width]).matmul(qkv), width, -1)
      const [q, k, v] = parts.map((part) => part.reshape(batch, length, heads, -1).permute(0, 2, 1, 3)) as [
        h.Tensor,
        h.Tensor,
        h.Tensor,
      ]
      const attended = h
        .scaledDotProductAttention(q, k, v, { causal: true })
        .permute(0, 2, 1, 3)
        .reshape(batch, length, width)
      y = y.add(attended.matmul(out))
      y = y.add(h.gelu(h.rmsNorm(y, [width]).matmul(up)).matmul(down))
    }
    const parameters = layers.flatMap((layer) => Object.values(layer))
    const found = h.grad(y.square().mean(), parameters)
    return parameters.map((p) => found.get(p))
  })
}

function convolutions(): h.Compiled<[h.Tensor], h.Tensor> {
  const [first, second] = [new h.Parameter(random([8, 3, 3, 3], 1)), new h.Parameter(random([16, 8, 3, 3], 2))]
  return h.compile((x: h.Tensor) => {
    const a = h.maxPool2d(h.relu(h.batchNormTraining(h.conv2d(x, first, { padding: 1 })).y), 2)
    const loss = h
      .avgPool2d(h.relu(h.conv2d(a, second, { padding: 1 })), 2)
      .square()
      .mean()
    const found = h.grad(loss, [first, second])
    h.assign([first, second].map((p) => [p, p.sub(found.get(p).mul(0.1))] as const))
    return loss
  })
}

describe('a plan', () => {
  const PLANS: readonly (readonly [string, () => Promise<h.Plan | undefined>])[] = [
    [
      'a perceptron',
      async () => {
        const step = perceptron()
        await step(random([32, 64]), h.zeros([32], { dtype: 'i32' }))
        return step.plan
      },
    ],
    [
      'a transformer',
      async () => {
        const step = transformer()
        await step(random([2, 32, 64]))
        return step.plan
      },
    ],
    [
      'convolutions',
      async () => {
        const step = convolutions()
        await step(random([4, 3, 16, 16]))
        return step.plan
      },
    ],
    [
      'a chain of products',
      async () => {
        const step = h.compile((x: h.Tensor) =>
          Array.from({ length: 20 }).reduce((y: h.Tensor) => h.softmax(y.matmul(x)), x),
        )
        await step(random([48, 48]))
        return step.plan
      },
    ],
  ]

  it.each(PLANS)(
    'of %s needs at most 1.10 times what is alive at once, and no two live blocks share bytes',
    async (_, make) => {
      const { memory } = (await make()) as h.Plan
      expect(memory.blocks.length).toBeGreaterThan(1)
      expect(memory.arena).toBeLessThanOrEqual(1.1 * memory.live)
      expectApart(memory)
    },
  )

  it('sums up the gradients of a weight that is used many times as they come', async () => {
    const [width, uses] = [64, 12]
    const weight = new h.Parameter(random([width, width]))
    const step = h.compile((x: h.Tensor) => {
      let y = x
      for (let i = 0; i < uses; i++) y = h.tanh(y.matmul(weight))
      weight.assign(weight.sub(h.grad(y.sum(), [weight]).get(weight).mul(0.01)))
    })
    await step(random([4, width]))
    const gradients = (step.plan as h.Plan).memory.blocks.filter(({ bytes }) => bytes === width * width * 4)
    const together = gradients.map(({ first }) => gradients.filter((b) => b.first <= first && first <= b.last).length)
    expect(gradients.length).toBeGreaterThanOrEqual(uses)
    expect(Math.max(...together)).toBeLessThanOrEqual(4)
  })

  it('of a chain needs two blocks, however long it is', async () => {
    const step = h.compile((x: h.Tensor) =>
      Array.from({ length: 20 })
        .reduce((y: h.Tensor) => h.softmax(y), x)
        .sum(),
    )
    await step(random([64, 64]))
    expect(step.plan?.memory.arena).toBeLessThanOrEqual(2 * 64 * 64 * 4 + 64)
  })

  it('computes an optimizer step in the memory of its cells', async () => {
    const w = new h.Parameter(random([256, 256]))
    const step = h.compile((x: h.Tensor) => {
      const loss = x.matmul(w).square().mean()
      w.assign(w.sub(h.grad(loss, [w]).get(w).mul(0.1)))
      return loss
    })
    await step(random([8, 256]))
    // The gradient is as large as the weight; no second copy of either.
    expect(step.plan?.memory.arena).toBeLessThan(1.5 * 256 * 256 * 4)
    expect(step.plan?.toString()).not.toMatch(/copy/)
  })

  it('writes rows of a cell where they lie', async () => {
    const cell = new h.Cell(random([4096, 64]))
    const step = h.compile((at: h.Tensor, rows: h.Tensor) => {
      cell.assign(h.indexCopy(cell, at, rows))
      return cell.mean()
    })
    await step(h.tensor([3, 700], { dtype: 'i32' }), random([2, 64]))
    expect(step.plan?.memory.arena).toBeLessThan(4096)
    expect(step.plan?.toString()).not.toMatch(/copy of|copy ->/)
  })

  it('keeps a value that is a result, an operand and a view at once', async () => {
    const step = h.compile((x: h.Tensor) => {
      const y = x.exp()
      const z = h.softmax(y)
      return [y, z, y.transpose().mul(2), z.slice([0, 2]), y.add(z)]
    })
    const x = random([5, 7])
    const eager = (v: h.Tensor): h.Tensor[] => {
      const y = v.exp()
      const z = h.softmax(y)
      return [y, z, y.transpose().mul(2), z.slice([0, 2]), y.add(z)]
    }
    const found = await step(x)
    for (const [i, wanted] of eager(x).entries()) expect(await found[i]?.array()).toEqual(await wanted.array())
  })
})

describe('a loop', () => {
  it('of 3,000 steps holds memory flat without finalizers', { timeout: 120_000 }, async () => {
    const script = join(root, 'dist/test/graph/loop.js')
    expect(existsSync(script), 'npm run build:types compiles the script this runs').toBe(true)
    const { stdout } = await promisify(execFile)(process.execPath, ['--expose-gc', script], { timeout: 110_000 })
    const { warm, end, losses } = JSON.parse(stdout) as { warm: number[]; end: number[]; losses: number[] }
    expect(warm.length).toBe(2)
    expect(end).toEqual(warm)
    expect(losses.at(-1)).toBeLessThan((losses[0] as number) / 2)
  })

  it('gives the same bits in 100 runs from one seed', async () => {
    const run = async (): Promise<string> => {
      const noise = new h.Generator(42)
      const w = new h.Parameter(h.randomNormal([16, 4], { generator: noise }))
      const table = new h.Parameter(h.randomNormal([10, 16], { generator: noise }))
      const step = h.compile((indices: h.Tensor, targets: h.Tensor) => {
        const x = h.dropout(h.embedding(table, indices), 0.2, { generator: noise })
        const loss = h.crossEntropy(h.softmax(x).matmul(w), targets)
        const found = h.grad(loss, [w, table])
        h.assign([w, table].map((p) => [p, p.sub(found.get(p).mul(0.5))] as const))
        return loss
      })
      const indices = h.tensor(Int32Array.from({ length: 64 }, (_, i) => (i * 7) % 10))
      const targets = h.tensor(Int32Array.from({ length: 64 }, (_, i) => i % 4))
      for (let i = 0; i < 5; i++) await step(indices, targets)
      const bits = async (x: h.Tensor): Promise<string> =>
        Buffer.from(((await x.data()) as Float32Array).buffer).toString('hex')
      return `${await bits(w)} ${await bits(table)}`
    }
    const first = await run()
    for (let i = 1; i < 100; i++) expect(await run()).toBe(first)
  })
})

describe('an op of several results', () => {
  it('runs once for all that are held', async () => {
    const { y, mean, variance } = h.batchNormTraining(h.tensor([1, 2, 3, 4], { shape: [2, 2] }))
    variance.dispose()
    await y.data()
    expect(mean.value.buffer).toBeDefined()
    expect(Array.from((await mean.data()) as Float32Array)).toEqual([2, 3])
  })
})
