// One program, bundled with esbuild and with webpack: heddle left outside, and heddle inside with the addon outside.
import { spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { project } from './install.js'
import { tools } from './tools.js'

export interface Bundle {
  readonly name: string
  readonly file: string
  readonly make: () => void
}

const bundleFolder = join(project, 'bundles')

/** Starts one of the tools' modules, as they are no dependencies of heddle. */
function start(script: string): void {
  mkdirSync(bundleFolder, { recursive: true })
  const file = join(tools, 'bundle.mjs')
  writeFileSync(file, script)
  const { status, stdout, stderr } = spawnSync(process.execPath, [file], { cwd: project, encoding: 'utf8' })
  if (status !== 0) throw new Error((stderr + stdout).slice(0, 2000))
}

function esbuild(name: string, file: string, options: object): Bundle {
  const outfile = join(bundleFolder, file)
  const all = { entryPoints: [join(project, 'esm.mjs')], bundle: true, platform: 'node', outfile, ...options }
  return {
    name,
    file: outfile,
    make: () => start(`import { build } from 'esbuild'\nawait build(${JSON.stringify(all)})\n`),
  }
}

function webpack(name: string, file: string, externals: object): Bundle {
  const options = {
    mode: 'production',
    optimization: { minimize: false },
    target: 'node20.19',
    context: project,
    entry: join(project, 'esm.mjs'),
    output: { path: bundleFolder, filename: file, module: true, chunkFormat: 'module', library: { type: 'module' } },
    experiments: { outputModule: true },
    externalsType: 'module',
    externals,
    // Where a module lies is asked for at run time: the bundle's own place, not that of the sources.
    module: { parser: { javascript: { importMeta: false } } },
  }
  return {
    name,
    file: join(bundleFolder, file),
    make: () =>
      start(
        `import webpack from 'webpack'
webpack(${JSON.stringify(options)}, (error, stats) => {
  if (error || stats.hasErrors()) { console.error(error ?? stats.toString()); process.exitCode = 1 }
})\n`,
      ),
  }
}

const rooms = ['heddle', 'heddle/nn', 'heddle/optim', 'heddle/functional']
const outside = Object.fromEntries(rooms.map((room) => [room, `module ${room}`]))

export const BUNDLES: readonly Bundle[] = [
  esbuild('esbuild, heddle outside', 'esbuild-outside.mjs', { format: 'esm', packages: 'external' }),
  esbuild('esbuild, heddle inside, the addon outside', 'esbuild-inside.mjs', { format: 'esm' }),
  esbuild('esbuild to CommonJS, heddle inside, the addon outside', 'esbuild-inside.cjs', {
    entryPoints: [join(project, 'cjs.cjs')],
    format: 'cjs',
    logLevel: 'error',
  }),
  webpack('webpack, heddle outside', 'webpack-outside.mjs', outside),
  webpack('webpack, heddle inside, the addon outside', 'webpack-inside.mjs', {}),
]
