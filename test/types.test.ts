// The types people see, checked by the compiler: what is asserted here has no run time.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import ts from 'typescript'
import { describe, expect, expectTypeOf, it } from 'vitest'
import * as h from '../lib/index.js'
import { root } from './runtime/addon.js'

type Any = h.Tensor

describe('tensor', () => {
  it('has the dtype of its data', () => {
    expectTypeOf(h.tensor([1, 2])).toEqualTypeOf<h.Tensor<'f32'>>()
    expectTypeOf(h.tensor([])).toEqualTypeOf<h.Tensor<'f32'>>()
    expectTypeOf(h.tensor(3)).toEqualTypeOf<h.Tensor<'f32'>>()
    expectTypeOf(h.tensor([[true, false]])).toEqualTypeOf<h.Tensor<'bool'>>()
    expectTypeOf(h.tensor([1n])).toEqualTypeOf<h.Tensor<'i64'>>()
    expectTypeOf(h.tensor([1, true])).toEqualTypeOf<h.Tensor<'f32'>>()
    expectTypeOf(h.tensor(new Int32Array(2))).toEqualTypeOf<h.Tensor<'i32'>>()
    expectTypeOf(h.tensor(new Float64Array(2))).toEqualTypeOf<h.Tensor<'f64'>>()
    expectTypeOf(h.tensor(new BigInt64Array(2))).toEqualTypeOf<h.Tensor<'i64'>>()
  })

  it('has the dtype and the shape that were asked for', () => {
    expectTypeOf(h.tensor([1, 2], { dtype: 'bf16' })).toEqualTypeOf<h.Tensor<'bf16'>>()
    expectTypeOf(h.tensor([1, 2, 3, 4], { shape: [2, 2] })).toEqualTypeOf<h.Tensor<'f32', readonly [2, 2]>>()
    expectTypeOf(h.tensor([1, 2], { shape: [2, 1], dtype: 'i32' })).toEqualTypeOf<h.Tensor<'i32', readonly [2, 1]>>()
    expectTypeOf(h.tensor([1, 2], { shape: [2, 1] }).rank).toEqualTypeOf<2>()
    // @ts-expect-error there is no such dtype
    expect(() => h.tensor([1], { dtype: 'float32' })).toThrow(h.DTypeError)
    // @ts-expect-error a string is no data
    expect(() => h.tensor('1')).toThrow(h.ArgumentError)
  })

  it('agrees with what is there', async () => {
    for (const x of [
      h.tensor([1]),
      h.tensor([true]),
      h.tensor([1n]),
      h.tensor(new Int32Array(1)),
      h.tensor([]),
      h.tensor([1, true]),
    ]) {
      expectTypeOf(x.dtype).toExtend<h.DType>()
    }
    expect(
      [
        h.tensor([1]),
        h.tensor([true]),
        h.tensor([1n]),
        h.tensor(new Int32Array(1)),
        h.tensor([]),
        h.tensor([1, true]),
      ].map((x: Any) => x.dtype),
    ).toEqual(['f32', 'bool', 'i64', 'i32', 'f32', 'f32'])
  })
})

describe('results', () => {
  it('of item are numbers, bigints for i64 and booleans for bool', async () => {
    const [number, big, flag] = [h.tensor(2).item(), h.tensor(2n).item(), h.tensor(true).item()]
    expectTypeOf(number).toEqualTypeOf<Promise<number>>()
    expectTypeOf(big).toEqualTypeOf<Promise<bigint>>()
    expectTypeOf(flag).toEqualTypeOf<Promise<boolean>>()
    expectTypeOf(h.tensor(1).eq(2).item()).toEqualTypeOf<Promise<boolean>>()
    expectTypeOf(h.argmax(h.tensor([1])).item()).toEqualTypeOf<Promise<number>>()
    expect([await number, await big, await flag]).toEqual([2, 2n, true])
  })

  it('of data are the typed arrays of the dtype', async () => {
    const half = h.tensor([1], { dtype: 'bf16' }).data()
    expectTypeOf(half).toEqualTypeOf<Promise<Float32Array>>()
    expectTypeOf(h.tensor([1n]).data()).toEqualTypeOf<Promise<BigInt64Array>>()
    expectTypeOf(h.tensor([true]).data()).toEqualTypeOf<Promise<Uint8Array>>()
    expectTypeOf(h.tensor([1n]).array()).toEqualTypeOf<Promise<h.Nested<bigint>>>()
    expect(await half).toEqual(Float32Array.of(1))
  })

  it('of ops keep dtypes and shapes where those are known', () => {
    const [a, b] = [h.tensor([1, 2, 3, 4, 5, 6], { shape: [2, 3] }), h.tensor([1, 2, 3], { shape: [3, 1] })]
    expectTypeOf(h.matmul(a, b)).toEqualTypeOf<h.Tensor<'f32', readonly [2, 1]>>()
    expectTypeOf(a.matmul(b)).toEqualTypeOf<h.Tensor<'f32', readonly [2, 1]>>()
    expectTypeOf(h.cast(a, 'f16')).toEqualTypeOf<h.Tensor<'f16', readonly [2, 3]>>()
    expectTypeOf(a.cast('i64')).toEqualTypeOf<h.Tensor<'i64', readonly [2, 3]>>()
    expectTypeOf(a.exp()).toEqualTypeOf<h.Tensor<'f32', readonly [2, 3]>>()
    expectTypeOf(h.softmax(a)).toEqualTypeOf<h.Tensor<'f32', readonly [2, 3]>>()
    expectTypeOf(h.gelu(a)).toEqualTypeOf<h.Tensor<'f32', readonly [2, 3]>>()
    expectTypeOf(h.layerNorm(a, [3])).toEqualTypeOf<h.Tensor<'f32', readonly [2, 3]>>()
    expectTypeOf(a.gt(0)).toEqualTypeOf<h.Tensor<'bool'>>()
    expectTypeOf(h.oneHot(h.arange(3), 4)).toEqualTypeOf<h.Tensor<'f32'>>()
    expectTypeOf(h.zeros([2], { dtype: 'u8' })).toEqualTypeOf<h.Tensor<'u8'>>()
    expectTypeOf(h.grad(a.sum(), [a]).get(a)).toEqualTypeOf<h.Tensor>()
    expect(h.matmul(a, b).shape).toEqual([2, 1])
  })
})

describe('state', () => {
  it('keeps its dtype', () => {
    const step = new h.Cell(h.tensor(0n))
    expectTypeOf(step.item()).toEqualTypeOf<Promise<bigint>>()
    expectTypeOf(new h.Parameter(h.tensor([1])).trainable).toEqualTypeOf<boolean>()
    // @ts-expect-error it holds i64
    expect(() => step.assign(h.tensor(1))).toThrow(h.DTypeError)
  })
})

describe('compile', () => {
  it('keeps the arity and what is nested in arguments and results', async () => {
    const step = h.compile(
      (x: h.Tensor<'i32'>, { scale, parts }: { scale: number; parts: readonly h.Tensor<'f32'>[] }) => ({
        sum: x.sum(),
        pair: [x, parts[0] as h.Tensor<'f32'>] as const,
        scale,
      }),
    )
    expectTypeOf(step).parameters.toEqualTypeOf<
      [x: h.Tensor<'i32'>, { scale: number; parts: readonly h.Tensor<'f32'>[] }]
    >()
    const result = step(h.arange(3), { scale: 2, parts: [h.tensor([1])] })
    expectTypeOf(result).toEqualTypeOf<
      Promise<{ sum: h.Tensor; pair: readonly [h.Tensor<'i32'>, h.Tensor<'f32'>]; scale: number }>
    >()
    expectTypeOf(step.inline).returns.toEqualTypeOf<{
      sum: h.Tensor
      pair: readonly [h.Tensor<'i32'>, h.Tensor<'f32'>]
      scale: number
    }>()
    expectTypeOf(step.calls).toEqualTypeOf<number>()
    expect((await result).scale).toBe(2)
    const none = h.compile(() => h.ones([1]))
    expectTypeOf(none).parameters.toEqualTypeOf<[]>()
    // @ts-expect-error it takes no argument
    await none(1)
    // @ts-expect-error the first argument is i32
    await step(h.tensor([1.5]), { scale: 1, parts: [h.tensor([1])] })
    // @ts-expect-error zeros are f32 where nothing else is asked for
    const wrong: h.Tensor<'i32'> = h.zeros([1])
    expect(wrong.dtype).toBe('f32')
  })
})

describe('the public face', () => {
  it('has no any', () => {
    const folder = join(root, 'dist/lib')
    expect(existsSync(join(folder, 'index.d.ts')), 'npm run build:types writes the declarations this reads').toBe(true)
    const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.d.ts'))
    const found = files.flatMap((name) => {
      const source = ts.createSourceFile(name, readFileSync(join(folder, name), 'utf8'), ts.ScriptTarget.ES2022, true)
      const places: string[] = []
      const visit = (node: ts.Node): void => {
        const { line } = source.getLineAndCharacterOfPosition(node.getStart(source))
        if (node.kind === ts.SyntaxKind.AnyKeyword) places.push(`${name}:${line + 1}`)
        ts.forEachChild(node, visit)
      }
      visit(source)
      return places
    })
    expect(files.length).toBeGreaterThan(50)
    expect(found).toEqual([])
  })
})
