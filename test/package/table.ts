// The table: every runtime x how a program uses heddle x where it runs. Each cell is a training whose loss must fall.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { BUNDLES } from './bundles.js'
import { programs } from './folders.js'
import { project } from './install.js'
import { figures } from './isolated.js'
import type { Results } from './results.js'
import type { Runtime } from './tools.js'
import { compiledProgram } from './typed.js'

interface Cell {
  readonly name: string
  readonly file: string
  readonly readOnly?: boolean
  /** Runtimes that can not do this at all. */
  readonly not?: readonly string[]
}

const CELLS: readonly Cell[] = [
  { name: 'ES module', file: 'esm.mjs' },
  { name: 'CommonJS', file: 'cjs.cjs' },
  { name: 'TypeScript, compiled for node16', file: compiledProgram('node16') },
  { name: 'TypeScript, compiled for bundler', file: compiledProgram('bundler') },
  // Node strips types from 22.18 on.
  { name: 'TypeScript, run as it is', file: 'typed.ts', not: ['Node 20'] },
  ...BUNDLES.map(({ name, file }) => ({ name, file })),
  { name: 'worker_threads', file: 'workers.mjs' },
  { name: 'cluster', file: 'cluster.mjs' },
  { name: 'child_process', file: 'child.mjs' },
  { name: 'read-only file system', file: 'esm.mjs', readOnly: true },
  { name: "the loader's worker", file: 'loader.mjs' },
]

/** What is known not to work, with its reason, as the README states it: by runtime and cell. */
const KNOWN: Readonly<Record<string, string>> = {}

export async function walkTable(results: Results, runtimes: readonly Runtime[]): Promise<void> {
  for (const bundle of BUNDLES)
    await results.check('bundles', bundle.name, () => {
      bundle.make()
      if (!existsSync(bundle.file)) throw new Error(`${bundle.file} was not made`)
      return undefined
    })
  for (const runtime of runtimes)
    for (const { name, file, readOnly = false, not = [] } of CELLS) {
      if (not.includes(runtime.name)) continue
      const known = KNOWN[`${runtime.name}: ${name}`]
      const path = file.startsWith(project) || file.startsWith(programs) ? file : join(project, file)
      const check = async () => {
        const found = await figures([...runtime.command, path], { cwd: project, readOnly })
        if (found['runtime'] !== `${runtime.name.split(' ')[0]} ${runtime.version}`)
          throw new Error(`it ran in ${String(found['runtime'])}`)
        return found
      }
      await results.check(runtime.name, name, check, known)
    }
}
