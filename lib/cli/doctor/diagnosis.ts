// What `heddle doctor --json` prints.
import type { DeviceDescription, DeviceKind, Inspection } from '../../runtime/binding.js'

export interface Processor {
  readonly model: string
  /** The widest instructions our kernels use; '' where the CPU backend can not be used. */
  readonly instructionSet: string
  /** How products in these dtypes are computed. */
  readonly paths: { readonly bf16: string; readonly f16: string; readonly int8: string }
}

export interface Threads {
  /** Compute threads; 0 where the CPU backend can not be used. */
  readonly used: number
  /** Processors this process may run on. */
  readonly processors: number
  /** The CPUs a cgroup allows, and the file that says so. */
  readonly quota: { readonly cpus: number; readonly file: string } | null
  readonly OMP_NUM_THREADS: string | null
}

export interface Memory {
  readonly totalBytes: number
  readonly availableBytes: number
  /** The bytes a cgroup allows, and the file that says so. */
  readonly limit: { readonly bytes: number; readonly file: string } | null
}

/** A folder heddle keeps things in between processes. */
export interface CacheFolder {
  readonly purpose: string
  readonly path: string
  /** What named it: a variable, or the default. */
  readonly from: string
  readonly exists: boolean
  readonly readable: boolean
  /** Or, where it does not exist, can be made. */
  readonly writable: boolean
  /** Why not; '' where it is well. */
  readonly error: string
}

/** A small computation with a known answer. */
export interface Check {
  readonly device: string
  readonly name: string
  readonly passed: boolean
  /** What was found instead; '' where it passed. */
  readonly error: string
}

/** What a process of its own found out about a kind of device. */
export interface Probe extends Inspection {
  readonly devices: readonly DeviceDescription[]
  readonly checks: readonly Check[]
  /** How the probing process ended where it did not answer: a signal, an exit code or the time it took; else ''. */
  readonly crash: string
}

/** Something that is not as it should be, and what to do about it. */
export interface Problem {
  readonly problem: string
  readonly advice: string
  /** Whether heddle can not be used because of it; others only limit it. */
  readonly fatal: boolean
}

export interface Diagnosis {
  readonly heddle: string
  readonly node: string
  /** `linux-x64` and its like. */
  readonly platform: string
  /** The C library and its version; '' where it is not glibc. */
  readonly libc: string
  readonly kernel: string
  readonly processor: Processor
  readonly threads: Threads
  readonly memory: Memory
  /** Why there is no native addon; '' where it is loaded. */
  readonly addon: string
  readonly kinds: Readonly<Record<DeviceKind, Probe>> | undefined
  /** NVIDIA's driver: where its library was looked for and found, and what the kernel says of it. */
  readonly driver: Driver
  readonly caches: readonly CacheFolder[]
  /** What `cuda` still needs beyond a device: nothing where it is complete. */
  readonly missing: readonly string[]
  /** The kinds that can be used. */
  readonly usable: readonly DeviceKind[]
  readonly problems: readonly Problem[]
  /** The one thing to do next; '' where there is nothing to do. */
  readonly advice: string
}

export interface Driver {
  /** '' where it was not found. */
  readonly library: string
  readonly places: readonly string[]
  /** The version of the kernel's module; '' where it is not loaded. */
  readonly version: string
  /** Device files of GPUs. */
  readonly deviceFiles: readonly string[]
}
