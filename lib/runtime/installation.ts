// Where heddle is installed, and the package of the CUDA backend beside it.
import { readFileSync } from 'node:fs'
// By its default export, as bundlers look for the name `createRequire` and replace what it makes.
import nodeModule from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

interface Manifest {
  readonly name: string
  readonly version: string
}

const readManifest = (file: string): Manifest | undefined => {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Manifest
  } catch {
    return undefined
  }
}

/** This file, or the program's where a bundler has left no address. */
const here = (): string => (import.meta.url ? fileURLToPath(import.meta.url) : (process.argv[1] ?? join('.', 'heddle')))

/**
 * heddle's folder: the sources, `dist/` and a package's files lie at different depths below it. From inside somebody's
 * bundle it is the installed package, as the addon is not part of a bundle.
 */
export function packageFolder(): string {
  for (let folder = dirname(here()); ; folder = dirname(folder)) {
    if (readManifest(join(folder, 'package.json'))?.name === 'heddle') return folder
    if (dirname(folder) === folder) break
  }
  try {
    return dirname(nodeModule.createRequire(here()).resolve('heddle/package.json'))
  } catch (cause) {
    throw new Error(
      `heddle: its package is found neither around ${here()} nor from there in node_modules: where heddle's JavaScript ` +
        'is part of a bundle, the package heddle must be installed beside it, as it has the native addon',
      { cause },
    )
  }
}

/** Resolves and loads what heddle in `folder` depends on. */
export const requireFrom = (folder: string): NodeJS.Require => nodeModule.createRequire(join(folder, 'package.json'))

/** The version of the heddle that is installed. */
export const version = (): string => readManifest(join(packageFolder(), 'package.json'))?.version ?? 'unknown'

/** The CUDA backend's library in the package `heddle-cuda`, or why that package can not be used. */
export interface CudaPackage {
  /** '' where it is not to be used. */
  readonly library: string
  readonly error: string
}

/** What there is of `heddle-cuda` for the heddle in `folder`; undefined where it is not installed. */
export function cudaPackage(folder: string): CudaPackage | undefined {
  let file: string
  try {
    file = requireFrom(folder).resolve('heddle-cuda/package.json')
  } catch {
    return undefined
  }
  const [wanted, found] = [readManifest(join(folder, 'package.json'))?.version, readManifest(file)?.version]
  if (found !== wanted) {
    const error =
      `heddle-cuda ${found} (${dirname(file)}) is not of heddle ${wanted}: ` +
      `npm install heddle@${wanted} heddle-cuda@${wanted}`
    return { library: '', error }
  }
  const library = join(dirname(file), 'prebuilds', `${process.platform}-${process.arch}`, 'libheddle-cuda.so')
  return { library, error: '' }
}
