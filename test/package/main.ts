// `npm run test:package -- [--quick] [--workers N] [--only PATTERN] [--json FILE]`: the packed package, where people run it.
import { rmSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { checkCommand, checkContents, measureStart } from './contents.js'
import { checkCudaPackage } from './cudaPackage.js'
import { packages, work } from './folders.js'
import { install } from './install.js'
import { checkIsolation, isolation } from './isolated.js'
import { checkMachines } from './machines.js'
import { checkQuota } from './quota.js'
import { checkRegistry } from './registry.js'
import { Results } from './results.js'
import { walkTable } from './table.js'
import { checkTerminated } from './terminated.js'
import { installTools, runtime, SOURCES } from './tools.js'
import { checkTypes } from './typed.js'

const { values } = parseArgs({
  options: {
    // What CI has time for: the oldest Node and a newer one.
    quick: { type: 'boolean', default: false },
    workers: { type: 'string' },
    only: { type: 'string' },
    json: { type: 'string' },
  },
})
const workers = Number(values.workers ?? (values.quick ? 40 : 1000))
if (!Number.isSafeInteger(workers) || workers < 1) throw new Error('--workers takes a number from 1 up')
const results = new Results(values.only ? new RegExp(values.only) : undefined)

try {
  installTools()
  const names = values.quick ? ['Node 20', 'Node 24'] : Object.keys(SOURCES)
  const runtimes = names.map(runtime)
  // Everything else is about what this installs.
  const installed = await install()
  await results.check('isolation', 'no network, no compiler, no Python', checkIsolation)
  await results.check('package', 'npm install, offline and without scripts', () => installed)
  await checkContents(results)
  await checkCommand(results)
  await measureStart(results, values.quick ? 5 : 15)
  await checkTypes(results)
  await walkTable(results, runtimes)
  await checkMachines(results)
  await checkCudaPackage(results)
  await checkQuota(results)
  await checkRegistry(results)
  await checkTerminated(results, workers)
} finally {
  rmSync(work, { recursive: true, force: true })
}

if (values.json)
  results.write(values.json, { isolation, node: process.versions.node, quick: values.quick, packages: packages() })
const [failed, stated, skipped] = [results.count('failed'), results.count('stated'), results.count('skipped')]
if (stated > 0) console.log(`${stated} known not to work, and stated`)
if (skipped > 0) console.log(`${skipped} skipped`)
console.log(`${results.count('passed')} passed, ${failed} failed`)
process.exitCode = failed === 0 ? 0 : 1
