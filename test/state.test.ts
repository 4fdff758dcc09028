// State dicts with f16 and bf16 as bits: nothing is lost, nothing is taken for something else.
import { describe, expect, test } from 'vitest'
import { Generator, nn, Parameter, randomNormal, StateDictError, tensor } from '../lib/index.js'

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
