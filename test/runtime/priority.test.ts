// Runs of high priority go before queued ones and between two steps of one, but never past what they share a buffer with.
import { describe, expect, it } from 'vitest'
import type { PlanLayout } from '../../lib/schema/plan.js'
import { bufferOf, concatPlan, loadTestAddon, prepare, readFloats, Tickets, trainPlan, wait } from './addon.js'

const binding = loadTestAddon()
const tickets = new Tickets(binding)

/** A concat that takes a while, in steps between which others may run. */
function slowConcat(steps: number, milliseconds: number): PlanLayout {
  const plan = concatPlan(1, 1)
  return { ...plan, steps: [...Array.from({ length: steps }, () => wait(milliseconds)), ...plan.steps] }
}

/** The names of runs and reads in the order in which they settle. */
async function order(named: Record<string, number>): Promise<string[]> {
  const names: string[] = []
  await Promise.all(
    Object.entries(named).map(async ([name, ticket]) => {
      expect(await tickets.wait(ticket)).toBeUndefined()
      names.push(name)
    }),
  )
  return names
}

const settledAll = (): Promise<unknown> => tickets.wait(binding.sync(0))

describe('a run of high priority', () => {
  it('goes between two steps of a run in progress, and its result is read there', async () => {
    const slow = prepare(binding, slowConcat(10, 10))
    const quick = prepare(binding, concatPlan(1, 1), 'quick', true)
    await settledAll()
    const [a, b] = [bufferOf(binding, new Float32Array([1])), bufferOf(binding, new Float32Array([2]))] as const
    const first = binding.run(slow, Uint32Array.of(a, b, 0))
    const second = binding.run(slow, Uint32Array.of(a, b, 0))
    const handles = Uint32Array.of(b, a, 0)
    const overtaking = binding.run(quick, handles)
    const result = new Float32Array(2)
    const read = binding.read(handles[2] as number, 0, result)
    expect(await order({ first, second, overtaking, read })).toEqual(['overtaking', 'read', 'first', 'second'])
    expect(result).toEqual(new Float32Array([2, 1]))
  })

  it('comes after a queued run that writes what it reads, and before one that only reads it', async () => {
    const cell = bufferOf(binding, new Float32Array([1, 1]))
    const gradient = bufferOf(binding, new Float32Array([1, 2]))
    const index = bufferOf(binding, new Int32Array([0]))
    const train = trainPlan(2, true)
    const training = prepare(binding, { ...train, steps: [wait(30), ...train.steps] })
    const reading = prepare(binding, concatPlan(2, 2), 'reading', true)
    await settledAll()
    const step = binding.run(training, Uint32Array.of(cell, gradient, gradient, index, 0))
    const handles = Uint32Array.of(cell, gradient, 0)
    const after = binding.run(reading, handles)
    expect(await order({ step, after })).toEqual(['step', 'after'])
    expect(await readFloats(binding, tickets, handles[2] as number, 4)).toEqual(new Float32Array([2, 3, 1, 2]))

    const slowReader = prepare(binding, slowConcat(1, 30))
    await settledAll()
    const reader = binding.run(slowReader, Uint32Array.of(cell, gradient, 0))
    const before = binding.run(reading, Uint32Array.of(cell, gradient, 0))
    expect(await order({ reader, before })).toEqual(['before', 'reader'])
  })

  it('writes no cell that a queued run is still to read', async () => {
    const cell = bufferOf(binding, new Float32Array([1]))
    const gradient = bufferOf(binding, new Float32Array([5]))
    const index = bufferOf(binding, new Int32Array([0]))
    const slowReader = prepare(binding, slowConcat(2, 20))
    const training = prepare(binding, trainPlan(1, true), 'training', true)
    await settledAll()
    const handles = Uint32Array.of(cell, cell, 0)
    const reader = binding.run(slowReader, handles)
    const writer = binding.run(training, Uint32Array.of(cell, gradient, gradient, index, 0))
    expect(await order({ reader, writer })).toEqual(['reader', 'writer'])
    expect(await readFloats(binding, tickets, handles[2] as number, 2)).toEqual(new Float32Array([1, 1]))
    expect(await readFloats(binding, tickets, cell, 1)).toEqual(new Float32Array([6]))
  })
})

it('reading and writing what no queued run uses waits for none of them', async () => {
  const slow = prepare(binding, slowConcat(10, 10))
  await settledAll()
  const used = bufferOf(binding, new Float32Array([1]))
  const other = bufferOf(binding, new Float32Array([7]))
  const run = binding.run(slow, Uint32Array.of(used, used, 0))
  const target = new Float32Array(1)
  const read = binding.read(other, 0, target)
  const write = binding.write(other, 0, new Float32Array([8]), true)
  const waiting = binding.write(used, 0, new Float32Array([2]), true)
  expect(await order({ run, read, write, waiting })).toEqual(['read', 'write', 'run', 'waiting'])
  expect(target[0]).toBe(7)
})

it('a profile has jobs and their steps on the clock of hrtime', async () => {
  const plan = prepare(binding, slowConcat(1, 5), 'profiled')
  const a = bufferOf(binding, new Float32Array([1]))
  await settledAll()
  const before = Number(process.hrtime.bigint()) / 1e3
  binding.profile(0, true)
  await tickets.wait(binding.run(plan, Uint32Array.of(a, a, 0)))
  // A run is noted before its ticket settles.
  const { names, kinds, times, dropped } = binding.profile(0, false)
  const after = Number(process.hrtime.bigint()) / 1e3
  expect(names).toEqual(['pad', 'concat', 'softmax', 'profiled'])
  expect(kinds).toEqual([1, 1, 1, 0])
  expect(dropped).toBe(0)
  const [start, end] = [times[6] as number, times[7] as number]
  expect(start).toBeGreaterThanOrEqual(before)
  expect(end).toBeLessThanOrEqual(after)
  for (let i = 0; i < 3; i++) {
    expect(times[2 * i]).toBeGreaterThanOrEqual(start)
    expect(times[2 * i + 1]).toBeLessThanOrEqual(end)
  }
})
