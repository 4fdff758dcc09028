// The attention cases against their references, and dropout of attention weights: its draws, its memory, its layers.
import { describe, expect, it } from 'vitest'
import { CASES, ERRORS } from '../../lib/cases/attention.js'
import * as h from '../../lib/index.js'
import { checkFamily } from './check.js'

checkFamily('attention', CASES, ERRORS)

const numbers = async (x: h.Tensor): Promise<number[]> => Array.from((await x.data()) as ArrayLike<number>)

function expectClose(found: readonly number[], wanted: readonly number[], by = 1e-5): void {
  expect(found.length).toBe(wanted.length)
  found.forEach((x, i) => {
    const y = wanted[i] as number
    if (!(Math.abs(x - y) <= by * Math.max(1, Math.abs(y)))) expect.fail(`element ${i} is ${x}, wanted ${y}`)
  })
}

const HOW = ['uncompiled', 'compiled'] as const

/** `fn` as it is, or compiled; calls are awaited either way. */
const called = <A extends h.Tensor[], R>(
  how: (typeof HOW)[number],
  fn: (...args: A) => R,
): ((...args: A) => Promise<R>) => (how === 'compiled' ? h.compile(fn) : async (...args) => fn(...args))

describe('dropout of attention weights', () => {
  const [batch, heads, queries, keys, width] = [2, 3, 5, 7, 4]
  const make = (): [h.Tensor, h.Tensor] => {
    const generator = new h.Generator(1)
    return [
      h.randomNormal([batch, heads, queries, width], { generator }).realize(),
      h.randomNormal([batch, heads, keys, width], { generator }).realize(),
    ]
  }
  /** Values that make the result the weights themselves. */
  const unit = (): h.Tensor => h.broadcastTo(h.eye(keys), [batch, heads, keys, keys]).realize()

  it.each(HOW)('drops what dropout drops of the weights, draw after draw, %s', async (how) => {
    const weights = (q: h.Tensor, k: h.Tensor): h.Tensor => h.softmax(q.matmul(h.transpose(k)).div(Math.sqrt(width)))
    const draws = (generator: h.Generator, attend: (q: h.Tensor, k: h.Tensor, p: number) => h.Tensor) =>
      called(how, (q: h.Tensor, k: h.Tensor) => [
        attend(q, k, 0.3),
        h.randomUniform([3], { generator }),
        attend(q, k, 0.1),
        h.randomUniform([5], { generator }),
      ])
    const [plain, fused] = [new h.Generator(7), new h.Generator(7)]
    const v = unit()
    const wanted = draws(plain, (q, k, dropout) => h.dropout(weights(q, k), dropout, { generator: plain }))
    const found = draws(fused, (q, k, dropout) => h.scaledDotProductAttention(q, k, v, { dropout, generator: fused }))
    const [q, k] = make()
    for (let call = 0; call < 3; call++) {
      const [given, expected] = [await found(q, k), await wanted(q, k)]
      for (const [i, x] of given.entries()) {
        const [a, b] = [await numbers(x), await numbers(expected[i] as h.Tensor)]
        if (i % 2 === 1) expect(a).toEqual(b)
        else {
          expect(a.map((weight) => weight === 0)).toEqual(b.map((weight) => weight === 0))
          expectClose(a, b)
        }
      }
      expect(await fused.state.data()).toEqual(await plain.state.data())
    }
  })

  it.each(HOW)('is the same backward as forward, %s', async (how) => {
    const generator = new h.Generator(3)
    const both = called(how, (q: h.Tensor, k: h.Tensor, v: h.Tensor) => {
      const out = h.scaledDotProductAttention(q, k, v, { dropout: 0.5, generator })
      return [out, h.grad(out.sum(), [v]).get(v)]
    })
    const [q, k] = make()
    const before = new Set<string>()
    for (let call = 0; call < 3; call++) {
      const [out, slope] = await both(q, k, unit())
      // With the unit matrix for values the result is the weights, and each value's gradient a sum of weights.
      const sums = await numbers(h.transpose((out as h.Tensor).sum({ axes: 2, keepDims: true })))
      expectClose(
        (await numbers(slope as h.Tensor)).filter((_, i) => i % keys === 0),
        sums,
      )
      before.add(JSON.stringify(await numbers(out as h.Tensor)))
    }
    expect(before.size).toBe(3)
  })

  it('is the same where a checkpoint computes it again', async () => {
    const [q, k] = make()
    const slopes = async (wrap: (fn: (q: h.Tensor) => h.Tensor) => (q: h.Tensor) => h.Tensor): Promise<number[]> => {
      const generator = new h.Generator(9)
      const attend = wrap((x) => h.scaledDotProductAttention(x.exp(), k, k, { dropout: 0.5, generator }).square())
      return numbers(h.grad(attend(q).sum(), [q]).get(q))
    }
    expect(await slopes(h.checkpoint)).toEqual(await slopes((fn) => fn))
  })

  it('draws nothing where nothing or everything is dropped', async () => {
    const generator = new h.Generator(4)
    const [q, k] = make()
    const attend = (dropout: number): h.Tensor => h.scaledDotProductAttention(q, k, k, { dropout, generator })
    expect(await numbers(attend(0))).toEqual(await numbers(h.scaledDotProductAttention(q, k, k)))
    expect(new Set(await numbers(attend(1)))).toEqual(new Set([0]))
    expect(new Set(await numbers(h.grad(attend(1).sum(), [q]).get(q)))).toEqual(new Set([0]))
    expect(await generator.state.data()).toEqual(BigInt64Array.of(4n, 0n))
  })
})

describe('a GPT with dropout', () => {
  const options = { vocabSize: 11, layers: 2, heads: 4, keyHeads: 2, width: 16, context: 256, dropout: 0.1 }
  const tokens = (length: number): h.Tensor =>
    h.tensor(
      Int32Array.from({ length: 2 * length }, (_, i) => (i * 7 + (i >> 3)) % 11),
      { shape: [2, length] },
    )
  const trainer = (how: (typeof HOW)[number]) => {
    h.seed(2)
    const model = new h.nn.GPT(options)
    const optimizer = new h.optim.AdamW(model.parameters(), { lr: 1e-3 })
    const step = called(how, (x: h.Tensor) => {
      const loss = h.functional.crossEntropy(model.forward(x).reshape(-1, 11), x.reshape(-1))
      optimizer.step(h.grad(loss, model.parameters()))
      return loss
    })
    return { step, model }
  }

  it('trains without holding the weights of its attention', async () => {
    const { step } = trainer('compiled')
    await step(tokens(256))
    const { plan } = step as h.Compiled<[h.Tensor], h.Tensor>
    const listing = String(plan)
    expect(listing.match(/attention -> /g)).toHaveLength(2)
    expect(listing.match(/attentionGrad -> /g)).toHaveLength(2)
    expect(listing).not.toMatch(/\[2,4,256,256\]/)
    const largest = Math.max(...(plan as h.Plan).layout.storages.map(({ bytes }) => bytes))
    expect(largest).toBeLessThan(2 * 4 * 256 * 256)
  })

  it('takes the same steps compiled and uncompiled', async () => {
    const losses = async (how: (typeof HOW)[number]): Promise<number[]> => {
      const { step } = trainer(how)
      const found: number[] = []
      for (let i = 0; i < 4; i++) found.push((await (await step(tokens(24))).item()) as number)
      return found
    }
    const compiled = await losses('compiled')
    expectClose(compiled, await losses('uncompiled'))
    expect(new Set(compiled).size).toBe(4)
  })

  it('drops nothing when it does not train', async () => {
    const { model } = trainer('compiled')
    model.eval()
    const evaluate = h.compile((x: h.Tensor) => model.forward(x))
    const [first, second] = [await evaluate(tokens(16)), await evaluate(tokens(16))]
    expect(await numbers(first)).toEqual(await numbers(second))
    expect(String(evaluate.plan)).not.toMatch(/uniform/)
  })
})
