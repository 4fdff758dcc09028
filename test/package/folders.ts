// Where the test of the package keeps what it fetches, and the empty folders it works in.
import { mkdirSync, mkdtempSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { root } from '../runtime/addon.js'

/** Ignored by git: tools and other runtimes, fetched once. */
export const kept = join(root, '.package-test')
/** Removed at the end. */
export const work = mkdtempSync(join(tmpdir(), 'heddle-package-'))
export const programs = join(root, 'test/package/programs')

export function emptyFolder(name: string): string {
  const folder = join(work, name)
  mkdirSync(folder, { recursive: true })
  return folder
}

export interface Packed {
  readonly name: string
  readonly file: string
  /** Bytes of the tarball, and of what is in it. */
  readonly packed: number
  readonly unpacked: number
}

/** What `npm run package` has packed. */
export const packages = (): Packed[] =>
  JSON.parse(readFileSync(join(root, '.package/packages.json'), 'utf8')) as Packed[]

export function mainPackage(): Packed {
  const found = packages().find(({ name }) => name === 'heddle')
  if (!found) throw new Error('there is no package to test: run npm run package')
  return found
}
