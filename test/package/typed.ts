// The packed types: checked by tsc as users set it up, and by the tools that know what goes wrong with packages.
import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from '../runtime/addon.js'
import { mainPackage, programs } from './folders.js'
import { addTypes, project } from './install.js'
import type { Results } from './results.js'
import { tools } from './tools.js'

export const RESOLUTIONS = ['node16', 'bundler'] as const

/** Where the program compiled with that resolution lies. */
export const compiledProgram = (resolution: (typeof RESOLUTIONS)[number]): string =>
  join(project, 'typescript', resolution, 'typed.js')

function compile(resolution: (typeof RESOLUTIONS)[number]): void {
  addTypes(project)
  const folder = join(project, 'typescript', resolution)
  mkdirSync(folder, { recursive: true })
  copyFileSync(join(programs, 'typed.ts'), join(folder, 'typed.ts'))
  const compilerOptions = {
    target: 'es2022',
    lib: ['es2023', 'esnext.disposable'],
    module: resolution === 'bundler' ? 'esnext' : resolution,
    moduleResolution: resolution,
    types: ['node'],
    strict: true,
    exactOptionalPropertyTypes: true,
    // Our declarations are checked too, as far as they are reached.
    skipLibCheck: false,
  }
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['typed.ts'] }))
  const tsc = join(root, 'node_modules/typescript/bin/tsc')
  const { status, stdout } = spawnSync(process.execPath, [tsc, '-p', folder], { encoding: 'utf8' })
  if (status !== 0) throw new Error(stdout.slice(0, 2000))
}

function tool(script: string, argv: readonly string[], cwd = project): string {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(tools, 'node_modules', script), ...argv], {
    cwd,
    encoding: 'utf8',
    env: { ...process.env, NO_COLOR: '1', FORCE_COLOR: '0' },
  })
  if (status !== 0) throw new Error((stdout + stderr).slice(0, 3000))
  return stdout
}

export async function checkTypes(results: Results): Promise<void> {
  for (const resolution of RESOLUTIONS)
    await results.check('types', `tsc, moduleResolution ${resolution}`, () => {
      compile(resolution)
      return undefined
    })
  await results.check('types', 'publint', () => {
    const said = tool('publint/src/cli.js', [mainPackage().file, '--strict'])
    if (!/all good/i.test(said)) throw new Error(said)
    return undefined
  })
  // An ES module that CommonJS requires: attw's profile for packages that are ES modules alone.
  await results.check('types', 'attw (esm-only)', () => {
    tool('@arethetypeswrong/cli/dist/index.js', [mainPackage().file, '--profile', 'esm-only', '--no-emoji'])
    return undefined
  })
}
