// Operations and bytes that plans tell, against what can be counted by hand; and the ops that measure the machine.
import { expect, it } from 'vitest'
import { subjectsOf } from '../../lib/bench/subject.js'
import {
  compile,
  conv2d,
  layerNorm,
  matmul,
  maxPool2d,
  type PlanWork,
  softmax,
  type Tensor,
  tensor,
  zeros,
} from '../../lib/index.js'
import { MULTIPLY_ADD_ELEMENTS, multiplyAdd, streamingCopy, streamingRead } from '../../lib/ops/machine.js'

async function workOf(run: (...tensors: Tensor[]) => Tensor, ...shapes: number[][]): Promise<PlanWork | undefined> {
  const compiled = compile((tensors: Tensor[]) => run(...tensors))
  await compiled(shapes.map((shape) => zeros(shape)))
  return compiled.plan?.work
}

it('products count each multiply-add as two', async () => {
  expect(await workOf(matmul, [8, 5], [5, 7])).toMatchObject({
    flops: 560,
    arithmetic: { f32: 560 },
    bytes: 4 * (40 + 35 + 56),
  })
  const image = await workOf((x, w) => conv2d(x, w), [2, 3, 8, 8], [4, 3, 3, 3])
  expect(image?.flops).toBe(2 * (2 * 4 * 6 * 6) * (3 * 3 * 3))
})

it('fused programs count each instruction once per element, behind a reduction once per sum', async () => {
  expect(await workOf((x, y) => x.add(y).exp(), [6, 5], [6, 5])).toMatchObject({ flops: 0, arithmetic: { f32: 60 } })
  // What is repeated is read once.
  expect(await workOf((x, b) => x.mul(b), [6, 5], [5])).toMatchObject({ bytes: 4 * (30 + 5 + 30) })
  expect(await workOf((x) => x.mul(2).sum({ axes: 1 }).add(1), [6, 5])).toMatchObject({
    arithmetic: { f32: 30 + 30 + 6 },
  })
})

it('other kernels count the operations of their formulas', async () => {
  expect(await workOf((x) => softmax(x), [4, 8])).toMatchObject({ arithmetic: { f32: 5 * 32 } })
  expect(await workOf((x) => layerNorm(x, [8]), [4, 8])).toMatchObject({ arithmetic: { f32: 8 * 32 } })
  expect((await workOf((x) => maxPool2d(x, 2), [1, 1, 4, 4]))?.arithmetic).toEqual({ f32: 4 * 4 })
})

it.each(['f32', 'f64'] as const)('multiplyAdd of %s does every one of its steps', async (dtype) => {
  const size = 3 * MULTIPLY_ADD_ELEMENTS
  const x = Float64Array.from({ length: size }, (_, i) => (i % 17) - 8)
  const found = (await multiplyAdd(tensor([...x], { shape: [size], dtype }), 5).data()) as Float32Array
  // x <- 0.75 x + 0.25 leaves 1 where it is and draws all else towards it.
  Array.from(found).forEach((y, i) => expect(y).toBeCloseTo(1 + 0.75 ** 5 * ((x[i] as number) - 1), 5))
  const integers = (await multiplyAdd(tensor([...x], { shape: [size], dtype: 'i32' }), 3).data()) as Int32Array
  Array.from(integers).forEach((y, i) => expect(y).toBe(27 * (x[i] as number) + 13))
  expect(() => multiplyAdd(zeros([5]), 1)).toThrow(/groups of 192/)
})

it.each([1, 15, 16, 17, 1000, 300_001])('streamingCopy copies %d elements, also from within a line', async (size) => {
  const x = tensor(
    Float32Array.from({ length: size + 1 }, (_, i) => i),
    { shape: [size + 1] },
  )
  expect(await streamingCopy(x).data()).toEqual(await x.data())
  expect(await streamingCopy(x.slice([1])).data()).toEqual(((await x.data()) as Float32Array).slice(1))
})

it.each([1, 15, 63, 64, 1000, 600_001])('streamingRead reads each of %d words', async (size) => {
  const words = Int32Array.from({ length: size }, (_, i) => Math.imul(i + 1, 0x9e3779b1))
  const expected = words.reduce((all, word) => all ^ word, 0)
  expect(Array.from((await streamingRead(tensor(words)).data()) as Int32Array)).toEqual([expected])
  expect(() => streamingRead(zeros([5], { dtype: 'f64' }))).toThrow(/f32 or i32, not f64/)
})

it('every case is named once and all of them are timed', () => {
  const names = subjectsOf({}).map(({ name }) => name)
  expect(names.length).toBeGreaterThan(500)
  expect(names.filter((name, i) => names.indexOf(name) !== i)).toEqual([])
})
