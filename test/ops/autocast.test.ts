// Mixed precision: what is recorded in 16 bits and what in f32, gradients, and that compiled functions follow the policy.
import { describe, expect, it } from 'vitest'
import * as h from '../../lib/index.js'

const values = (count: number, seed = 1): number[] =>
  Array.from({ length: count }, (_, i) => Math.sin(i * 12.9898 + seed * 78.233))
const matrix = (rows: number, columns: number, seed?: number): h.Tensor =>
  h.tensor(values(rows * columns, seed), { shape: [rows, columns] })
const read = async (x: h.Tensor): Promise<number[]> => Array.from((await x.data()) as Float32Array)

/** The elements rounded to 16 bits, as f32. */
const rounded = (x: h.Tensor, precision: 'bf16' | 'f16'): h.Tensor => h.cast(h.cast(x, precision), 'f32')

describe.each(['bf16', 'f16'] as const)('autocast to %s', (precision) => {
  it('computes products in 16 bits with sums in f32', async () => {
    const [a, b] = [matrix(8, 300), matrix(300, 5, 2)]
    const found = h.autocast(precision, () => h.matmul(a, b))
    expect(found.dtype).toBe(precision)
    const wanted = h.cast(h.matmul(rounded(a, precision), rounded(b, precision)), precision)
    const ulps = precision === 'bf16' ? 2 ** -7 : 2 ** -10
    const [x, y] = [await read(found), await read(wanted)]
    x.forEach((v, i) => {
      expect(Math.abs(v - (y[i] as number))).toBeLessThanOrEqual(ulps * Math.abs(y[i] as number) + 1e-6)
    })
  })

  it('knows which ops are to be in which precision', () => {
    const x = matrix(4, 6)
    const image = h.reshape(matrix(4, 36), [2, 2, 6, 6])
    const heads = h.reshape(matrix(4, 24), [1, 2, 6, 8])
    h.autocast(precision, () => {
      const narrow = h.matmul(x, matrix(6, 6, 2))
      for (const op of [h.relu, h.tanh, h.exp]) expect(op(narrow).dtype).toBe(precision)
      for (const op of [h.softmax, h.logSoftmax]) expect(op(narrow).dtype).toBe('f32')
      for (const op of [h.sum, h.mean, h.prod, h.variance, h.logsumexp]) expect(op(narrow).dtype).toBe('f32')
      expect(h.conv2d(image, h.reshape(matrix(2, 18), [2, 2, 3, 3]), { bias: h.tensor([1, 2]) }).dtype).toBe(precision)
      expect(h.scaledDotProductAttention(heads, heads, heads).dtype).toBe(precision)
      expect(h.layerNorm(x, [6], { weight: h.tensor(values(6)) }).dtype).toBe('f32')
      expect(h.layerNorm(narrow, [6], { weight: h.tensor(values(6)) }).dtype).toBe(precision)
      expect(h.rmsNorm(narrow, [6], { weight: h.tensor(values(6)) }).dtype).toBe(precision)
      expect(h.batchNormTraining(narrow, { weight: h.tensor(values(6)) }).y.dtype).toBe(precision)
      expect(h.batchNormTraining(narrow).mean.dtype).toBe('f32')
      expect(h.crossEntropy(narrow, h.tensor([0, 1, 2, 3], { dtype: 'i32' })).dtype).toBe('f32')
      expect(h.mseLoss(narrow, x).dtype).toBe('f32')
      expect(h.linearCrossEntropy(x, matrix(5, 6, 3), h.tensor([0, 1, 2, 3], { dtype: 'i32' })).dtype).toBe('f32')
      expect(new h.nn.Linear(6, 3).forward(x).dtype).toBe(precision)
      expect(h.matmul(h.cast(x, 'f64'), matrix(6, 2)).dtype).toBe('f64')
      expect(h.matmul(h.cast(x, 'i32'), h.cast(matrix(6, 2), 'i32')).dtype).toBe('i32')
      expect(h.autocast('f32', () => h.matmul(x, matrix(6, 6))).dtype).toBe('f32')
    })
    expect(h.matmul(x, matrix(6, 6)).dtype).toBe('f32')
  })

  it('gives gradients in the dtype of the parameters, in and outside of it', async () => {
    const weight = new h.Parameter(matrix(6, 6, 3))
    const x = matrix(4, 6)
    const loss = h.autocast(precision, () => h.mean(h.softmax(h.matmul(h.matmul(x, weight), weight))).mul(3))
    const outside = h.grad(h.sum(loss), [weight]).get(weight)
    const inside = h.autocast(precision, () => h.grad(h.sum(loss), [weight]).get(weight))
    expect([outside.dtype, inside.dtype]).toEqual(['f32', 'f32'])
    expect(await read(inside)).toEqual(await read(outside))
  })

  it('trains a model as f32 does, to what 16 bits allow', async () => {
    const losses = async (kind: h.Precision): Promise<number[]> => {
      h.seed(3)
      const model = new h.nn.Sequential(new h.nn.Linear(6, 16), new h.nn.LayerNorm(16), new h.nn.Linear(16, 4))
      const adam = new h.optim.AdamW(model.parameters(), { lr: 1e-2 })
      const step = h.compile((x: h.Tensor, y: h.Tensor) => {
        const loss = h.autocast(kind, () => h.crossEntropy(model.forward(x), y))
        adam.step(h.grad(loss, model.parameters()))
        return loss
      })
      const [x, y] = [
        matrix(32, 6),
        h.tensor(
          Array.from({ length: 32 }, (_, i) => i % 4),
          { dtype: 'i32' },
        ),
      ]
      const found: number[] = []
      for (let i = 0; i < 60; i++) found.push(Number(await (await step(x, y)).item()))
      return found
    }
    const [full, mixed] = [await losses('f32'), await losses(precision)]
    expect(full.at(-1)).toBeLessThan(0.9 * (full[0] as number))
    mixed.forEach((loss, i) => {
      expect(Math.abs(loss - (full[i] as number))).toBeLessThan(0.02 * (full[i] as number))
    })
  })
})

describe('autocast', () => {
  it('around a compiled call traces it anew, and back', async () => {
    const step = h.compile((x: h.Tensor) => h.matmul(x, x))
    const x = matrix(6, 6)
    expect((await step(x)).dtype).toBe('f32')
    expect((await h.autocast('bf16', () => [step(x)])[0])?.dtype).toBe('bf16')
    expect((await step(x)).dtype).toBe('f32')
    expect(step.traces.length).toBe(2)
  })

  it('holds no longer than its function, also where that throws', () => {
    expect(() =>
      h.autocast('bf16', () => {
        throw new Error('mine')
      }),
    ).toThrow('mine')
    expect(h.matmul(matrix(2, 2), matrix(2, 2)).dtype).toBe('f32')
  })

  it('refuses another precision and async functions', () => {
    expect(() => h.autocast('f64' as never, () => 1)).toThrow(h.ArgumentError)
    expect(() => h.autocast('bf16', 1 as never)).toThrow(/expected a function/)
    expect(() => h.autocast('bf16', async () => 1)).toThrow(/async/)
  })
})
