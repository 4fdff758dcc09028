// A diagnosis in words.
import { DEVICE_KINDS } from '../../runtime/binding.js'
import { formatBytes } from '../../schema/bytes.js'
import type { Diagnosis } from './diagnosis.js'
import { libraryFacts } from './problems.js'

const line = (name: string, text: string): void => console.log(`${name.padEnd(9)} ${text}`)
const count = (number: number, what: string): string => `${number} ${what}${number === 1 ? '' : 's'}`

function printMachine({ libc, kernel, processor, threads, memory }: Diagnosis): void {
  const { bf16, f16, int8 } = processor.paths
  line('system', [kernel, libc].filter(Boolean).join(', '))
  line('processor', `${processor.model}${processor.instructionSet ? `, ${processor.instructionSet}` : ''}`)
  line('', `products in bf16: ${bf16}; f16: ${f16}; int8: ${int8}`)
  const limits = [
    count(threads.processors, 'processor'),
    threads.quota ? `${threads.quota.cpus} allowed by ${threads.quota.file}` : 'no CPU quota',
    threads.OMP_NUM_THREADS === null ? '' : `OMP_NUM_THREADS=${threads.OMP_NUM_THREADS}`,
  ]
  line('threads', `${threads.used} compute; ${limits.filter(Boolean).join(', ')}`)
  const limit = memory.limit ? `, ${formatBytes(memory.limit.bytes)} allowed by ${memory.limit.file}` : ''
  line('memory', `${formatBytes(memory.availableBytes)} available of ${formatBytes(memory.totalBytes)}${limit}`)
}

function printKinds({ kinds, driver }: Diagnosis): void {
  for (const kind of DEVICE_KINDS) {
    const probe = kinds?.[kind]
    if (!probe) continue
    for (const { name, instructionSet, threads, memoryBytes } of probe.devices) {
      line(name, `ready: ${instructionSet}, ${count(threads, 'thread')}, ${formatBytes(memoryBytes)}`)
      const checks = probe.checks.filter(({ device }) => device === name)
      if (checks.length > 0)
        line('', checks.map(({ name: what, passed }) => `${what} ${passed ? 'right' : 'WRONG'}`).join(', '))
    }
    if (probe.error) line(kind, `not usable: ${probe.error}`)
    if (probe.error && probe.library) line('', `its library: ${probe.library}`)
    for (const { name, found, places } of probe.libraries) {
      const purpose = libraryFacts(name)?.[1] ?? 'other work'
      line('', `${name} (${purpose}): ${found || `not found; looked in ${places.join(', ')}`}`)
    }
  }
  const { library, places, version, deviceFiles } = driver
  line('driver', library ? `NVIDIA's: ${library}` : `NVIDIA's: libcuda.so.1 not found; looked in ${places.join(', ')}`)
  line('', `kernel module ${version || 'not loaded'}; device files: ${deviceFiles.join(', ') || 'none'}`)
}

/** Prints it all, the problems last. */
export function print(diagnosis: Diagnosis): void {
  console.log(`heddle ${diagnosis.heddle} on Node ${diagnosis.node}, ${diagnosis.platform}`)
  printMachine(diagnosis)
  if (diagnosis.addon) line('addon', `missing: ${diagnosis.addon}`)
  printKinds(diagnosis)
  for (const { purpose, path, from, exists, error } of diagnosis.caches)
    line('cache', `${purpose}: ${path} (${from})${error ? `, ${error}` : exists ? '' : ', made when needed'}`)
  const { problems } = diagnosis
  console.log(problems.length === 0 ? '\nNothing is wrong.' : '')
  for (const { problem, advice } of problems) console.log(`- ${problem}\n  ${advice}`)
}
