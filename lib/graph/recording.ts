// A recorded function: its trace turned into an executable, the facts it relies on, and its runs.
import type { Buffer } from '../runtime/buffer.js'
import { type Device, defaultDevice, hasLostState, type Lane, type Priority } from '../runtime/device.js'
import { DeviceError, StateLostError } from '../runtime/errors.js'
import { bytesOf } from '../schema/dtype.js'
import { sizeOf } from '../schema/shape.js'
import type { CellState } from './cell.js'
import { Executable } from './executable.js'
import { identityOf } from './identity.js'
import { type Graph, lower } from './lower.js'
import { reachable, type Value } from './node.js'
import { optimize } from './passes/optimize.js'
import type { Place } from './place.js'
import { Plan } from './plan.js'
import { realize } from './realize.js'
import type { Fact, Trace } from './trace.js'

/** A copy of a value in memory of its own, enqueued now. */
export function copyOf(value: Value): Buffer {
  const copy = identityOf(value)
  realize([copy])
  copy.node.letGo()
  return copy.buffer as Buffer
}

/** The same, once the kernels for it are made; throws why they can not be. */
export function copyNow(value: Value): Buffer {
  const copy = identityOf(value)
  realize([copy]).executable?.wait()
  copy.node.letGo()
  return copy.buffer as Buffer
}

export class Recording {
  readonly plan: Plan
  readonly device: Device
  private executable: Executable | undefined
  /** What computes the captured values. */
  private readonly capturing: Executable | undefined
  private readonly facts: readonly Fact[]
  private readonly written: readonly CellState[]
  private readonly cells: readonly CellState[]
  /** Values from outside the trace it uses: data made before, held for as long as the recording is. */
  private readonly captured: readonly Value[]
  private readonly inputCount: number

  /** `inputs` are the leaves that stand for the arguments, `outputs` what the function returned. */
  constructor(
    trace: Trace,
    inputs: readonly Value[],
    outputs: readonly Value[],
    private readonly label: string,
    private readonly priority: Priority,
    private readonly lane?: Lane,
  ) {
    this.facts = trace.allFacts
    this.inputCount = inputs.length
    const assignments = new Map(
      [...trace.assigned].map((cell): [CellState, Value] => [cell, trace.cells.get(cell) as Value]),
    )
    this.written = [...trace.assigned]
    this.cells = [...trace.reads.keys()]
    const own = (value: Value): boolean => value.node.trace === trace || value.node.leaf?.kind === 'constant'
    const outside = new Set<Value>()
    const roots = [...outputs, ...assignments.values()]
    for (const value of roots) if (!own(value)) outside.add(value)
    for (const node of reachable(roots, (value) => !own(value))) {
      for (const input of node.inputs) if (!own(input)) outside.add(input)
    }
    this.captured = [...outside]
    this.capturing = realize(this.captured).executable
    const given = [...inputs, ...this.captured]
    const places = new Map(
      given.map((value, position): [Value, Place] => [value, { kind: 'input', bytes: bytes(value), position }]),
    )
    const graph: Graph = optimize({ outputs, assignments })
    this.plan = new Plan(lower(graph, (value) => places.get(value) as Place))
    this.device = deviceOf([...given, ...this.cells.map((cell) => trace.reads.get(cell) as Value)], label)
  }

  /** What a recording that has run needs the kernels of. */
  get executables(): readonly (Executable | undefined)[] {
    return [this.capturing, this.executable]
  }

  /** Why it can not be used any more, in words: its kernels, or the first fact that is no longer what it was. */
  outdated(): string | undefined {
    if (this.executables.some((needed) => needed?.failed)) return 'its kernels could not be made the last time'
    const fact = this.facts.find(({ read, value }) => !Object.is(read(), value))
    return fact && `${fact.owner.constructor.name}.${fact.key} was ${String(fact.value)} and is ${String(fact.read())}`
  }

  /**
   * Enqueues one run on these arguments and gives the memory of its results; `site` is where it was called. The first one
   * has the kernels made, on the device's thread.
   */
  run(inputs: readonly Buffer[], site?: Error): Buffer[] {
    const lost = this.cells.find((cell) => cell.lost)
    if (lost) {
      throw new StateLostError(
        `${lost.label}: a run failed after it had begun to write its state; call loadStateDict before the next step`,
        { cause: lost.lost },
      )
    }
    for (const cell of this.written) cell.detachReaders(copyOf)
    this.executable ??= new Executable(this.device, this.plan, this.label, site, this.priority, this.lane)
    const { results, done, ticket } = this.executable.run((place) => {
      if (place.kind === 'cell') return place.cell.buffer
      const { position } = place as { position: number }
      return position < this.inputCount
        ? (inputs[position] as Buffer)
        : ((this.captured[position - this.inputCount] as Value).buffer as Buffer)
    }, site)
    const mended = this.written.map((cell) => cell.mended)
    done.catch((error) => {
      if (!hasLostState(error, ticket)) return
      this.written.forEach((cell, i) => {
        if (cell.mended === mended[i]) cell.lost = error
      })
    })
    for (const cell of this.written) cell.advance()
    return results
  }
}

const bytes = (value: Value): number => sizeOf(value.shape) * bytesOf(value.dtype)

function deviceOf(values: readonly Value[], label: string): Device {
  const devices = new Set(values.flatMap(({ node }) => node.device ?? []))
  if (devices.size > 1) {
    throw new DeviceError(`${label}: it uses values of several devices (${[...devices].join(', ')}); make them on one`)
  }
  return [...devices][0] ?? defaultDevice()
}
