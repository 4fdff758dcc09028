// What is wrong, and what to do about it.
import type { DeviceKind } from '../../runtime/binding.js'
import type { CacheFolder, Driver, Probe, Problem, Threads } from './diagnosis.js'

/** What each of NVIDIA's libraries is for, and the Python package that brings it. */
const LIBRARIES: readonly (readonly [prefix: string, purpose: string, source: string])[] = [
  ['libcublasLt', 'matrix products', 'nvidia-cublas'],
  ['libcudnn', 'convolutions, attention in 16 bits', 'nvidia-cudnn-cu13'],
  ['libnvrtc', 'fused elementwise programs', 'nvidia-cuda-nvrtc'],
]

export const libraryFacts = (name: string): (typeof LIBRARIES)[number] | undefined =>
  LIBRARIES.find(([prefix]) => name.startsWith(prefix))

export interface Findings {
  readonly kinds: Readonly<Record<DeviceKind, Probe>>
  readonly missing: readonly string[]
  readonly required: DeviceKind | undefined
  readonly driver: Driver
  readonly threads: Threads
  readonly caches: readonly CacheFolder[]
}

const failedChecks = ({ checks }: Probe): string =>
  checks
    .filter(({ passed }) => !passed)
    .map(({ device, name, error }) => `${device}, ${name}: ${error}`)
    .join('; ')

function ofCpu({ kinds: { cpu } }: Findings): Problem[] {
  if (cpu.crash)
    return [
      {
        problem: `the CPU backend is broken: ${cpu.crash}`,
        advice: 'Reinstall heddle. If that does not help, send us what `heddle doctor --json` prints.',
        fatal: true,
      },
    ]
  if (cpu.error)
    return [
      {
        problem: `the CPU backend can not be used: ${cpu.error}`,
        advice: `Reinstall heddle: its CPU backend can not be used (${cpu.error}).`,
        fatal: true,
      },
    ]
  const failed = failedChecks(cpu)
  if (!failed) return []
  const advice = 'Do not trust results of this machine. Reinstall heddle; if it stays, send us `heddle doctor --json`.'
  return [{ problem: `the CPU computes wrongly: ${failed}`, advice, fatal: true }]
}

function ofCuda({ kinds: { cuda }, missing, required, driver }: Findings): Problem[] {
  const fatal = required === 'cuda'
  if (cuda.crash) {
    const where = driver.library || 'libcuda.so.1, which the system finds elsewhere'
    return [
      {
        problem: `probing CUDA failed: ${cuda.crash}; most likely NVIDIA's driver (${where}) is broken`,
        advice:
          `Run \`nvidia-smi\`: if that fails too, reinstall the driver, or restart the machine after an update of it. ` +
          `If ${where} is not the driver's own, remove it or take its folder out of LD_LIBRARY_PATH. ` +
          `Until then device('cuda') can end a program the same way; the CPU is not concerned.`,
        fatal,
      },
    ]
  }
  // A machine without a GPU has no problem unless it is asked for one.
  const there = driver.deviceFiles.length > 0 || driver.library !== ''
  if (cuda.error) {
    if (!there && !fatal) return []
    return [{ problem: `cuda can not be used: ${cuda.error}`, advice: `To use cuda: ${cuda.error}`, fatal }]
  }
  if (missing.length > 0) {
    const sources = missing.map((name) => libraryFacts(name)?.[2] ?? name)
    return [
      {
        problem: `cuda lacks ${missing.join(', ')}`,
        advice: `Run npx heddle cuda install, or install ${sources.join(', ')} with pip, or set HEDDLE_CUDA_PATH to the folder that has ${missing.join(', ')}.`,
        fatal,
      },
    ]
  }
  const failed = failedChecks(cuda)
  if (!failed) return []
  return [
    { problem: `cuda computes wrongly: ${failed}`, advice: 'Do not use it; send us `heddle doctor --json`.', fatal },
  ]
}

function ofThreads({ threads }: Findings): Problem[] {
  const { used, quota, processors } = threads
  if (used === 0) return []
  // A quota of parts of a CPU is rounded down, to one at least.
  const allowed = Math.max(1, Math.min(processors, Math.floor(quota?.cpus ?? processors)))
  if (used <= allowed) return []
  const why =
    quota && quota.cpus < processors ? `${quota.file} allows ${quota.cpus} CPUs` : `there are ${processors} processors`
  return [
    {
      problem: `${used} threads compute, but ${why}: they will stop and wait for each other`,
      advice: `Set OMP_NUM_THREADS=${allowed}${threads.OMP_NUM_THREADS === null ? '' : `, not ${threads.OMP_NUM_THREADS}`}.`,
      fatal: false,
    },
  ]
}

const ofCaches = ({ caches }: Findings): Problem[] =>
  caches
    .filter(({ error }) => error !== '')
    .map(({ purpose, path, from, error }) => ({
      problem: `the folder for ${purpose}, ${path} (${from}), can not be used: ${error}`,
      advice:
        purpose === 'pretrained models'
          ? `Make ${path} writable, or set HF_HUB_CACHE to a folder that is.`
          : `Make ${path} writable, or set HEDDLE_CACHE to a folder that is; without one, programs are compiled anew in each process.`,
      fatal: false,
    }))

/** Every problem, the worst first. */
export const problemsOf = (findings: Findings): Problem[] =>
  [...ofCpu(findings), ...ofCuda(findings), ...ofThreads(findings), ...ofCaches(findings)].sort(
    (a, b) => Number(b.fatal) - Number(a.fatal),
  )
