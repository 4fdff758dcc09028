// Devices: finding them, the default one, their memory, and the queue of work each one executes in order.

import { describe } from '../schema/describe.js'
import {
  type Binding,
  binding,
  DEVICE_KINDS,
  type DeviceDescription,
  type DeviceKind,
  type DeviceStatistics,
  type Failure,
} from './binding.js'
import { ArgumentError, DeviceError, errorOfCode, type HeddleError, native } from './errors.js'
import { explainLoader } from './loadFailure.js'

interface Pending {
  resolve(): void
  reject(error: HeddleError): void
}

/** Of runs: those of high priority go before normal ones that are queued. */
export const PRIORITIES = ['normal', 'high'] as const
export type Priority = (typeof PRIORITIES)[number]

/**
 * Runs of high priority in different lanes may go on beside one another on the CPU, where they share nothing that either
 * writes; each with an equal share of the threads. Lanes count from 1.
 */
export interface Lane {
  readonly lane: number
  readonly lanes: number
}

/** Runs of one priority that may be queued on a device before a compiled step waits. */
export const RUNS_IN_FLIGHT = 4

const pending = new Map<number, Pending>()
/** Where the work that may still fail was enqueued, by ticket. */
const sites = new Map<number, Error>()
/** Errors of runs, kept for the reads of their outputs that come later. */
const failures = new Map<number, HeddleError>()
const FAILURES_KEPT = 256
/** Errors of runs that had already written to cells, and the tickets of those runs. */
const lostState = new WeakMap<Error, number>()

/** Whether this error is of the run behind `ticket` itself, and that had written to cells before it failed. */
export const hasLostState = (error: Error, ticket: number): boolean => lostState.get(error) === ticket

let listening: Binding | undefined

function toError(failure: Failure): HeddleError {
  const known = failures.get(failure.origin)
  if (known) return known
  const error = errorOfCode(failure.code, failure.message)
  if (failure.stateLost) lostState.set(error, failure.origin)
  const site = sites.get(failure.origin)
  if (site?.stack) error.stack = `${error.name}: ${error.message}\n${site.stack.split('\n').slice(1).join('\n')}`
  failures.set(failure.origin, error)
  if (failures.size > FAILURES_KEPT) failures.delete(failures.keys().next().value as number)
  return error
}

function settle(tickets: Float64Array, failed: (Failure | undefined)[] | undefined): void {
  tickets.forEach((ticket, i) => {
    const failure = failed?.[i]
    const error = failure && toError(failure)
    sites.delete(ticket)
    const waiter = pending.get(ticket)
    pending.delete(ticket)
    if (!waiter) return
    if (error) waiter.reject(error)
    else waiter.resolve()
  })
}

/** The native library, loaded at first use. */
export function library(): Binding {
  if (!listening) {
    listening = binding()
    listening.listen(settle)
  }
  return listening
}

/** Settles when the work behind a ticket has; `site` gives its errors the stack of the call that enqueued it. */
export function settled(ticket: number, site?: Error): Promise<void> {
  if (site) sites.set(ticket, site)
  return new Promise((resolve, reject) => pending.set(ticket, { resolve, reject }))
}

/** A place where tensors live and kernels run. Work given to one device runs in the order it was given. */
export class Device {
  /** Runs that have not finished, oldest first. */
  private readonly running: Record<Priority, Promise<unknown>[]> = { normal: [], high: [] }

  readonly index: number
  readonly name: string
  readonly kind: DeviceKind
  /** Host threads its kernels use. */
  readonly threads: number
  /** The widest instruction set its kernels use; for a GPU its name and architecture. */
  readonly instructionSet: string

  /** @internal Devices come from `device`. */
  constructor(description: DeviceDescription) {
    this.index = description.index
    this.name = description.name
    this.kind = description.kind
    this.threads = description.threads
    this.instructionSet = description.instructionSet
  }

  /** Notes a run; it counts against the runs of its priority in flight until it settles, well or badly. */
  track(run: Promise<unknown>, priority: Priority): void {
    const running = this.running[priority]
    running.push(run)
    const done = () => {
      running.splice(running.indexOf(run), 1)
    }
    run.then(done, done)
  }

  /** Settles when a further run of that priority may be enqueued; undefined when one may be at once. */
  vacancy(priority: Priority): Promise<unknown> | undefined {
    const running = this.running[priority]
    if (running.length < RUNS_IN_FLIGHT) return undefined
    return (running[running.length - RUNS_IN_FLIGHT] as Promise<unknown>).catch(() => undefined)
  }

  /** Settles when everything enqueued so far has run. */
  async synchronize(): Promise<void> {
    await settled(native(() => library().sync(this.index)))
  }

  /** Bytes held, reserved and at most, and by whom. */
  memory(): DeviceStatistics {
    return native(() => library().stats(this.index))
  }

  /** Upper bound of the bytes the device's pool may hold; `Infinity` lifts it. */
  setMemoryLimit(bytes: number): void {
    if (bytes !== Number.POSITIVE_INFINITY && !(Number.isSafeInteger(bytes) && bytes > 0)) {
      throw new ArgumentError(`setMemoryLimit: it takes a number of bytes above 0 or Infinity, not ${describe(bytes)}`)
    }
    const memoryLimit = bytes === Number.POSITIVE_INFINITY ? Number.MAX_SAFE_INTEGER : bytes
    native(() => library().configure(this.index, { memoryLimit }))
  }

  /** Threads kernels use; the default is what affinity, cgroup quota and OMP_NUM_THREADS allow. */
  setThreads(threads: number): void {
    if (!Number.isSafeInteger(threads) || threads < 1) {
      throw new ArgumentError(`setThreads: it takes an integer from 1 up, not ${describe(threads)}`)
    }
    native(() => library().configure(this.index, { threads }))
  }

  /** The algorithms that timing has chosen so far, by problem; those of all devices of its kind in this process. */
  algorithms(): Readonly<Record<string, string>> {
    return native(() => library().choices(this.index))
  }

  /**
   * Uses algorithms that were chosen before, in this process or another, so that results agree with those to the last bit;
   * they are used where kernels are prepared from now on, on the same kind of processor. Others are chosen by timing, or
   * without where HEDDLE_DETERMINISTIC=1.
   */
  useAlgorithms(algorithms: Readonly<Record<string, string>>): void {
    if (typeof algorithms !== 'object' || algorithms === null)
      throw new ArgumentError(`useAlgorithms: it takes what algorithms() gave, not ${describe(algorithms)}`)
    for (const [problem, name] of Object.entries(algorithms)) {
      if (typeof name !== 'string')
        throw new ArgumentError(`useAlgorithms: the algorithm of '${problem}' is ${describe(name)}, not a name`)
      native(() => library().choose(this.index, problem, name))
    }
  }

  toString(): string {
    return this.name
  }
}

const opened = new Map<DeviceKind, readonly Device[]>()

/** The devices of a kind, whose library is opened by the first call. Throws `DeviceError` with the reason where none is. */
function devicesOf(kind: DeviceKind): readonly Device[] {
  let devices = opened.get(kind)
  if (!devices) {
    devices = openDevices(kind).map((found) => new Device(found))
    opened.set(kind, devices)
  }
  return devices
}

function openDevices(kind: DeviceKind): readonly DeviceDescription[] {
  try {
    return native(() => library().devices(kind))
  } catch (error) {
    const reason = explainLoader((error as Error).message)
    throw new DeviceError(`device: '${kind}' cannot be used: ${reason}`, { cause: error })
  }
}

/** Every device of this machine that can be used. */
export function listDevices(): readonly Device[] {
  return DEVICE_KINDS.flatMap((kind) => {
    try {
      return devicesOf(kind)
    } catch (error) {
      if (error instanceof DeviceError) return []
      throw error
    }
  })
}

/** The device's kind and number in its name: `cpu`, `cuda` (the first one), `cuda:1`. */
const NAME = /^([a-z]+)(?::(0|[1-9]\d*))?$/

/**
 * The device of that name: `cpu`, `cuda` or `cuda:0`, `cuda:1` and so on. `auto` gives the first `cuda` device where
 * one can be used, else `cpu`: the result's `name` says which. Throws `DeviceError` with the reason where a device
 * cannot be used; never gives another one instead.
 */
export function device(name: string): Device {
  if (name === 'auto') return listDevices().find(({ kind }) => kind === 'cuda') ?? device('cpu')
  const [, kind, position = '0'] = (typeof name === 'string' && NAME.exec(name)) || []
  const known = DEVICE_KINDS.find((candidate) => candidate === kind)
  if (!known) {
    const given = typeof name === 'string' ? `'${name}'` : describe(name)
    throw new DeviceError(
      `device: there is no device ${given}; devices are called ${DEVICE_KINDS.join(', ')}, cuda:1 and so on, or auto`,
    )
  }
  const devices = devicesOf(known)
  const found = devices[Number(position)]
  if (found) return found
  throw new DeviceError(
    `device: there is no device '${name}' here; there are ${devices.map(({ name }) => name).join(', ')}`,
  )
}

let chosen: Device | undefined

/** The device new tensors are made on. */
export const defaultDevice = (): Device => (chosen ??= device('cpu'))

/** Sets the device new tensors are made on. */
export function setDefaultDevice(target: Device | string): void {
  chosen = target instanceof Device ? target : device(target)
}
