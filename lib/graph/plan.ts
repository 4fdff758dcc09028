// The plan of a lowered graph: storages by liveness, operands, steps in native words, and pictures of all that.
import { bytesOf } from '../schema/dtype.js'
import { encodeParams } from '../schema/op.js'
import type { Operand, PlanLayout, Step, Storage } from '../schema/plan.js'
import { sizeOf } from '../schema/shape.js'
import { kernelOps, opId } from './op.js'
import type { Lowered, LoweredStep, Place, Stored } from './place.js'
import { type PlanWork, workOf } from './work.js'

/** Bytes a plan works in. `arena` is what is reserved, `live` the largest sum of bytes alive at one step. */
export interface PlanMemory {
  readonly arena: number
  readonly live: number
  readonly blocks: readonly {
    readonly offset: number
    readonly bytes: number
    readonly first: number
    readonly last: number
  }[]
}

/** The external places of a plan, in the order `run` wants them, and its words before anything has an offset. */
export class Plan {
  readonly layout: PlanLayout
  readonly external: readonly Place[]
  /** Known once the kernels are made, as it is when a compiled call has been accepted. */
  memory: PlanMemory = { arena: 0, live: 0, blocks: [] }

  constructor(private readonly lowered: Lowered) {
    const { steps } = lowered
    const root = shareMemory(steps)
    const written = new Set(steps.flatMap(({ outputs }) => outputs.map(({ place }) => root(place))))
    const places = [
      ...new Set(steps.flatMap(({ inputs, outputs }) => [...inputs, ...outputs].map(({ place }) => root(place)))),
    ]
    const outside = places.filter(({ kind }) => kind !== 'arena')
    const results = outside.filter((place) => place.kind === 'output').sort((a, b) => a.position - b.position)
    this.external = [...outside.filter(({ kind }) => kind !== 'output'), ...results]
    const arena = places.filter(({ kind }) => kind === 'arena')
    const numbers = new Map([...this.external, ...arena].map((place, number) => [place, number]))
    const storages = [...this.external, ...arena].map(
      (place): Storage => ({ kind: place.kind, bytes: place.bytes, written: written.has(place) }),
    )
    this.layout = { storages, ...encodeSteps(steps, (place) => numbers.get(root(place)) as number) }
  }

  /** What one run does, from the shapes of its steps. */
  get work(): PlanWork {
    return workOf(this.lowered.steps)
  }

  /** Bytes of what one run gives back. */
  get resultBytes(): number {
    return this.external.reduce((sum, { kind, bytes }) => sum + (kind === 'output' ? bytes : 0), 0)
  }

  /** What step `index` computes, for error messages. */
  label(index: number): string {
    return this.lowered.steps[index]?.label ?? 'plan'
  }

  /** The first step in which another plan differs, in words; undefined where they compute the same. */
  difference(other: Plan): string | undefined {
    const text = ({ layout }: Plan, i: number): string => JSON.stringify(layout.steps[i])
    const steps = Math.max(this.layout.steps.length, other.layout.steps.length)
    for (let i = 0; i < steps; i++) {
      if (text(this, i) === text(other, i)) continue
      return `step ${i} was ${this.label(i)} and is ${other.label(i)}, with other operands or constants`
    }
    return undefined
  }

  /** A listing: one line per step, then the memory. */
  toString(): string {
    const { names, text } = describe(this.lowered.steps)
    const lines = this.lowered.steps.map((step, i) => `${String(i).padStart(4)}  ${text(step)}`)
    const { arena, live } = this.memory
    return [...lines, `arena ${arena} bytes, largest live ${live} bytes, ${names.size} places`].join('\n')
  }

  /** The steps as a Mermaid flowchart. */
  toMermaid(): string {
    const { names } = describe(this.lowered.steps)
    const lines = ['flowchart TD']
    this.lowered.steps.forEach((step, i) => {
      lines.push(`  s${i}["${step.op === 'fused' ? step.label : step.op}"]`)
      for (const { place } of step.inputs) lines.push(`  ${names.get(place)} --> s${i}`)
      for (const { place } of step.outputs) lines.push(`  s${i} --> ${names.get(place)}`)
    })
    return [...new Set(lines)].join('\n')
  }
}

/**
 * In-place reuse: an output takes over the memory of an input that is read for the last time. Gives each place the one
 * whose memory it has.
 */
function shareMemory(steps: readonly LoweredStep[]): (place: Place) => Place {
  const lastUse = new Map<Place, number>()
  steps.forEach((step, i) => {
    for (const { place } of [...step.inputs, ...step.outputs]) lastUse.set(place, i)
  })
  const owner = new Map<Place, Place>()
  const root = (place: Place): Place => owner.get(place) ?? place
  steps.forEach((step, i) => {
    const taken = new Set<Place>()
    step.outputs.forEach((output, k) => {
      if (output.place.kind !== 'arena' || owner.has(output.place)) return
      for (const candidate of step.inPlace[k] ?? []) {
        const place = root((step.inputs[candidate] as Stored).place)
        const free = place.kind === 'arena' && place.bytes === output.place.bytes && lastUse.get(place) === i
        if (!free || taken.has(place)) continue
        taken.add(place)
        owner.set(output.place, place)
        lastUse.set(place, lastUse.get(output.place) as number)
        break
      }
    })
  })
  return root
}

function encodeSteps(
  steps: readonly LoweredStep[],
  storageOf: (place: Place) => number,
): Pick<PlanLayout, 'operands' | 'steps'> {
  const schemas = new Map(kernelOps().map((op) => [op.name, op.params]))
  const operands: Operand[] = []
  const numbers = new Map<string, number>()
  const operand = ({ place, offset: start, dtype, shape, strides }: Stored): number => {
    const storage = storageOf(place)
    // What has no elements may begin anywhere; its storage may have no bytes.
    const offset = sizeOf(shape) === 0 ? 0 : start
    const key = `${storage} ${offset} ${dtype} ${shape.join()} ${strides.join()}`
    let number = numbers.get(key)
    if (number === undefined) {
      number = operands.push({ storage, byteOffset: offset * bytesOf(dtype), dtype, shape, strides }) - 1
      numbers.set(key, number)
    }
    return number
  }
  const encoded = steps.map(
    (step): Step => ({
      op: opId(step.op),
      inputs: step.inputs.map(operand),
      outputs: step.outputs.map(operand),
      params: encodeParams(schemas.get(step.op) ?? {}, step.params),
    }),
  )
  return { operands, steps: encoded }
}

function describe(steps: readonly LoweredStep[]): { names: Map<Place, string>; text(step: LoweredStep): string } {
  const names = new Map<Place, string>()
  for (const { inputs, outputs } of steps) {
    for (const { place } of [...inputs, ...outputs]) {
      if (!names.has(place))
        names.set(place, place.kind === 'cell' ? place.cell.label.replace(/\W/g, '_') : `${place.kind}${names.size}`)
    }
  }
  const list = (stored: readonly Stored[]): string =>
    [...new Set(stored.map(({ place }) => names.get(place)))].join(', ')
  return { names, text: (step) => `${step.label} (${list(step.inputs)}) => ${list(step.outputs)}` }
}
