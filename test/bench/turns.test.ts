// Limits in turn: probes that run before each sample, and what they say after.
import { afterAll, expect, it } from 'vitest'
import { Turns } from '../../lib/bench/turns.js'
import { device, Generator } from '../../lib/index.js'
import { resultOf } from './result.js'

const peak = { flopsPerSecond: 1e11, by: 'multiply-adds in registers' } as const
const { machine } = resultOf([], { peaks: { f32: peak, bf16: peak } })
const turns = await Turns.on(device('cpu'), machine, new Generator(1))
afterAll(() => turns.dispose())

/** Of three runs: medians lie between the least and the most. */
async function ofThree(turn: ReturnType<Turns['memory']>, rate: (limits: ReturnType<typeof turn.last>) => number) {
  const rates: number[] = []
  for (let i = 0; i < 3; i++) {
    await turn.before()
    rates.push(rate(turn.last()))
  }
  rates.sort((a, b) => a - b)
  expect(rates[0]).toBeGreaterThan(0)
  expect(rate(turn.limits())).toBeCloseTo(rates[1] as number, -3)
}

it('memory: a copy and reading, each in the median of its runs', async () => {
  await ofThree(turns.memory(), ({ copyBytesPerSecond }) => copyBytesPerSecond as number)
  await ofThree(turns.memory(), ({ readBytesPerSecond }) => readBytesPerSecond as number)
})

it('arithmetic of the dtypes asked for that have a peak, and of no other', async () => {
  const turn = await turns.arithmetic(['f32', 'bf16', 'bool'])
  await ofThree(turn, ({ flopsPerSecond }) => flopsPerSecond?.f32 as number)
  expect(Object.keys(turn.limits().flopsPerSecond as object)).toEqual(['f32', 'bf16'])
  expect(turn.limits().copyBytesPerSecond).toBeUndefined()
})
