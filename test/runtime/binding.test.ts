// The binding's calls on the test backend: round trips, plans, order of work, and how arguments are refused.
import { describe, expect, it } from 'vitest'
import { encodePlan, type PlanLayout } from '../../lib/schema/plan.js'
import { bufferOf, concatPlan, loadTestAddon, opId, prepare, readFloats, Tickets, wait } from './addon.js'

const binding = loadTestAddon()
const tickets = new Tickets(binding)
const codeOf = (call: () => unknown): string => {
  try {
    call()
  } catch (error) {
    return `${(error as { code: string }).code}: ${(error as Error).message}`
  }
  return 'returned'
}

describe('buffers', () => {
  it('carry bytes there and back, at offsets', async () => {
    const handle = binding.alloc(0, 12, 'a')
    expect(binding.write(handle, 0, new Uint8Array(12))).toBe(0)
    expect(binding.write(handle, 4, new Float32Array([2.5]))).toBe(0)
    expect(await readFloats(binding, tickets, handle, 3)).toEqual(new Float32Array([0, 2.5, 0]))
    const part = new DataView(new ArrayBuffer(8), 4)
    await tickets.wait(binding.read(handle, 4, part))
    expect(part.getFloat32(0, true)).toBe(2.5)
    expect(new DataView(part.buffer).getFloat32(0, true)).toBe(0)
    binding.free(handle)
  })

  it('may be empty', async () => {
    const handle = binding.alloc(0, 0, 'empty')
    expect(binding.write(handle, 0, new Float32Array(0))).toBe(0)
    expect(await tickets.wait(binding.read(handle, 0, new Uint8Array(0)))).toBeUndefined()
    binding.free(handle)
  })

  it('are written in the order of the work queued on them', async () => {
    const plan = prepare(binding, concatPlanAfterWait(30))
    const a = bufferOf(binding, new Float32Array([1, 2]))
    const b = bufferOf(binding, new Float32Array([3]))
    const handles = Uint32Array.of(a, b, 0)
    binding.run(plan, handles)
    const ticket = binding.write(a, 0, new Float32Array([8, 9]))
    expect(ticket).toBeGreaterThan(0)
    expect(await readFloats(binding, tickets, handles[2] as number, 3)).toEqual(new Float32Array([1, 2, 3]))
    expect(await readFloats(binding, tickets, a, 2)).toEqual(new Float32Array([8, 9]))
    expect(binding.write(a, 0, new Float32Array([5, 6]))).toBe(0)
    for (const handle of [a, b, handles[2] as number]) binding.free(handle)
    binding.release(plan)
  })

  it('live on, freed, until queued work is done', async () => {
    const plan = prepare(binding, concatPlanAfterWait(20))
    const handles = Uint32Array.of(
      bufferOf(binding, new Float32Array([1, 2])),
      bufferOf(binding, new Float32Array([3])),
      0,
    )
    binding.run(plan, handles)
    const target = new Float32Array(3)
    const ticket = binding.read(handles[2] as number, 0, target)
    for (const handle of handles) binding.free(handle)
    binding.release(plan)
    // Would overwrite the freed memory if the pool had it back already.
    const others = [1, 2, 3].map(() => bufferOf(binding, new Float32Array([-1, -1, -1])))
    expect(await tickets.wait(ticket)).toBeUndefined()
    expect(target).toEqual(new Float32Array([1, 2, 3]))
    for (const handle of others) binding.free(handle)
  })
})

const concatPlanAfterWait = (milliseconds: number): PlanLayout => {
  const plan = concatPlan(2, 1)
  return { ...plan, steps: [wait(milliseconds), ...plan.steps] }
}

describe('plans', () => {
  it('run their steps through the arena and hand back new outputs', async () => {
    const plan = prepare(binding, concatPlan(3, 2))
    const a = bufferOf(binding, new Float32Array([1, 2, 3]))
    const b = bufferOf(binding, new Float32Array([4, 5]))
    const first = Uint32Array.of(a, b, 0)
    const second = Uint32Array.of(a, b, 0)
    binding.run(plan, first)
    binding.run(plan, second)
    expect(first[2]).not.toBe(second[2])
    const outputs = await Promise.all([first, second].map((run) => readFloats(binding, tickets, run[2] as number, 5)))
    expect(outputs).toEqual([new Float32Array([1, 2, 3, 4, 5]), new Float32Array([1, 2, 3, 4, 5])])
  })

  it('share one arena, as large as the largest', async () => {
    const small = prepare(binding, concatPlan(2, 2))
    const large = prepare(binding, concatPlan(4096, 4096))
    const one = new Float32Array(4096).fill(1)
    const two = new Float32Array(4096).fill(2)
    const handles = Uint32Array.of(bufferOf(binding, one), bufferOf(binding, two), 0)
    const smallHandles = Uint32Array.of(bufferOf(binding, one.subarray(0, 2)), bufferOf(binding, two.subarray(0, 2)), 0)
    // The small run is in flight in the small arena while the large one is queued.
    binding.run(small, smallHandles)
    binding.run(large, handles)
    expect(await readFloats(binding, tickets, smallHandles[2] as number, 4)).toEqual(new Float32Array([1, 1, 2, 2]))
    expect(await readFloats(binding, tickets, handles[2] as number, 8192)).toEqual(Float32Array.from([...one, ...two]))
    // Two regions of 8192 floats: the concatenation and the copy's workspace.
    expect(binding.stats(0).arenaBytes).toBe(2 * 8192 * 4)
    binding.run(small, smallHandles)
    expect(binding.stats(0).arenaBytes).toBe(2 * 8192 * 4)
  })

  it('settle in order, in batches', async () => {
    const plan = prepare(binding, { storages: [], operands: [], steps: [wait(0)] })
    await tickets.wait(binding.sync(0))
    const before = tickets.batches.length
    const all = Array.from({ length: 500 }, () => binding.run(plan, new Uint32Array(0)))
    expect(all).toEqual([...all].sort((a, b) => a - b))
    const last = binding.sync(0)
    // The event loop does not turn until all are done, so that it is told of them together; of the last perhaps alone.
    const nothing = new Int32Array(new SharedArrayBuffer(4))
    while (binding.stats(0).queued > 0) Atomics.wait(nothing, 0, 0, 1)
    await tickets.wait(last)
    const batches = tickets.batches.slice(before)
    expect(batches.reduce((sum, size) => sum + size, 0)).toBe(501)
    expect(batches.length).toBeLessThanOrEqual(2)
  })

  it('are refused where their words are wrong', () => {
    const words = encodePlan(concatPlan(2, 2))
    const changed = (change: (words: Float64Array) => void): (() => unknown) => {
      const copy = words.slice()
      change(copy)
      return () => binding.prepare(0, copy, 'broken')
    }
    expect(codeOf(() => binding.prepare(0, words.subarray(0, 9), 'broken'))).toMatch(/^invalidPlan: .*end early/)
    expect(codeOf(changed((copy) => copy.fill(Number.NaN, 4, 5)))).toMatch(/^invalidPlan/)
    expect(codeOf(changed((copy) => copy.fill(99, 0, 1)))).toMatch(/^invalidPlan: .*version/)
    // Every single word replaced by values that do not belong there: an error or a plan, never a crash.
    let refused = 0
    for (let position = 0; position < words.length; position++) {
      for (const value of [-1, 1e15, 0.5, Number.POSITIVE_INFINITY]) {
        const result = codeOf(changed((copy) => copy.fill(value, position, position + 1)))
        expect(result).toMatch(/^(invalidPlan|unsupported|returned)/)
        if (result !== 'returned') refused++
      }
    }
    // All but axis (a parameter of concat, -1 and 1e15) and strides of axes that still fit.
    expect(refused).toBeGreaterThan(4 * words.length - 30)
  })

  it('cannot reach outside their storages', () => {
    const plan = concatPlan(2, 2)
    const withOperand = (change: object): (() => unknown) => {
      const operands = plan.operands.map((operand, i) => (i === 0 ? { ...operand, ...change } : operand))
      return () => binding.prepare(0, encodePlan({ ...plan, operands }), 'broken')
    }
    expect(codeOf(withOperand({ strides: [2] }))).toMatch(
      /^invalidPlan: .*operand 0 reaches outside storage 0 of 8 bytes/,
    )
    expect(codeOf(withOperand({ strides: [-1] }))).toMatch(/^invalidPlan: .*outside/)
    expect(codeOf(withOperand({ strides: [-1], byteOffset: 4 }))).toBe('returned')
    expect(codeOf(withOperand({ byteOffset: 4 }))).toMatch(/^invalidPlan: .*outside/)
    expect(codeOf(withOperand({ byteOffset: 2 }))).toMatch(/^invalidPlan: .*whole element/)
    expect(codeOf(withOperand({ strides: [2 ** 53 - 1] }))).toMatch(/^invalidPlan: .*outside/)
    const written = plan.steps.map((step) => ({ ...step, outputs: [0] }))
    expect(codeOf(() => binding.prepare(0, encodePlan({ ...plan, steps: written }), 'broken'))).toMatch(
      /^invalidPlan: .*not marked as written/,
    )
  })

  it('name the op no kernel exists for, and every run of theirs fails', async () => {
    const plan: PlanLayout = {
      storages: [{ kind: 'output', bytes: 4, written: true }],
      operands: [],
      steps: [{ op: opId('globalNorm'), inputs: [], outputs: [], params: [0] }],
    }
    const { plan: id, ticket } = binding.prepare(0, encodePlan(plan), 'p')
    const handles = Uint32Array.of(0)
    const run = binding.run(id, handles)
    const failure = await tickets.wait(ticket)
    expect(failure).toEqual({
      code: 'unsupported',
      message: 'globalNorm: the test backend has no kernel for it',
      origin: ticket,
      step: -1,
      stateLost: false,
    })
    expect(await tickets.wait(run)).toEqual(failure)
    expect(await readFloats(binding, tickets, handles[0] as number, 1)).toEqual(failure)
    expect(await tickets.wait(binding.run(id, Uint32Array.of(0)))).toEqual(failure)
    expect(codeOf(() => binding.memory(id))).toMatch(/^invalidArgument: .*plan p is not ready/)
    expect(codeOf(() => binding.waitFor(id))).toBe(`unsupported: ${failure?.message}`)
  })

  it('may be waited for', () => {
    const layout = concatPlan(16, 16)
    const plan = prepare(binding, { ...layout, steps: [wait(0, 50), ...layout.steps] })
    expect(codeOf(() => binding.memory(plan))).toMatch(/is not ready/)
    binding.waitFor(plan)
    expect(binding.memory(plan).arenaBytes).toBe(256)
    binding.waitFor(plan)
  })

  it('are run in the order they were queued in, ready or not', async () => {
    const concat = prepare(binding, concatPlan(2, 1))
    await tickets.wait(binding.sync(0))
    const layout = concatPlan(2, 1)
    const slow = prepare(binding, { ...layout, steps: [wait(0, 100), ...layout.steps] })
    const [a, b] = [bufferOf(binding, new Float32Array([1, 2])), bufferOf(binding, new Float32Array([3]))]
    const order: string[] = []
    const queue = (plan: number, name: string, first: number): number => {
      const handles = Uint32Array.of(first, b, 0)
      void tickets.wait(binding.run(plan, handles)).then(() => order.push(name))
      return handles[2] as number
    }
    const one = queue(slow, 'slow', a)
    queue(concat, 'quick', one)
    const last = queue(slow, 'slow again', one)
    // Nothing of that waited here.
    expect(order).toEqual([])
    expect(await readFloats(binding, tickets, last, 3)).toEqual(new Float32Array([1, 2, 3]))
    expect(order).toEqual(['slow', 'quick', 'slow again'])
  })

  it('know their memory once they are ready', async () => {
    const { plan, ticket } = binding.prepare(0, encodePlan(concatPlan(16, 16)), 'p')
    expect(await tickets.wait(ticket)).toBeUndefined()
    // The concatenation, and behind it the workspace of the step that copies it.
    expect(binding.memory(plan)).toEqual({
      arenaBytes: 256,
      liveBytes: 256,
      blocks: Float64Array.of(0, 128, 0, 1, 128, 128, 1, 1),
    })
    expect(codeOf(() => binding.memory(0))).toMatch(/^invalidArgument/)
  })
})

describe('arguments', () => {
  it('of a wrong type or range are refused by name', () => {
    const handle = bufferOf(binding, new Float32Array(2))
    const call = binding as unknown as Record<string, (...values: unknown[]) => unknown>
    const refused = (name: string, ...values: unknown[]): string => codeOf(() => call[name]?.(...values))
    expect(refused('alloc', 0, -1, 'x')).toBe('invalidArgument: alloc: bytes must be a safe integer of at least 0')
    expect(refused('alloc', 0, 1.5, 'x')).toMatch(/^invalidArgument/)
    expect(refused('alloc', 0, Number.NaN, 'x')).toMatch(/^invalidArgument/)
    expect(refused('alloc', 0, 8)).toBe('invalidArgument: alloc: label must be a string')
    expect(refused('alloc', 1, 8, 'x')).toMatch(/^invalidArgument: there is no device 1/)
    expect(refused('alloc')).toMatch(/^invalidArgument/)
    expect(refused('write', handle, 0, [1, 2])).toMatch(/^invalidArgument: write: source must be/)
    expect(refused('write', handle, 4, new Float32Array(2))).toMatch(
      /^invalidArgument: write: bytes 4 to 12 are outside the buffer of 8/,
    )
    expect(refused('read', handle, 9, new Uint8Array(0))).toMatch(/^invalidArgument: read/)
    expect(refused('read', handle, 2 ** 53 - 1, new Uint8Array(8))).toMatch(/^invalidArgument: read/)
    expect(refused('run', 1, [1])).toMatch(/^invalidArgument/)
    expect(refused('prepare', 0, new Float32Array(4), 'p')).toBe(
      'invalidArgument: prepare: words must be a Float64Array',
    )
    expect(refused('configure', 0, { threads: 0 })).toBe(
      'invalidArgument: configure: threads must be an integer from 1 to 4096',
    )
    expect(refused('configure', 0)).toMatch(/^invalidArgument/)
    expect(refused('listen', 3)).toMatch(/^invalidArgument/)
  })

  it('on a detached ArrayBuffer have no bytes to go beyond', () => {
    const handle = bufferOf(binding, new Float32Array(2))
    const detached = new Uint8Array(8)
    structuredClone(detached.buffer, { transfer: [detached.buffer] })
    expect(binding.write(handle, 0, detached)).toBe(0)
  })

  it('that are stale or foreign handles are refused', () => {
    const handle = bufferOf(binding, new Float32Array(2))
    binding.free(handle)
    const again = bufferOf(binding, new Float32Array(2))
    expect(again).not.toBe(handle)
    expect(codeOf(() => binding.free(handle))).toMatch(/^invalidArgument: buffer handle \d+ is not in use/)
    expect(codeOf(() => binding.read(handle, 0, new Uint8Array(8)))).toMatch(/^invalidArgument/)
    expect(codeOf(() => binding.run(2 ** 31, new Uint32Array(0)))).toMatch(/^invalidArgument: plan handle/)
    const plan = prepare(binding, concatPlan(2, 2))
    expect(codeOf(() => binding.run(plan, Uint32Array.of(handle, again, 0)))).toMatch(/^invalidArgument: buffer handle/)
    expect(codeOf(() => binding.run(plan, Uint32Array.of(again, again)))).toMatch(/takes 3 buffers, got 2/)
    const small = bufferOf(binding, new Float32Array(1))
    expect(codeOf(() => binding.run(plan, Uint32Array.of(again, small, 0)))).toMatch(
      /storage 1 of plan plan needs 8 bytes, buffer data has 4/,
    )
    binding.release(plan)
    expect(codeOf(() => binding.release(plan))).toMatch(/^invalidArgument: plan handle/)
  })
})
