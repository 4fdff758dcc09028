// What a failed run leaves behind: failed outputs, untouched or lost cells, and how memory runs out and comes back.
import { describe, expect, it } from 'vitest'
import { encodePlan } from '../../lib/schema/plan.js'
import { bufferOf, concatPlan, loadTestAddon, prepare, readFloats, Tickets, takePlan, trainPlan } from './addon.js'

const binding = loadTestAddon()
const tickets = new Tickets(binding)

describe('a run that fails', () => {
  it('fails its ticket and the reads of its outputs, with its own origin', async () => {
    const plan = prepare(binding, takePlan(3, 2))
    const x = bufferOf(binding, new Float32Array([1, 2, 3]))
    const handles = Uint32Array.of(x, bufferOf(binding, new Int32Array([0, 7])), 0)
    const ticket = binding.run(plan, handles)
    const failure = await tickets.wait(ticket)
    expect(failure).toEqual({
      code: 'invalidArgument',
      message: 'take: index 7 is out of range',
      origin: ticket,
      step: 0,
      stateLost: false,
    })
    expect(await readFloats(binding, tickets, handles[2] as number, 2)).toEqual(failure)
    // Inputs are as good as before.
    expect(await readFloats(binding, tickets, x, 3)).toEqual(new Float32Array([1, 2, 3]))
  })

  it('fails the runs that use its outputs, which keep the origin', async () => {
    const take = prepare(binding, takePlan(3, 2))
    const concat = prepare(binding, concatPlan(2, 1))
    const handles = Uint32Array.of(
      bufferOf(binding, new Float32Array(3)),
      bufferOf(binding, new Int32Array([-1, 0])),
      0,
    )
    const origin = binding.run(take, handles)
    const next = Uint32Array.of(handles[2] as number, bufferOf(binding, new Float32Array(1)), 0)
    const ticket = binding.run(concat, next)
    expect(await tickets.wait(ticket)).toMatchObject({ origin, message: 'take: index -1 is out of range' })
    expect(await readFloats(binding, tickets, next[2] as number, 3)).toMatchObject({ origin })
    // Written whole, a failed buffer is good again; written in part it is not.
    binding.write(handles[2] as number, 0, new Float32Array(1))
    expect(await readFloats(binding, tickets, handles[2] as number, 2)).toMatchObject({ origin })
    binding.write(handles[2] as number, 0, new Float32Array([4, 5]))
    binding.run(concat, next)
    expect(await readFloats(binding, tickets, next[2] as number, 3)).toEqual(new Float32Array([4, 5, 0]))
  })

  const train = async (cellFirst: boolean) => {
    const plan = prepare(binding, trainPlan(2, cellFirst))
    const cell = bufferOf(binding, new Float32Array([10, 20]))
    const good = bufferOf(binding, new Int32Array([1]))
    const bad = bufferOf(binding, new Int32Array([5]))
    const [gradient, x] = [bufferOf(binding, new Float32Array([1, 2])), bufferOf(binding, new Float32Array([3, 4]))]
    const run = (index: number): number => binding.run(plan, Uint32Array.of(cell, gradient, x, index, 0))
    return { cell, run, failed: await tickets.wait(run(bad)), good }
  }

  it('leaves cells as they were when it failed before writing any', async () => {
    const { cell, run, failed, good } = await train(false)
    expect(failed).toMatchObject({ step: 0, stateLost: false })
    expect(await readFloats(binding, tickets, cell, 2)).toEqual(new Float32Array([10, 20]))
    expect(await tickets.wait(run(good))).toBeUndefined()
    expect(await readFloats(binding, tickets, cell, 2)).toEqual(new Float32Array([11, 22]))
  })

  it('loses cells it may have written, until they are written whole', async () => {
    const { cell, run, failed, good } = await train(true)
    expect(failed).toMatchObject({ step: 1, stateLost: true })
    expect(await readFloats(binding, tickets, cell, 2)).toEqual(failed)
    expect(await tickets.wait(run(good))).toEqual(failed)
    binding.write(cell, 0, new Float32Array([0, 0]))
    expect(await tickets.wait(run(good))).toBeUndefined()
    expect(await readFloats(binding, tickets, cell, 2)).toEqual(new Float32Array([1, 2]))
  })
})

describe('memory', () => {
  const MIB = 2 ** 20
  const outOfMemory = (call: () => unknown): string => {
    try {
      call()
    } catch (error) {
      expect((error as { code: string }).code).toBe('outOfMemory')
      return (error as Error).message
    }
    throw new Error('did not run out of memory')
  }

  it('runs out at the limit, names the holders, and is back once freed', () => {
    const { limit, allocated } = binding.stats(0)
    binding.configure(0, { memoryLimit: allocated + 16 * MIB })
    const weights = binding.alloc(0, 8 * MIB, 'weights')
    const moments = binding.alloc(0, 4 * MIB, 'moments')
    const message = outOfMemory(() => binding.alloc(0, 8 * MIB, 'activations'))
    expect(message).toContain('8.0 MiB for activations')
    expect(message.indexOf('8.0 MiB  weights')).toBeGreaterThan(0)
    expect(message.indexOf('4.0 MiB  moments')).toBeGreaterThan(message.indexOf('8.0 MiB  weights'))
    expect(binding.stats(0).holders[0]).toEqual({ label: 'weights', bytes: 8 * MIB })
    binding.free(moments)
    // The freed block is cached in another size class: only giving it back makes room.
    const { retries } = binding.stats(0)
    const activations = binding.alloc(0, 8 * MIB, 'activations')
    expect(binding.stats(0).retries).toBe(retries + 1)
    expect(binding.stats(0).peak).toBeGreaterThanOrEqual(allocated + 16 * MIB)
    binding.free(weights)
    binding.free(activations)
    expect(binding.stats(0).allocated).toBe(allocated)
    binding.configure(0, { memoryLimit: limit })
  })

  it('is taken from the cache without growing', () => {
    binding.free(binding.alloc(0, 3 * MIB, 'a'))
    const { reserved } = binding.stats(0)
    for (let i = 0; i < 100; i++) binding.free(binding.alloc(0, 3 * MIB - i, 'a'))
    expect(binding.stats(0).reserved).toBe(reserved)
  })

  it('that no device has is refused', () => {
    expect(outOfMemory(() => binding.alloc(0, Number.MAX_SAFE_INTEGER, 'huge'))).toContain('for huge')
    expect(outOfMemory(() => binding.alloc(0, 2 ** 40, 'huge'))).toContain('1.0 TiB for huge')
  })

  it('is reserved before a run is queued: running out changes nothing', async () => {
    const size = 2 * MIB
    const { plan, ticket } = binding.prepare(0, encodePlan(concatPlan(size, size)), 'large')
    expect(await tickets.wait(ticket)).toBeUndefined()
    const handles = Uint32Array.of(binding.alloc(0, 4 * size, 'a'), binding.alloc(0, 4 * size, 'b'), 0)
    const { limit, allocated, queued } = binding.stats(0)
    // The arena is there; there is no room for the output of 16 MiB.
    binding.configure(0, { memoryLimit: allocated + 8 * MIB })
    expect(outOfMemory(() => binding.run(plan, handles))).toContain('16.0 MiB for large output')
    expect(handles[2]).toBe(0)
    expect(binding.stats(0).queued).toBe(queued)
    binding.configure(0, { memoryLimit: limit })
    expect(await tickets.wait(binding.run(plan, handles))).toBeUndefined()
    for (const handle of handles) binding.free(handle)
  })

  it('that a plan needs in the arena is reserved as it is prepared: without it, its runs fail and change nothing', async () => {
    // More than an arena that is there already.
    const size = 32 * MIB
    const { limit, allocated } = binding.stats(0)
    binding.configure(0, { memoryLimit: allocated + 16 * MIB })
    const cell = bufferOf(binding, new Float32Array([1, 2]))
    const gradient = bufferOf(binding, new Float32Array([1, 1]))
    const train = trainPlan(2, true)
    const layout = {
      ...train,
      storages: [...train.storages, { kind: 'arena' as const, bytes: 4 * size, written: true }],
      operands: [...train.operands, { storage: 5, byteOffset: 0, dtype: 'f32' as const, shape: [2], strides: [1] }],
      steps: [...train.steps, { ...train.steps[0], outputs: [5] } as (typeof train.steps)[0]],
    }
    const { plan, ticket } = binding.prepare(0, encodePlan(layout), 'large')
    const handles = Uint32Array.of(cell, gradient, gradient, bufferOf(binding, new Int32Array(1)), 0)
    const run = binding.run(plan, handles)
    const failure = await tickets.wait(ticket)
    expect(failure).toMatchObject({ code: 'outOfMemory', stateLost: false })
    expect(failure?.message).toContain('128.0 MiB for arena')
    expect(await tickets.wait(run)).toEqual(failure)
    expect(await readFloats(binding, tickets, cell, 2)).toEqual(new Float32Array([1, 2]))
    binding.configure(0, { memoryLimit: limit })
  })
})
