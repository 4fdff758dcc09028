// What kernels take by themselves, and cases made small enough for a cache.
import { expect, it } from 'vitest'
import { cachedBytes, inCache } from '../../lib/bench/inCache.js'
import { kernelSeconds } from '../../lib/bench/kernels.js'
import type { Subject } from '../../lib/bench/subject.js'
import { compile, device, matmul, ones, startProfile, stopProfile } from '../../lib/index.js'

const cpu = device('cpu')

it('is the sum of the kernels of a run, and leaves the device unrecorded', async () => {
  const x = ones([64, 64])
  const two = compile(() => matmul(matmul(x, x), x))
  let asked = 0
  const seconds = await kernelSeconds(
    cpu,
    async (cycles) => {
      for (let i = 0; i < cycles; i++) (await two()).dispose()
      await cpu.synchronize()
      asked += cycles
    },
    1e-9,
  )
  expect(asked).toBe(22)
  expect(seconds).toBeGreaterThan(0)
  startProfile(cpu)
  stopProfile(cpu)
})

it('says where runs have no kernels', async () => {
  await expect(kernelSeconds(cpu, async () => {}, 1e-9)).rejects.toThrow(/recorded without one/)
})

const subject = (shape: readonly number[]): Subject => ({
  family: 'test',
  name: 'a case',
  dtype: 'f32',
  operands: [{ shape: [...shape] }, { shape: [shape.at(-1) as number] }],
  run: (x) => x,
  gradient: false,
  reason: undefined,
  instructions: undefined,
  small: false,
})

it('cases are made smaller by their first axis or their longest', () => {
  const shapes = (found: readonly Subject[]) => found.map(({ operands }) => operands.map((operand) => operand.shape))
  expect(shapes(inCache(subject([2048, 4096]), 2 ** 25, 2 ** 20))[0]).toEqual([[64, 4096], [4096]])
  // The longest, which other operands have too.
  expect(shapes(inCache(subject([2, 2 ** 22]), 2 ** 25, 2 ** 20))).toContainEqual([[2, 2 ** 17], [2 ** 17]])
  // It is small enough.
  expect(inCache(subject([16, 16]), 2 ** 10, 2 ** 20)).toEqual([])
  for (const bytes of cachedBytes(2)) expect(bytes).toBeGreaterThan(0)
})
