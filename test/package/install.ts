// heddle's tarball installed as a user's npm does it, from files alone: no network, no scripts.
import { cpSync, existsSync, mkdirSync, readdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from '../runtime/addon.js'
import { emptyFolder, mainPackage, programs } from './folders.js'
import { node, npmCommand, run } from './isolated.js'
import { dependencyTarballs } from './tools.js'

/** A folder with heddle in it and the programs beside it; filled once. */
export const project = emptyFolder('project')

export async function install(): Promise<object> {
  const dependencies = { heddle: mainPackage().file, ...dependencyTarballs() }
  const specifiers = Object.fromEntries(Object.entries(dependencies).map(([name, file]) => [name, `file:${file}`]))
  const manifest = { name: 'project', private: true, type: 'module', dependencies: specifiers }
  writeFileSync(join(project, 'package.json'), JSON.stringify(manifest, null, 2))
  const start = performance.now()
  const line = [node, npmCommand(), 'install', '--offline', '--ignore-scripts', '--no-audit', '--no-fund']
  const { status, stdout, stderr } = await run([...line, '--cache', emptyFolder('npm-cache')], { cwd: project })
  if (status !== 0) throw new Error(`npm install failed: ${stderr || stdout}`)
  const seconds = (performance.now() - start) / 1000
  if (!existsSync(join(project, 'node_modules/heddle/package.json'))) throw new Error('heddle is not installed')
  cpSync(programs, project, { recursive: true })
  return { seconds: Number(seconds.toFixed(1)), packages: readdirSync(join(project, 'node_modules')).length }
}

/** A copy of the project whose parts may be changed: heddle itself copied, its dependencies linked. */
export function copyOfProject(name: string): string {
  const copy = emptyFolder(name)
  mkdirSync(join(copy, 'node_modules'))
  for (const entry of readdirSync(join(project, 'node_modules'))) {
    const from = join(project, 'node_modules', entry)
    if (entry === 'heddle') cpSync(from, join(copy, 'node_modules', entry), { recursive: true })
    else if (statSync(from).isDirectory()) symlinkSync(from, join(copy, 'node_modules', entry))
  }
  cpSync(programs, copy, { recursive: true })
  writeFileSync(join(copy, 'package.json'), '{ "type": "module", "private": true }')
  return copy
}

/** The repository's own packages that a project of TypeScript has, by link: what a user installs for development. */
export function addTypes(folder: string): void {
  mkdirSync(join(folder, 'node_modules/@types'), { recursive: true })
  const target = join(folder, 'node_modules/@types/node')
  if (!existsSync(target)) symlinkSync(join(root, 'node_modules/@types/node'), target)
}
