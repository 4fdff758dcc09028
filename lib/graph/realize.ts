// Computes values outside a trace: the same way as a compiled function, with plans cached by the graph's structure.
import type { Buffer } from '../runtime/buffer.js'
import { type Device, defaultDevice } from '../runtime/device.js'
import { bytesOf } from '../schema/dtype.js'
import { sizeOf } from '../schema/shape.js'
import type { CellState } from './cell.js'
import { Executable } from './executable.js'
import { lower } from './lower.js'
import { type Node, reachable, type Value } from './node.js'
import { optimize } from './passes/optimize.js'
import type { Place } from './place.js'
import { Plan } from './plan.js'

const PLANS_KEPT = 512
const plans = new Map<string, Executable>()

interface Structure {
  readonly key: string
  /** The values whose data the plan is given, in the order of its inputs. */
  readonly given: readonly Value[]
}

const hasData = (value: Value): boolean => value.buffer !== undefined

/** A text that is the same for graphs that differ only in their data. */
function structureOf(values: readonly Value[], nodes: readonly Node[]): Structure {
  const names = new Map<Value, string>()
  const given: Value[] = []
  const nameOf = (value: Value): string => {
    let name = names.get(value)
    if (name === undefined) {
      name = `${value.dtype}[${value.shape}]@${given.push(value) - 1}`
      names.set(value, name)
    }
    return name
  }
  const lines = nodes.map((node, i) => {
    node.outputs.forEach((output, k) => {
      if (!hasData(output)) names.set(output, `${i}.${k}`)
    })
    if (node.leaf?.kind === 'constant') return `constant ${node.leaf.value} ${node.output.dtype}[${node.output.shape}]`
    return `${node.op.name} ${node.region} ${node.inputs.map(nameOf).join(' ')} ${JSON.stringify(node.params)}`
  })
  return { key: [...lines, values.map(nameOf).join(' ')].join('\n'), given }
}

function executableFor(values: readonly Value[], device: Device): { executable: Executable; given: readonly Value[] } {
  const nodes = reachable(values, hasData)
  const { key: structure, given } = structureOf(values, nodes)
  const key = `${device.name}\n${structure}`
  let executable = plans.get(key)
  if (executable && !executable.failed) {
    plans.delete(key)
  } else {
    const places = new Map(
      given.map((value, position): [Value, Place] => [value, { kind: 'input', bytes: bytes(value), position }]),
    )
    const graph = optimize({ outputs: values, assignments: new Map<CellState, Value>() })
    const plan = new Plan(lower(graph, (value) => places.get(value) as Place))
    executable = new Executable(device, plan, 'an uncompiled expression')
  }
  plans.set(key, executable)
  if (plans.size > PLANS_KEPT) plans.delete(plans.keys().next().value as string)
  return { executable, given }
}

const bytes = (value: Value): number => sizeOf(value.shape) * bytesOf(value.dtype)

/** The other results of ops that are going to run, where somebody holds them: nothing has to run twice for them. */
function heldBeside(values: readonly Value[]): Value[] {
  const chosen = new Set(values)
  return reachable(values, hasData)
    .filter(({ outputs }) => outputs.length > 1)
    .flatMap(({ outputs }) => outputs.filter((output) => output.handles > 0 && !hasData(output) && !chosen.has(output)))
}

/** A computation that is enqueued. */
export interface Realized {
  /** Settles when the run has; nobody has to listen to it. */
  readonly done: Promise<void>
  /** What runs, whose kernels may still have to be made; undefined where there was nothing to compute. */
  readonly executable: Executable | undefined
}

/**
 * Enqueues the computation of `values`; afterwards each has a buffer, of which reads fail where the kernels can not be
 * made or the run fails. Throws where memory or operands do not suffice.
 */
export function realize(values: readonly Value[]): Realized {
  const wanted = [...new Set(values)].filter((value) => !hasData(value))
  if (wanted.length === 0) return { done: Promise.resolve(), executable: undefined }
  const missing = [...wanted, ...heldBeside(wanted)]
  const device = missing.map(({ node }) => node.device).find((found) => found !== undefined) ?? defaultDevice()
  const { executable, given } = executableFor(missing, device)
  const { results, done } = executable.run(
    (place) => (given[(place as { position: number }).position] as Value).buffer as Buffer,
  )
  missing.forEach((value, i) => {
    value.buffer = results[i] as Buffer
  })
  const release = (): void => {
    for (const value of missing) value.node.release()
  }
  if (!executable.pending) release()
  else {
    // Where kernels can not be made the values are as before, so that asking for them again is another attempt.
    executable.prepared.then(release, () =>
      missing.forEach((value, i) => {
        if (value.buffer === results[i]) value.buffer = undefined
        results[i]?.free()
      }),
    )
  }
  return { done, executable }
}
