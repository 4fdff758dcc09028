// The only loader of the native addon, and its surface as TypeScript sees it.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { SCHEMA_HASH } from '../schema/hash.gen.js'
import { cudaPackage, packageFolder, requireFrom } from './installation.js'
import { explainAddon } from './loadFailure.js'

/** The kinds of device there are libraries for. */
export const DEVICE_KINDS = ['cpu', 'cuda'] as const
export type DeviceKind = (typeof DEVICE_KINDS)[number]

export interface DeviceDescription {
  /** Its number in every other call. */
  readonly index: number
  readonly name: string
  readonly kind: DeviceKind
  /** Compute threads in use. */
  readonly threads: number
  /** The widest instruction set the kernels use. */
  readonly instructionSet: string
  /** What the device, or the container the process runs in, has in all. */
  readonly memoryBytes: number
}

/** Why the devices of a kind can or cannot be used. */
export interface Inspection {
  /** The backend's library, whether it is there or not. */
  readonly library: string
  /** Why it gives no device; empty where it does. */
  readonly error: string
  /** The libraries it opens when it needs them, where each was looked for, and where it was found; else ''. */
  readonly libraries: readonly { readonly name: string; readonly found: string; readonly places: readonly string[] }[]
}

/** Bytes are size classes of the pool; `retries` counts allocations that needed the cache given back first. */
export interface DeviceStatistics {
  readonly allocated: number
  readonly reserved: number
  readonly peak: number
  readonly limit: number
  readonly retries: number
  readonly arenaBytes: number
  /** Jobs waiting or running. */
  readonly queued: number
  /** Runs so far that were replays of a recorded one; always 0 on the CPU. */
  readonly replays: number
  /** Live bytes by label, largest first. */
  readonly holders: readonly { readonly label: string; readonly bytes: number }[]
}

/** Events by position: jobs, and the steps of runs. */
export interface RecordedProfile {
  readonly names: readonly string[]
  /** Bit 0: a step of a run, not a job; bit 1: of high priority; from bit 2 on its lane. */
  readonly kinds: readonly number[]
  /** Start and end of each, in microseconds of `process.hrtime`'s clock. */
  readonly times: Float64Array
  /** How many did not fit. */
  readonly dropped: number
}

export type ErrorCode = 'invalidArgument' | 'invalidPlan' | 'outOfMemory' | 'unsupported' | 'deviceLost' | 'internal'

/** Why a job did not deliver. What it should have written fails to read with the same failure. */
export interface Failure {
  readonly code: ErrorCode
  readonly message: string
  /** The ticket of the job that failed first. */
  readonly origin: number
  /** The plan step it failed at; -1 where no plan ran. */
  readonly step: number
  /** Cells may have been written in part; they fail to read until they are written whole. */
  readonly stateLost: boolean
}

/**
 * The addon. Handles, plans and tickets are positive integers that belong to the thread they were made on. Every call
 * throws an Error whose `code` is an ErrorCode where its arguments are wrong, before anything is changed.
 */
export interface Binding {
  readonly schemaHash: string
  /** The devices of a kind; its library is opened by the first call. Throws where there is none that can be used. */
  devices(kind: DeviceKind): DeviceDescription[]
  inspect(kind: DeviceKind): Inspection
  /**
   * Where the library of a kind is, for the whole process, in place of beside the addon; or why the kind can not be used.
   * Has no effect on a kind whose devices are open.
   */
  place(kind: DeviceKind, library: string, error: string): void
  /** A buffer of undefined contents. */
  alloc(device: number, bytes: number, label: string): number
  /** Drops the handle; queued work keeps the memory. `collected` says that the garbage collector found it. */
  free(handle: number, collected?: boolean): void
  /**
   * Ordered after the work queued on the buffer. Copies at once where there is none and returns 0, else stages a copy
   * and returns a ticket. Writing the whole buffer makes a failed one good again. With `lent` the bytes are read on the
   * device's thread instead: they must stay as they are until the ticket settles.
   */
  write(handle: number, byteOffset: number, source: ArrayBufferView, lent?: boolean): number
  /** Fills `target` from the device's thread until the ticket settles: do not transfer or resize its memory before. */
  read(handle: number, byteOffset: number, target: ArrayBufferView): number
  /**
   * A plan, whose kernels are made on the device's thread, after the job in progress and before queued ones; the ticket
   * settles when they are, or with why they can not be. `words` are those of `encodePlan`; throws where they are no plan.
   * Runs of a plan of `high` priority go before queued ones of others, and on a synchronous device between two steps of
   * one, wherever they share no storage that either writes; of plans in different lanes also beside one another.
   */
  prepare(
    device: number,
    words: Float64Array,
    label: string,
    high?: boolean,
    lane?: { readonly lane: number; readonly lanes: number },
  ): { plan: number; ticket: number }
  /** Waits, on this thread, until the plan is ready. Throws why it can not be. */
  waitFor(plan: number): void
  /** What lies in the arena of a plan that is ready: offset, bytes, first and last step of each block. */
  memory(plan: number): { arenaBytes: number; liveBytes: number; blocks: Float64Array }
  /**
   * Queues a run on the caller's storages in order and returns its ticket; the plan need not be ready, and the run of one
   * that never gets there fails like its preparation. Slots of `output` storages are filled with handles of new buffers.
   * Throws before anything is queued.
   */
  run(plan: number, handles: Uint32Array): number
  release(plan: number): void
  /** A ticket that settles after all earlier work. */
  sync(device: number): number
  stats(device: number): DeviceStatistics
  /** `threads` takes effect after the job in progress. */
  configure(device: number, options: { memoryLimit?: number; threads?: number }): void
  /** The algorithms that timing has chosen so far, by problem, for all devices of the kind. */
  choices(device: number): Record<string, string>
  /** Makes kernels of a problem that are prepared from now on use that algorithm; one that is none of it is not used. */
  choose(device: number, key: string, name: string): void
  /** Starts recording what the device's thread does, or ends it and gives what was recorded. */
  profile(device: number, on: true): undefined
  profile(device: number, on: false): RecordedProfile
  /**
   * Called with every batch of settled tickets, in order; `failures` has an entry where the ticket at that position
   * failed. One callback per thread: the last one given.
   */
  listen(callback: (tickets: Float64Array, failures: (Failure | undefined)[] | undefined) => void): void
}

let loaded: Binding | undefined

/** Loads the addon at the first call. Throws one sentence that says what is missing and what to do. */
export function binding(): Binding {
  if (loaded) return loaded
  const folder = packageFolder()
  const load = requireFrom(folder)('node-gyp-build') as (folder: string) => Binding
  // A published package has no sources to build an addon of.
  const checkout = existsSync(join(folder, 'CMakeLists.txt'))
  let addon: Binding
  try {
    addon = load(folder)
  } catch (error) {
    throw new Error(explainAddon(folder, (error as Error).message, checkout), { cause: error })
  }
  if (addon.schemaHash !== SCHEMA_HASH) {
    throw new Error(
      `heddle: the native addon was built from schema ${addon.schemaHash}, this JavaScript from ${SCHEMA_HASH}: ` +
        (checkout ? `run \`npm run build:all\` in ${folder}` : 'reinstall heddle'),
    )
  }
  const cuda = cudaPackage(folder)
  if (cuda) addon.place('cuda', cuda.library, cuda.error)
  loaded = addon
  return addon
}
