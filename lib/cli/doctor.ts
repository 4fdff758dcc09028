// heddle doctor: what was looked for, where, and the one thing to do.
import { parseArgs } from 'node:util'
import { binding, DEVICE_KINDS, type DeviceDescription, type DeviceKind, type Inspection } from '../runtime/binding.js'

/** What `heddle doctor --json` prints. */
export interface Diagnosis {
  readonly node: string
  readonly platform: string
  /** Why there is no native addon; '' where it is loaded. */
  readonly addon: string
  readonly kinds: Record<DeviceKind, Inspection & { readonly devices: readonly DeviceDescription[] }> | undefined
  /** What `cuda` still needs beyond a device: nothing where it is complete. */
  readonly missing: readonly string[]
  /** The kinds that can be used. */
  readonly usable: readonly DeviceKind[]
  /** The one thing to do next; '' where there is nothing to do. */
  readonly advice: string
}

/** What each of NVIDIA's libraries is for, and the Python package that brings it. */
const LIBRARIES: readonly (readonly [prefix: string, purpose: string, source: string])[] = [
  ['libcublasLt', 'matrix products', 'nvidia-cublas'],
  ['libcudnn', 'convolutions, attention in 16 bits', 'nvidia-cudnn-cu13'],
  ['libnvrtc', 'fused elementwise programs', 'nvidia-cuda-nvrtc'],
]

const libraryFacts = (name: string) => LIBRARIES.find(([prefix]) => name.startsWith(prefix))

function diagnose(required: DeviceKind | undefined): Diagnosis {
  const machine = { node: process.versions.node, platform: `${process.platform}-${process.arch}` }
  let addon: ReturnType<typeof binding>
  try {
    addon = binding()
  } catch (error) {
    const reason = (error as Error).message
    return { ...machine, addon: reason, kinds: undefined, missing: [], usable: [], advice: reason }
  }
  const inspect = (kind: DeviceKind) => {
    const inspection = addon.inspect(kind)
    return { ...inspection, devices: inspection.error ? [] : addon.devices(kind) }
  }
  const kinds = { cpu: inspect('cpu'), cuda: inspect('cuda') }
  const missing = kinds.cuda.libraries.filter(({ found }) => !found).map(({ name }) => name)
  const usable = DEVICE_KINDS.filter((kind) => !kinds[kind].error && (kind !== 'cuda' || missing.length === 0))
  return { ...machine, addon: '', kinds, missing, usable, advice: adviceFor(kinds, missing, required) }
}

function adviceFor(
  kinds: NonNullable<Diagnosis['kinds']>,
  missing: readonly string[],
  required: DeviceKind | undefined,
): string {
  if (kinds.cpu.error) return `Reinstall heddle: its CPU backend can not be used (${kinds.cpu.error}).`
  if (required === 'cuda' && kinds.cuda.error) return `To use cuda: ${kinds.cuda.error}`
  if (kinds.cuda.error || missing.length === 0) return ''
  const sources = missing.map((name) => libraryFacts(name)?.[2] ?? name)
  return `Install ${sources.join(', ')} with pip, or set HEDDLE_CUDA_PATH to the folder that has ${missing.join(', ')}.`
}

function print({ node, platform, addon, kinds, advice }: Diagnosis): void {
  console.log(`heddle on Node ${node}, ${platform}`)
  if (addon || !kinds) {
    console.log(`addon   missing: ${addon}`)
    return
  }
  for (const kind of DEVICE_KINDS) {
    const { devices, error, library, libraries } = kinds[kind]
    for (const { name, instructionSet, threads, memoryBytes } of devices) {
      const gigabytes = (memoryBytes / 2 ** 30).toFixed(1)
      console.log(
        `${name.padEnd(7)} ready: ${instructionSet}, ${threads} thread${threads === 1 ? '' : 's'}, ${gigabytes} GiB`,
      )
    }
    if (error) console.log(`${kind.padEnd(7)} not usable: ${error}\n        its library: ${library}`)
    for (const { name, found, places } of libraries) {
      const purpose = libraryFacts(name)?.[1] ?? 'other work'
      if (found) console.log(`        ${name} (${purpose}): ${found}`)
      else console.log(`        ${name} (${purpose}): not found; looked in ${places.join(', ')}`)
    }
  }
  if (advice) console.log(`\n${advice}`)
}

const USAGE = `Usage: heddle doctor [--json] [--require cpu|cuda]

Says which devices can be used, and for those that can not, why. Exit code 0 where the CPU can be used and what
--require names can be too, else 1.`

/** Runs the command and gives its exit code. */
export function doctor(argv: readonly string[]): number {
  let values: { json?: boolean; require?: string; help?: boolean }
  try {
    ;({ values } = parseArgs({
      args: [...argv],
      options: { json: { type: 'boolean' }, require: { type: 'string' }, help: { type: 'boolean' } },
    }))
  } catch (error) {
    console.error(`heddle doctor: ${(error as Error).message}\n\n${USAGE}`)
    return 2
  }
  const required = DEVICE_KINDS.find((kind) => kind === values.require)
  if (values.help || (values.require !== undefined && !required)) {
    ;(values.help ? console.log : console.error)(USAGE)
    return values.help ? 0 : 2
  }
  const diagnosis = diagnose(required)
  if (values.json) console.log(JSON.stringify(diagnosis, null, 2))
  else print(diagnosis)
  return diagnosis.usable.includes('cpu') && (!required || diagnosis.usable.includes(required)) ? 0 : 1
}
