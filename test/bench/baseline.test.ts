// Baselines: what counts as slower, and which files are none.
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { compared, machineDifference, readBaseline } from '../../lib/bench/baseline.js'
import { FormatError } from '../../lib/index.js'
import { temporaryFolder } from '../io/folder.js'
import { resultOf, rowOf } from './result.js'

describe('a comparison', () => {
  const before = resultOf([rowOf({ seconds: 1e-3 })])

  it('calls a case slower or faster only beyond noise and five per cent', () => {
    const verdict = (seconds: number) => compared(rowOf({ seconds }), before)
    expect(verdict(1.2e-3)).toMatchObject({ verdict: 'slower', ratio: expect.closeTo(1.2) })
    expect(verdict(0.8e-3)).toMatchObject({ verdict: 'faster' })
    expect(verdict(1.04e-3)).toMatchObject({ verdict: 'same' })
    const { cold } = rowOf({ seconds: 1.5e-3 })
    const noisy = rowOf({ cold: { ...cold, low: 0.9e-3, high: 2e-3 } })
    expect(compared(noisy, before)).toMatchObject({ verdict: 'same' })
  })

  it('looks at what counts of this run: warm where arithmetic is the limit', () => {
    expect(compared(rowOf({ bound: 'arithmetic' }), before)).toMatchObject({ ratio: 1 })
  })

  it('finds no other dtype, shape or case', () => {
    for (const changes of [{ dtype: 'f64' }, { shapes: [[3, 512]] }, { case: 'softmax: another' }] as const)
      expect(compared(rowOf(changes), before)).toBeUndefined()
  })

  it('says where the machine is another', () => {
    expect(machineDifference(before, before)).toBe('')
    const other = resultOf([], { threads: 8, copyBytesPerSecond: 4e10, instructionSet: 'avx512' })
    expect(machineDifference(other, before)).toBe(
      'it was measured on cpu (avx2); with 2 threads, not 8; this machine copies memory at 2.00 times its rate',
    )
  })
})

it('what is no benchmark is an error that says so', async () => {
  const file = join(await temporaryFolder(), 'a.json')
  await writeFile(file, JSON.stringify(resultOf([rowOf()])))
  expect(readBaseline(file).rows).toHaveLength(1)
  const row = rowOf()
  for (const [text, what] of [
    ['{', 'it is no JSON'],
    ['null', 'it does not say so'],
    ['{"format":"heddle bench 2"}', 'it does not say so'],
    [JSON.stringify({ ...resultOf([]), machine: {} }), 'its machine is missing'],
    [JSON.stringify(resultOf([{ ...row, cold: { ...row.cold, p50: 0 } }])), 'a row is not as it should be'],
    [JSON.stringify({ ...resultOf([]), rows: [null] }), 'a row is not as it should be'],
  ] as const) {
    await writeFile(file, text)
    expect(() => readBaseline(file)).toThrow(FormatError)
    expect(() => readBaseline(file)).toThrow(what)
  }
  expect(() => readBaseline(join(file, 'gone'))).toThrow(/can not be read/)
})
