// State dicts with f16 and bf16 as bits: nothing is lost, nothing is taken for something else.
import { describe, expect, test } from 'vitest'
import { withoutMemory } from '../lib/cell.js'
import { compile, defaultDevice, Generator, nn, Parameter, randomNormal, StateDictError, tensor } from '../lib/index.js'

class Pair extends nn.Module {
  constructor(dtype: 'bf16' | 'f16' | 'f32') {
    super()
    this.weight = new Parameter(tensor([1, 2, 3], { dtype }))
  }

  readonly weight: Parameter

  forward(): never {
    throw new Error('not called')
  }
}

// One, minus zero, and a NaN whose bits say more than that it is one.
const BITS = { bf16: Uint16Array.of(0x3f80, 0x8000, 0xffd5), f16: Uint16Array.of(0x3c00, 0x8000, 0xfe55) }

describe.each(['bf16', 'f16'] as const)('%s', (dtype) => {
  test('bits go in and come out as they are', async () => {
    const model = new Pair(dtype)
    model.loadStateDict({ weight: { dtype, shape: [3], data: BITS[dtype] } })
    const state = await model.stateDict({ bits: true })
    expect(state).toEqual({ weight: { dtype, shape: [3], data: BITS[dtype] } })
    expect(await model.weight.bits()).toEqual(BITS[dtype])
    expect((await model.stateDict())['weight']?.data).toEqual(Float32Array.of(1, -0, Number.NaN))
  })

  test('bits are widened for a cell of f32', async () => {
    const model = new Pair('f32')
    model.loadStateDict({ weight: { dtype, shape: [3], data: BITS[dtype] } })
    expect(await model.weight.data()).toEqual(Float32Array.of(1, -0, Number.NaN))
  })

  test('a Uint16Array that is said to be something else is refused', async () => {
    const model = new Pair(dtype)
    const load = () => model.loadStateDict({ weight: { dtype: 'f32', shape: [3], data: BITS[dtype] } })
    expect(load).toThrow(StateDictError)
    expect(load).toThrow(/weight: a Uint16Array, which holds no elements of f32/)
    expect(await model.weight.data()).toEqual(Float32Array.of(1, 2, 3))
  })
})

test('a generator goes on from its state', async () => {
  const one = new Generator(5)
  await randomNormal([7], { generator: one }).data()
  const state = await one.stateDict()
  const next = await randomNormal([7], { generator: one }).data()
  const two = new Generator(6)
  two.loadStateDict(state)
  expect(await randomNormal([7], { generator: two }).data()).toEqual(next)
  expect(() => two.loadStateDict({})).toThrow(StateDictError)
})

describe('a cell without memory', () => {
  const make = (): Parameter => withoutMemory(() => new Parameter(tensor([1, 2, 3]).mul(2)))

  test('takes none until it is read, and then holds its initial value', async () => {
    const allocated = (): number => defaultDevice().memory().allocated
    const before = allocated()
    const large = withoutMemory(() => new nn.Linear(2 ** 20, 2 ** 20))
    expect(large.weight.shape).toEqual([2 ** 20, 2 ** 20])
    expect(allocated()).toBe(before)
    expect(await make().data()).toEqual(Float32Array.of(2, 4, 6))
    large.weight.dispose()
    expect(() =>
      withoutMemory(() => {
        throw new Error('ended')
      }),
    ).toThrow('ended')
    expect(await new Parameter(tensor([1])).data()).toEqual(Float32Array.of(1))
    expect(new nn.Linear(2, 2).weight.state.buffer.bytes).toBe(16)
  })

  test('is written as a whole, assigned, and first read in a compiled function', async () => {
    const written = make()
    written.write(Float32Array.of(7, 8, 9))
    expect(await written.data()).toEqual(Float32Array.of(7, 8, 9))
    const assigned = make()
    assigned.assign(tensor([5, 5, 5]))
    expect(await assigned.data()).toEqual(Float32Array.of(5, 5, 5))
    const compiled = make()
    const step = compile(() => {
      compiled.assign(compiled.add(1))
      return compiled.mul(10)
    })
    expect(await (await step()).data()).toEqual(Float32Array.of(30, 50, 70))
    expect(await compiled.data()).toEqual(Float32Array.of(3, 5, 7))
  })
})
