// The CPU backend through the package's own loader: description, threads, priorities and a kernel's result.
import { readdirSync, readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { describe, expect, it } from 'vitest'
import { binding as loadBinding } from '../../lib/runtime/binding.js'
import { SCHEMA_HASH } from '../../lib/schema/hash.gen.js'
import type { PlanLayout } from '../../lib/schema/plan.js'
import { bufferOf, opId, prepare, readFloats, Tickets } from './addon.js'

const binding = loadBinding()
const tickets = new Tickets(binding)

const matmulPlan = (n: number): PlanLayout => {
  const bytes = n * n * 4
  const operand = (storage: number) =>
    ({ storage, byteOffset: 0, dtype: 'f32', shape: [n, n], strides: [n, 1] }) as const
  return {
    storages: [
      { kind: 'input', bytes, written: false },
      { kind: 'input', bytes, written: false },
      { kind: 'output', bytes, written: true },
    ],
    operands: [operand(0), operand(1), operand(2)],
    steps: [{ op: opId('matmul'), inputs: [0, 1], outputs: [2], params: [0, 0] }],
  }
}

/** The nice value of every thread of this process (the 19th field of /proc/<pid>/stat, see proc(5)). */
const niceValues = (): number[] =>
  readdirSync('/proc/self/task').map((thread) => {
    const fields = readFileSync(`/proc/self/task/${thread}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
    return Number(fields[16])
  })

describe('the CPU backend', () => {
  it('is loaded from the schema this JavaScript was written for', () => {
    expect(binding.schemaHash).toBe(SCHEMA_HASH)
    expect(loadBinding()).toBe(binding)
  })

  it('describes the machine', () => {
    const [device] = binding.devices('cpu')
    expect(device).toMatchObject({ name: 'cpu', kind: 'cpu' })
    expect(device?.threads).toBeGreaterThan(0)
    if (!process.env['OMP_NUM_THREADS']) expect(device?.threads).toBeLessThanOrEqual(availableParallelism())
    expect(device?.memoryBytes).toBeGreaterThan(2 ** 28)
    expect(binding.stats(0).limit).toBe(device?.memoryBytes)
  })

  it('multiplies matrices below the priority of the event loop, on the threads asked for', async () => {
    const n = 256
    // Small integers: every partial sum is exact in f32.
    const a = Float32Array.from({ length: n * n }, (_, i) => (i % 7) - 3)
    const identity = Float32Array.from({ length: n * n }, (_, i) => (i % (n + 1) === 0 ? 2 : 0))
    const plan = prepare(binding, matmulPlan(n), 'matmul')
    for (const threads of [2, 1]) {
      binding.configure(0, { threads })
      expect(binding.devices('cpu')[0]?.threads).toBe(threads)
      const handles = Uint32Array.of(bufferOf(binding, a), bufferOf(binding, identity), 0)
      binding.run(plan, handles)
      expect(await readFloats(binding, tickets, handles[2] as number, n * n)).toEqual(a.map((value) => 2 * value))
    }
    const priorities = niceValues()
    const own = priorities[readdirSync('/proc/self/task').indexOf(String(process.pid))]
    expect(own).toBe(0)
    expect(priorities.filter((nice) => nice === 19).length).toBeGreaterThanOrEqual(1)
  })
})
