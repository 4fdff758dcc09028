// Runs of high priority go before queued ones and between two steps of one, but never past what they share a buffer with.
import { describe, expect, it } from 'vitest'
import { encodePlan, type PlanLayout } from '../../lib/schema/plan.js'
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

describe('runs in lanes', () => {
  const plan = slowConcat(4, 10)
  const lane = (number: number, name = `lane ${number}`): number =>
    prepare(binding, plan, name, true, { lane: number, lanes: 2 })
  const value = (x: number): number => bufferOf(binding, new Float32Array([x]))

  interface Time {
    readonly start: number
    readonly end: number
  }
  /** When each run took place, by its name. */
  async function times(run: () => number[]): Promise<Record<string, Time>> {
    binding.profile(0, true)
    for (const ticket of run()) expect(await tickets.wait(ticket)).toBeUndefined()
    const { names, kinds, times } = binding.profile(0, false)
    const all = names.map(
      (name, i) => [name, { start: times[2 * i] as number, end: times[2 * i + 1] as number }] as const,
    )
    return Object.fromEntries(all.filter((_, i) => !((kinds[i] as number) & 1)))
  }
  const together = (a: Time | undefined, b: Time | undefined): boolean =>
    !!a && !!b && a.start < b.end && b.start < a.end

  it('go beside one another, and one after the other in one lane', async () => {
    const [first, second, third] = [lane(1), lane(2), lane(1, 'lane 1 again')] as const
    await settledAll()
    const a = value(1)
    const runs = await times(() => [first, second, third].map((run) => binding.run(run, Uint32Array.of(a, a, 0))))
    expect(together(runs['lane 1'], runs['lane 2'])).toBe(true)
    expect(together(runs['lane 1'], runs['lane 1 again'])).toBe(false)
  })

  it('wait for a run before them that writes what they read', async () => {
    const train = trainPlan(1, true)
    const place = { lane: 1, lanes: 2 }
    const writing = prepare(binding, { ...train, steps: [wait(30), ...train.steps] }, 'writing', true, place)
    const reading = lane(2)
    await settledAll()
    const [cell, gradient] = [value(1), value(5)] as const
    const index = bufferOf(binding, new Int32Array([0]))
    const handles = Uint32Array.of(cell, cell, 0)
    const runs = await times(() => [
      binding.run(writing, Uint32Array.of(cell, gradient, gradient, index, 0)),
      binding.run(reading, handles),
    ])
    expect(together(runs['writing'], runs['lane 2'])).toBe(false)
    expect(await readFloats(binding, tickets, handles[2] as number, 2)).toEqual(new Float32Array([6, 6]))
  })

  it('are not under way with a run of all threads, nor with one of normal priority that has not begun', async () => {
    const [first, second] = [lane(1), lane(2)] as const
    const team = prepare(binding, plan, 'team', true)
    const normal = prepare(binding, plan, 'normal')
    await settledAll()
    const a = value(1)
    const runs = await times(() =>
      [first, normal, team, second].map((run) => binding.run(run, Uint32Array.of(a, a, 0))),
    )
    for (const other of ['lane 1', 'lane 2', 'normal']) expect(together(runs['team'], runs[other])).toBe(false)
    for (const other of ['lane 1', 'lane 2']) expect(together(runs['normal'], runs[other])).toBe(false)
    expect(runs['normal']?.start).toBeGreaterThanOrEqual(runs['lane 2']?.end as number)
  })

  it('let a run of normal priority wait between two of its steps', async () => {
    const beside = lane(2)
    const normal = prepare(binding, slowConcat(8, 10), 'normal')
    await settledAll()
    const a = value(1)
    binding.profile(0, true)
    const slow = binding.run(normal, Uint32Array.of(a, a, 0))
    const quick = binding.run(beside, Uint32Array.of(a, a, 0))
    expect(await order({ slow, quick })).toEqual(['quick', 'slow'])
    const { kinds, times } = binding.profile(0, false)
    const all = kinds.map((kind, i) => ({ kind, start: times[2 * i] as number, end: times[2 * i + 1] as number }))
    const run = all.find(({ kind }) => kind >> 2 === 2 && !(kind & 1)) as Time
    const steps = all.filter(({ kind }) => kind === 1)
    expect(steps.length).toBeGreaterThan(8)
    // One that had begun goes on; of the others none begins.
    expect(steps.filter(({ start }) => start > run.start && start < run.end).length).toBeLessThanOrEqual(1)
  })

  it('need a lane that there is, and high priority', () => {
    for (const [given, message] of [
      [{ lane: 3, lanes: 2 }, /lane must be from 1 to lanes/],
      [{ lanes: 2 }, /lane must be from 1 to lanes/],
      [7, /options must be an object/],
    ] as const)
      expect(() => binding.prepare(0, encodePlan(plan), 'wrong', true, given as never)).toThrow(message)
    expect(() => binding.prepare(0, encodePlan(plan), 'wrong', false, { lane: 1, lanes: 2 })).toThrow(/high priority/)
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
