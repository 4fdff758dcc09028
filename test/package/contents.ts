// What is in the tarball: sizes, no script, no dangling source maps, an export for every room.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from '../runtime/addon.js'
import { packages } from './folders.js'
import { project } from './install.js'
import { figures, node } from './isolated.js'
import type { Results } from './results.js'

const installed = join(project, 'node_modules/heddle')
const MOST = { heddle: 40e6, 'heddle-cuda': 100e6 } as const

interface Manifest {
  readonly scripts?: object
  readonly devDependencies?: object
  readonly gypfile?: boolean
  readonly exports: Readonly<Record<string, string | { readonly types: string; readonly default: string }>>
}

const manifest = (): Manifest => JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8')) as Manifest

/** Each folder of lib/ with an index, and each room that is a file beside its folder. */
function roomsOfSources(): string[] {
  const entries = readdirSync(join(root, 'lib'), { withFileTypes: true })
  const folders = entries.filter((entry) => entry.isDirectory()).map(({ name }) => name)
  const withIndex = folders.filter((name) => existsSync(join(root, 'lib', name, 'index.ts')))
  const faces = readFileSync(join(root, 'lib/index.ts'), 'utf8').matchAll(/export \* as \w+ from '\.\/(\w+)\.js'/g)
  return [...withIndex, ...[...faces].map(([, name = '']) => name)]
}

function checkExports(): object {
  const { exports } = manifest()
  const missing = roomsOfSources().filter((room) => !exports[`./${room}`])
  if (missing.length > 0) throw new Error(`no export of ${missing.join(', ')}`)
  for (const [subpath, target] of Object.entries(exports))
    for (const file of typeof target === 'string' ? [target] : Object.values(target))
      if (!existsSync(join(installed, file))) throw new Error(`${subpath} leads to ${file}, which is not packed`)
  return { rooms: Object.keys(exports).length - 1 }
}

function checkMaps(): object {
  const lib = join(installed, 'lib')
  const scripts = readdirSync(lib).filter((name) => name.endsWith('.js'))
  for (const script of scripts) {
    const url = /\/\/# sourceMappingURL=(\S+)\s*$/.exec(readFileSync(join(lib, script), 'utf8'))?.[1]
    if (!url) throw new Error(`${script} has no source map`)
    const map = JSON.parse(readFileSync(join(lib, url), 'utf8')) as { sources: string[]; sourcesContent?: unknown[] }
    if (map.sources.some((_, i) => typeof map.sourcesContent?.[i] !== 'string'))
      throw new Error(`${url} names sources that are not in it`)
  }
  for (const name of readdirSync(join(installed, 'types'), { recursive: true, encoding: 'utf8' }))
    if (name.endsWith('.d.ts') && readFileSync(join(installed, 'types', name), 'utf8').includes('sourceMappingURL'))
      throw new Error(`${name} names a map that is not packed`)
  return { scripts: scripts.length }
}

export async function checkContents(results: Results): Promise<void> {
  for (const { name, packed, unpacked } of packages())
    await results.check('package', `${name}: size`, () => {
      const most = MOST[name as keyof typeof MOST]
      if (packed > most) throw new Error(`${packed / 1e6} MB packed, ${most / 1e6} at most`)
      return { packedMB: Number((packed / 1e6).toFixed(2)), installedMB: Number((unpacked / 1e6).toFixed(1)) }
    })
  await results.check('package', 'no script, no development', () => {
    const { scripts, devDependencies, gypfile } = manifest()
    if (scripts || devDependencies || gypfile !== undefined) throw new Error('the manifest has them')
    if (existsSync(join(installed, 'binding.gyp'))) throw new Error('there is a binding.gyp')
    return undefined
  })
  await results.check('package', 'an export for every room', checkExports)
  await results.check('package', 'source maps with their sources', checkMaps)
  await results.check('package', 'licences of what is bundled', () => {
    const there = readdirSync(join(installed, 'licenses'))
    for (const text of [
      'GPL-3.0.txt',
      'GCC-RUNTIME-LIBRARY-EXCEPTION.txt',
      'oneDNN-LICENSE.txt',
      'oneDNN-THIRD-PARTY-PROGRAMS.txt',
    ])
      if (!there.includes(text)) throw new Error(`${text} is missing`)
    return undefined
  })
}

/** Milliseconds until something is reported as slow; nothing fails for it. */
const SLOW = 150

/** The medians over `times` processes of what they print, after one that warms the page cache. */
async function medians(script: string, times: number): Promise<Record<string, number>> {
  const runs: Record<string, unknown>[] = []
  for (let i = 0; i <= times; i++) runs.push(await figures([node, join(project, script)], { cwd: project }))
  const median = (key: string): number => {
    const sorted = runs
      .slice(1)
      .map((run) => Number(run[key]))
      .sort((a, b) => a - b)
    return Math.round(sorted[Math.floor(sorted.length / 2)] ?? Number.NaN)
  }
  return Object.fromEntries(Object.keys(runs[0] ?? {}).map((key) => [key, median(key)]))
}

export async function measureStart(results: Results, times: number): Promise<void> {
  for (const [name, script] of [
    ['import to the first result, ms', 'coldStart.mjs'],
    ['require to the first result, ms', 'require.cjs'],
  ] as const)
    await results.check('start', name, async () => {
      const found = await medians(script, times)
      if ((found['all'] ?? 0) > SLOW) console.error(`          slow: ${found['all']} ms are above ${SLOW} ms`)
      return { ...found, limit: SLOW, within: (found['all'] ?? 0) <= SLOW }
    })
}

export async function checkCommand(results: Results): Promise<void> {
  await results.check('package', 'the command heddle', async () => {
    const command = join(project, 'node_modules/.bin/heddle')
    const { platform } = (await figures(
      [
        node,
        '-e',
        `const { spawnSync } = require('node:child_process'); const { status, stdout, stderr } = spawnSync(${JSON.stringify(command)}, ['doctor', '--json'], { encoding: 'utf8' }); if (status !== 0) throw new Error(stderr); console.log(JSON.stringify(JSON.parse(stdout)))`,
      ],
      { cwd: project },
    )) as { platform?: string }
    return { platform }
  })
}
