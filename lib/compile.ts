// compile: a function traced once per input signature and run as one native call ever after.
import { dataLeaf, inputLeaf, type Value } from './graph/node.js'
import type { Plan } from './graph/plan.js'
import { currentPrecision, withPrecision } from './graph/precision.js'
import { realize } from './graph/realize.js'
import { Recording } from './graph/recording.js'
import { currentTrace, recording, Trace } from './graph/trace.js'
import type { Buffer } from './runtime/buffer.js'
import { type Device, defaultDevice, type Lane, PRIORITIES, type Priority } from './runtime/device.js'
import { ArgumentError, TraceError } from './runtime/errors.js'
import { describe } from './schema/describe.js'
import type { FloatDType } from './schema/dtype.js'
import type { Spec } from './schema/op.js'
import { Tensor } from './tensor.js'

export interface CompileOptions {
  /** Names it in errors, plans and memory reports. Default: the function's name. */
  readonly name?: string
  /** Trace again every so many calls and throw where the graph differs: finds JavaScript values that change. */
  readonly check?: boolean
  /**
   * `high` is for what somebody waits for, predictions of a service for example: its runs go before those of `normal`
   * functions (the default) that are queued on the device, and on the CPU also between two kernels of one that runs,
   * wherever they share no cell that either assigns, so that results are those of the order in which calls were accepted.
   * Calls in flight are limited for each priority by itself.
   */
  readonly priority?: Priority
  /** @internal Of functions of high priority: where their runs may go on beside others. */
  readonly lane?: Lane | undefined
}

/** A compiled function: same arguments, and a promise of the same result that resolves once the run is accepted. */
export interface Compiled<A extends unknown[], R> {
  (...args: A): Promise<R>
  /** Records the body into the function being compiled around it. */
  inline(...args: A): R
  /** How often it was called. */
  readonly calls: number
  /** How often it was traced, and why each time. */
  readonly traces: readonly string[]
  /** The plan of the latest call. */
  readonly plan: Plan | undefined
}

/** Traces after which a warning says that something keeps changing. */
const TRACES_BEFORE_WARNING = 8
const CHECK_INTERVAL = 16

/** Tensors in nested arrays and objects, in order, and how to put others in their places. */
interface Flat {
  readonly tensors: Tensor[]
  /** Everything but the tensors: structure and constants. */
  readonly key: string
  rebuild(tensors: readonly Tensor[]): unknown
}

function flatten(root: unknown, what: string): Flat {
  const tensors: Tensor[] = []
  const parts: string[] = []
  const visit = (value: unknown): ((given: readonly Tensor[]) => unknown) => {
    if (value instanceof Tensor) {
      const position = tensors.push(value) - 1
      parts.push('tensor')
      return (given) => given[position]
    }
    if (Array.isArray(value)) {
      parts.push('[')
      const items = value.map(visit)
      parts.push(']')
      return (given) => items.map((item) => item(given))
    }
    if (value !== null && typeof value === 'object') {
      const prototype = Object.getPrototypeOf(value)
      if (prototype !== Object.prototype && prototype !== null) {
        throw new ArgumentError(
          `compile: ${what} holds a ${value.constructor.name}; tensors, numbers, strings and plain arrays and objects of them are possible`,
        )
      }
      parts.push('{')
      const entries = Object.entries(value).map(([key, item]) => {
        parts.push(`${JSON.stringify(key)}:`)
        return [key, visit(item)] as const
      })
      parts.push('}')
      return (given) => Object.fromEntries(entries.map(([key, item]) => [key, item(given)]))
    }
    if (typeof value === 'function' || typeof value === 'symbol') {
      throw new ArgumentError(
        `compile: ${what} holds a ${typeof value}; it can not be told whether it is the same next time`,
      )
    }
    parts.push(`${typeof value} ${Object.is(value, -0) ? '-0' : String(value)};`)
    return () => value
  }
  const build = visit(root)
  return { tensors, key: parts.join(' '), rebuild: build }
}

interface Entry {
  readonly recorded: Recording
  readonly outputs: readonly Spec[]
  rebuild(tensors: readonly Tensor[]): unknown
}

class CompiledFunction<A extends unknown[], R> {
  calls = 0
  readonly traces: string[] = []
  plan: Plan | undefined
  private readonly priority: Priority
  private readonly entries = new Map<string, Entry[]>()
  /** The last of the calls that wait for a place; they keep their order. */
  private queue: Promise<void> | undefined

  constructor(
    private readonly fn: (...args: A) => R,
    private readonly name: string,
    private readonly options: CompileOptions,
  ) {
    this.priority = options.priority ?? 'normal'
  }

  inline(args: A): R {
    if (!currentTrace()) throw new TraceError(`${this.name}: inline works inside a compiled function; outside, call it`)
    return this.fn(...args)
  }

  call(args: A): Promise<R> {
    if (currentTrace()) {
      throw new TraceError(`${this.name}: it was called inside a compiled function; use ${this.name}.inline(...) there`)
    }
    return this.accept(args)
  }

  private async accept(args: A): Promise<R> {
    this.calls++
    const precision = currentPrecision()
    const flat = flatten(args, 'an argument')
    // The call's data is pinned now, so that disposing an argument after the call changes nothing.
    const values = flat.tensors.map((tensor) => tensor.value)
    for (const value of values) value.pendingUsers++
    try {
      const device = values.find(({ node }) => node.device)?.node.device ?? defaultDevice()
      // After waiting, the stack no longer has the caller's line, which errors of the run are to show.
      const site = new Error()
      if (this.queue || device.vacancy(this.priority)) await this.turn(device)
      return this.enqueue(flat, values, precision, site)
    } finally {
      for (const value of values) {
        value.pendingUsers--
        value.freeIfUnused()
      }
    }
  }

  /** Settles when all earlier calls were enqueued and the device takes one more. */
  private async turn(device: Device): Promise<void> {
    const vacant = async (): Promise<void> => {
      for (let wait = device.vacancy(this.priority); wait; wait = device.vacancy(this.priority)) await wait
    }
    const turn = (this.queue ?? Promise.resolve()).then(vacant)
    this.queue = turn
    await turn
    if (this.queue === turn) this.queue = undefined
  }

  /** Enqueues the run. Where its kernels are still being made, gives a promise that waits for them. */
  private enqueue(
    flat: Flat,
    values: readonly Value[],
    precision: FloatDType | undefined,
    site: Error,
  ): R | Promise<R> {
    const { executable } = realize(values.filter(({ node }) => node.leaf?.kind !== 'cell'))
    const entry = withPrecision(precision, () => this.entryFor(flat, values))
    this.plan = entry.recorded.plan
    const { recorded, outputs, rebuild } = entry
    const buffers = recorded.run(
      values.map(({ buffer }) => buffer as Buffer),
      site,
    )
    const result = rebuild(outputs.map((spec, i) => new Tensor(dataLeaf(buffers[i] as Buffer, spec)))) as R
    const pending = [executable, ...recorded.executables].filter((needed) => needed?.pending)
    if (pending.length === 0) return result
    return Promise.all(pending.map((needed) => needed?.prepared)).then(
      () => result,
      (error) => {
        for (const buffer of buffers) buffer.free()
        throw error
      },
    )
  }

  private entryFor(flat: Flat, values: readonly Value[]): Entry {
    const key = [
      flat.key,
      currentPrecision() ?? '',
      ...values.map(({ dtype, shape, node }) => `${dtype}[${shape}]@${node.device?.name ?? ''}`),
    ].join(' ')
    const known = this.entries.get(key) ?? []
    let reason = 'first call'
    for (const entry of known) {
      const outdated = entry.recorded.outdated()
      if (!outdated) {
        if (this.options.check && this.calls % CHECK_INTERVAL === 0) this.check(flat, entry)
        return entry
      }
      reason = outdated
    }
    if (known.length === 0 && this.traces.length > 0) reason = `new signature: ${key}`
    const entry = this.trace(flat)
    this.entries.set(key, [entry, ...known])
    this.traces.push(reason)
    if (this.traces.length === TRACES_BEFORE_WARNING + 1) {
      process.emitWarning(
        `${this.name} was traced ${this.traces.length} times; the latest reason: ${reason}`,
        'HeddleRetrace',
      )
    }
    return entry
  }

  private trace(flat: Flat): Entry {
    const trace = new Trace()
    const inputs = flat.tensors.map((tensor, position) =>
      inputLeaf(position, { dtype: tensor.dtype, shape: tensor.shape }, tensor.device, trace),
    )
    const result = recording(trace, () => this.fn(...(flat.rebuild(inputs.map((leaf) => new Tensor(leaf))) as A)))
    if (result instanceof Promise) {
      throw new TraceError(
        `${this.name}: a compiled function can not be async; await its inputs outside and its results after`,
      )
    }
    const out = flatten(result, `the result of ${this.name}`)
    const outputs = recording(trace, () => out.tensors.map((tensor) => tensor.value))
    const recorded = new Recording(trace, inputs, outputs, this.name, this.priority, this.options.lane)
    return { recorded, outputs: outputs.map(({ dtype, shape }) => ({ dtype, shape })), rebuild: out.rebuild }
  }

  private check(flat: Flat, entry: Entry): void {
    const again = this.trace(flat)
    const difference = entry.recorded.plan.difference(again.recorded.plan)
    if (difference) {
      throw new TraceError(
        `${this.name}: traced again, it is another graph, so a JavaScript value it uses has changed: ${difference}`,
      )
    }
  }
}

/**
 * Compiles a function of tensors. It is traced once per signature of its arguments (shapes, dtypes, devices, and every
 * other value in them) and per fact it relied on (a module's mode, what is frozen); each later call is one native call.
 * The promise resolves once the run is accepted, which waits while four are in flight, and for its kernels, which are
 * made on the device's thread after each trace; the run has its place among everything else from the call on, or from
 * when there is a place. Results are read with `item()` or `data()`. Cells it assigns change together when the run has
 * succeeded.
 */
export function compile<A extends unknown[], R>(fn: (...args: A) => R, options: CompileOptions = {}): Compiled<A, R> {
  if (typeof fn !== 'function') throw new ArgumentError(`compile: it takes a function, not ${describe(fn)}`)
  if (typeof options !== 'object' || options === null) {
    throw new ArgumentError(`compile: the options must be an object, not ${describe(options)}`)
  }
  if (options.priority !== undefined && !PRIORITIES.includes(options.priority)) {
    throw new ArgumentError(`compile: the priority is ${PRIORITIES.join(' or ')}, not ${describe(options.priority)}`)
  }
  const compiled = new CompiledFunction(fn, options.name ?? (fn.name || 'a compiled function'), options)
  const call = (...args: A): Promise<R> => compiled.call(args)
  return Object.defineProperties(call as Compiled<A, R>, {
    inline: { value: (...args: A) => compiled.inline(args) },
    calls: { get: () => compiled.calls },
    traces: { get: () => compiled.traces },
    plan: { get: () => compiled.plan },
  })
}
