// heddle doctor: what was looked for, where, what is wrong, and what to do.
import { release, type } from 'node:os'
import { parseArgs } from 'node:util'
import { DEVICE_KINDS, type DeviceKind } from '../../runtime/binding.js'
import { version } from '../../runtime/installation.js'
import { caches } from './caches.js'
import type { Diagnosis, Probe } from './diagnosis.js'
import { driver, libc, memory, processor, threads } from './machine.js'
import { print } from './print.js'
import { probe } from './probe.js'
import { problemsOf } from './problems.js'

/** Looks at everything. `required` is what the caller can not do without. */
export async function diagnose(required?: DeviceKind): Promise<Diagnosis> {
  const [cpu, cuda] = await Promise.all([probe('cpu'), probe('cuda')])
  const device = 'addon' in cpu ? undefined : cpu.devices[0]
  const folders = caches()
  const found = driver()
  const machine = {
    heddle: version(),
    node: process.versions.node,
    platform: `${process.platform}-${process.arch}`,
    libc: libc(),
    kernel: `${type()} ${release()}`,
    processor: processor(device?.instructionSet ?? ''),
    threads: threads(device?.threads ?? 0),
    memory: memory(),
    driver: found,
    caches: folders,
  }
  if ('addon' in cpu || 'addon' in cuda) {
    const { addon } = ('addon' in cpu ? cpu : cuda) as { addon: string }
    const problems = [{ problem: 'there is no native addon', advice: addon, fatal: true }]
    return { ...machine, addon, kinds: undefined, missing: [], usable: [], problems, advice: addon }
  }
  const kinds: Record<DeviceKind, Probe> = { cpu, cuda }
  const missing = cuda.libraries.filter(({ found }) => !found).map(({ name }) => name)
  const works = (kind: DeviceKind): boolean =>
    !kinds[kind].error && kinds[kind].checks.length > 0 && kinds[kind].checks.every(({ passed }) => passed)
  const usable = DEVICE_KINDS.filter(works)
  const problems = problemsOf({ kinds, missing, required, driver: found, threads: machine.threads, caches: folders })
  return { ...machine, addon: '', kinds, missing, usable, problems, advice: problems[0]?.advice ?? '' }
}

const USAGE = `Usage: heddle doctor [--json] [--require cpu|cuda]

Says what this machine has for heddle, which devices can be used, what is wrong and what to do about it. Devices are
opened in processes of their own, so that a broken driver ends nothing else. Exit code 0 where the CPU can be used and
what --require names can be too, else 1.`

/** Runs the command and gives its exit code. */
export async function doctor(argv: readonly string[]): Promise<number> {
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
  const diagnosis = await diagnose(required)
  if (values.json) console.log(JSON.stringify(diagnosis, null, 2))
  else print(diagnosis)
  return diagnosis.usable.includes('cpu') && (!required || diagnosis.usable.includes(required)) ? 0 : 1
}
