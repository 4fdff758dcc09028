// The addon with the test backend beside it (native/test/backend.cpp), plans for it, and promises for its tickets.
import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Binding, Failure } from '../../lib/runtime/binding.js'
import { encodeParams } from '../../lib/schema/op.js'
import { encodePlan, type Operand, type PlanLayout, type Step, type Storage } from '../../lib/schema/plan.js'
import { contiguousStrides } from '../../lib/schema/shape.js'

function rootFolder(): string {
  let folder = dirname(fileURLToPath(import.meta.url))
  while (!existsSync(join(folder, 'CMakeLists.txt'))) folder = dirname(folder)
  return folder
}

/** The repository, from the sources and from dist/ alike. */
export const root = rootFolder()
export const testAddonPath = join(root, 'build/Test/heddle.node')
export function loadTestAddon(): Binding {
  const addon = createRequire(import.meta.url)(testAddonPath) as Binding
  addon.devices('cpu')
  return addon
}

const schema = readFileSync(join(root, 'native/schema.gen.h'), 'utf8')
const OP_NAMES = [...(/kOpNames\[\] = \{ (.*) \}/.exec(schema)?.[1] ?? '').matchAll(/"(\w+)"/g)].map(([, name]) => name)

/** The position of an op in the generated list. */
export function opId(name: string): number {
  const id = OP_NAMES.indexOf(name)
  if (id < 0) throw new Error(`no op ${name} in native/schema.gen.h`)
  return id
}

/** Turns tickets into promises of their failure, if any. */
export class Tickets {
  private readonly settled = new Map<number, Failure | undefined>()
  private readonly waiting = new Map<number, (failure: Failure | undefined) => void>()
  readonly batches: number[] = []

  constructor(binding: Binding) {
    binding.listen((tickets, failures) => {
      this.batches.push(tickets.length)
      tickets.forEach((ticket, i) => {
        const resolve = this.waiting.get(ticket)
        if (resolve) resolve(failures?.[i])
        else this.settled.set(ticket, failures?.[i])
      })
    })
  }

  wait(ticket: number): Promise<Failure | undefined> {
    if (!this.settled.has(ticket)) return new Promise((resolve) => this.waiting.set(ticket, resolve))
    return Promise.resolve(this.settled.get(ticket))
  }
}

const vector = (storage: number, size: number, dtype: Operand['dtype'] = 'f32'): Operand => {
  const shape = [size]
  return { storage, byteOffset: 0, dtype, shape, strides: contiguousStrides(shape) }
}
const storage = (kind: Storage['kind'], elements: number, written = kind !== 'input'): Storage => ({
  kind,
  bytes: elements * 4,
  written,
})

const SGD = {
  count: 'i64',
  momentum: 'f64',
  dampening: 'f64',
  nesterov: 'bool',
  weightDecay: 'f64',
  hasGradScale: 'bool',
  hasApplies: 'bool',
} as const
const sgdParams = encodeParams(SGD, {
  count: 1,
  momentum: 0,
  dampening: 0,
  nesterov: false,
  weightDecay: 0,
  hasGradScale: false,
  hasApplies: false,
})
const PAD = { low: 'i64[]', high: 'i64[]', value: 'f64' } as const

/** A step that takes so long, and whose kernel takes `making` to be made. */
export const wait = (milliseconds: number, making?: number): Step => ({
  op: opId('pad'),
  inputs: [],
  outputs: [],
  params: encodeParams(PAD, { low: making === undefined ? [] : [making], high: [], value: milliseconds }),
})

/** Storages: two inputs, an output of both, one behind the other, by way of the arena. Steps: concat, copy. */
export function concatPlan(sizeA: number, sizeB: number): PlanLayout {
  const size = sizeA + sizeB
  return {
    storages: [storage('input', sizeA), storage('input', sizeB), storage('output', size), storage('arena', size)],
    operands: [vector(0, sizeA), vector(1, sizeB), vector(2, size), vector(3, size)],
    steps: [
      { op: opId('concat'), inputs: [0, 1], outputs: [3], params: [0] },
      { op: opId('softmax'), inputs: [3], outputs: [2], params: [] },
    ],
  }
}

/** Storages: x, index, output. One step that fails where an index is out of range. */
export function takePlan(size: number, count: number): PlanLayout {
  return {
    storages: [storage('input', size), storage('input', count), storage('output', count)],
    operands: [vector(0, size), vector(1, count, 'i32'), vector(2, count)],
    steps: [{ op: opId('take'), inputs: [0, 1], outputs: [2], params: [] }],
  }
}

/**
 * Storages: a cell, its gradient, x, index, output. One step adds the gradient to the cell, the other takes from x;
 * `cellFirst` says which comes first.
 */
export function trainPlan(size: number, cellFirst: boolean): PlanLayout {
  const update: Step = { op: opId('sgd'), inputs: [1], outputs: [0], params: sgdParams }
  const take: Step = { op: opId('take'), inputs: [2, 3], outputs: [4], params: [] }
  return {
    storages: [
      storage('cell', size),
      storage('input', size),
      storage('input', size),
      storage('input', 1),
      storage('output', 1),
    ],
    operands: [vector(0, size), vector(1, size), vector(2, size), vector(3, 1, 'i32'), vector(4, 1)],
    steps: cellFirst ? [update, take] : [take, update],
  }
}

/** The plan's number; runs may be queued at once. */
export const prepare = (
  binding: Binding,
  plan: PlanLayout,
  label = 'plan',
  high = false,
  lane?: { lane: number; lanes: number },
): number => binding.prepare(0, encodePlan(plan), label, high, lane).plan

/** A buffer that holds the array. */
export function bufferOf(binding: Binding, array: Float32Array | Int32Array, label = 'data'): number {
  const handle = binding.alloc(0, array.byteLength, label)
  binding.write(handle, 0, array)
  return handle
}

export async function readFloats(
  binding: Binding,
  tickets: Tickets,
  handle: number,
  size: number,
): Promise<Float32Array | Failure> {
  const target = new Float32Array(size)
  return (await tickets.wait(binding.read(handle, 0, target))) ?? target
}
