// The int8 cases against their references, and what the kernels keep between runs.
import { describe, expect, it } from 'vitest'
import { CASES, ERRORS } from '../../lib/cases/quantized.js'
import { Cell, compile, defaultDevice, full, quantizedConv2d, tensor } from '../../lib/index.js'
import { checkFamily } from './check.js'

checkFamily('quantized', CASES, ERRORS)

describe('quantizedConv2d', () => {
  const x = tensor(
    Uint8Array.from({ length: 2 * 3 * 4 * 4 }, (_, i) => (37 * i) % 256),
    { shape: [2, 3, 4, 4] },
  )
  const scale = tensor(Float32Array.from([1, 2, 4, 8]))
  const shape = [4, 3, 3, 3]
  const weights = (value: number) => new Int8Array(4 * 27).fill(value)

  it('sees new elements of a weight whose packed copy it has kept', async () => {
    const weight = new Cell(tensor(weights(3), { shape }))
    const run = compile(() => quantizedConv2d(x, weight, scale, { input: { scale: 1 } }).sum())
    const first = (await (await run()).item()) as number
    expect(await (await run()).item()).toBe(first)
    weight.write(weights(-6))
    expect(await (await run()).item()).toBe(-2 * first)
    weight.write(weights(3))
    expect(await (await run()).item()).toBe(first)
  })

  it('gives the same through floats, where a device has no int8 products', async () => {
    const options = { input: { scale: 0.5, zeroPoint: 9 }, output: { scale: 64, zeroPoint: 100 }, padding: 1 } as const
    const weight = tensor(weights(3), { shape })
    // A constant is on no device, so nothing is known of its products.
    const constant = full(shape, 3, { dtype: 'i8' })
    const both = [weight, constant].map((w) => compile(() => quantizedConv2d(x, w, scale, options)))
    const [kernel, floats] = await Promise.all(both.map(async (run) => [...(await (await run()).data())]))
    expect(floats).toEqual(kernel)
    const plans = both.map((run) => String(run.plan).includes('quantizedConv'))
    const multiplies = /vnni|amx|bf16|fp16/.test(defaultDevice().instructionSet) && defaultDevice().kind === 'cpu'
    expect(plans).toEqual([multiplies, false])
  })
})
