// Makes gpu-bundle/: all that gpu/run.sh needs on a machine with a GPU but without Node.js or a network, below 60 MiB.
// The slow half, Node.js, vitest and oneDNN, is packed once and kept in .deps/.
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { neededLibraries, SYSTEM_LIBRARIES } from './elf.mjs'
import { deps, root } from './wheels.mjs'

const LIMIT = 60 * 2 ** 20
const bundle = join(root, 'gpu-bundle')
const release = join(root, 'build/Release')
const BACKENDS = ['libdnnl.so.3', 'libgomp.so.1']
const OURS = ['heddle.node', 'libheddle-cpu.so', 'libheddle-cuda.so']
const SOURCES = ['package.json', 'tsconfig.json', 'vitest.config.ts', 'CMakeLists.txt', 'native/schema.gen.h']
const FOLDERS = ['dist', 'lib', 'test']

/** The installed packages that the named ones need, types left out, as folders below the root. */
function packages(names) {
  const found = new Set()
  const visit = (name, from) => {
    let folder = from
    while (!existsSync(join(root, folder, 'node_modules', name))) {
      if (folder === '') return false
      folder = dirname(folder) === '.' ? '' : dirname(folder)
    }
    const path = join(folder, 'node_modules', name)
    if (found.has(path)) return true
    found.add(path)
    const manifest = JSON.parse(readFileSync(join(root, path, 'package.json'), 'utf8'))
    for (const need of Object.keys({ ...manifest.dependencies, ...manifest.optionalDependencies })) {
      const optional = need in (manifest.optionalDependencies ?? {})
      if (!need.startsWith('@types/') && !visit(need, path) && !optional)
        throw new Error(`${name} needs ${need}, which is not installed: run npm ci`)
    }
    return true
  }
  for (const name of names) if (!visit(name, '')) throw new Error(`${name} is not installed: run npm ci`)
  return [...found].sort()
}

/** Packs what `fill` puts into an empty folder. */
function pack(archive, level, fill) {
  const work = mkdtempSync(join(deps, 'packing-'))
  try {
    const folder = join(work, 'contents')
    mkdirSync(folder)
    fill(folder)
    const packed = join(work, 'packed.tar.xz')
    execFileSync('tar', ['-C', folder, '--owner=0', '--group=0', '-cJf', packed, '.'], {
      stdio: 'inherit',
      env: { ...process.env, XZ_OPT: `-${level} -T0` },
    })
    renameSync(packed, archive)
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

function copy(paths, folder, filter = () => true) {
  for (const path of paths) {
    if (!existsSync(join(root, path))) throw new Error(`${path} is missing: run npm run build and npm run build:cuda`)
    cpSync(join(root, path), join(folder, path), { recursive: true, dereference: true, filter })
  }
}

const inRelease = (names) => names.map((name) => relative(root, join(release, name)))

/** Node.js itself, vitest, and the libraries the CPU backend runs on. */
function packBase() {
  const foreign = neededLibraries(process.execPath).filter((name) => !SYSTEM_LIBRARIES.test(name))
  if (foreign.length > 0)
    throw new Error(`${process.execPath} needs ${foreign.join(', ')}: start this with a Node.js that stands alone`)
  const folders = packages(['vitest', 'node-gyp-build'])
  const key = createHash('sha256').update(process.version)
  for (const folder of folders) key.update(folder).update(readFileSync(join(root, folder, 'package.json')))
  for (const path of inRelease(BACKENDS)) key.update(readFileSync(join(root, path)))
  const archive = join(deps, `gpu-base-${key.digest('hex').slice(0, 16)}.tar.xz`)
  if (!existsSync(archive)) {
    console.log('packing Node.js, vitest and oneDNN: this takes a minute or two, once')
    pack(archive, 6, (folder) => {
      const skip = /\.(map|md|d\.[cm]?ts)$/
      // A package's own node_modules holds what is listed by itself.
      const filter = (path) => !skip.test(path) && !/node_modules\/.*\/node_modules$/.test(relative(root, path))
      for (const path of folders) copy([path], folder, filter)
      copy(inRelease(BACKENDS), folder)
      mkdirSync(join(folder, 'bin'))
      execFileSync('strip', ['-o', join(folder, 'bin/node'), process.execPath])
    })
  }
  return archive
}

function bytesBelow(folder) {
  return readdirSync(folder).reduce((sum, name) => sum + statSync(join(folder, name)).size, 0)
}

try {
  mkdirSync(deps, { recursive: true })
  rmSync(bundle, { recursive: true, force: true })
  mkdirSync(bundle)
  copyFileSync(packBase(), join(bundle, 'base.tar.xz'))
  pack(join(bundle, 'heddle.tar.xz'), 3, (folder) => {
    copy([...inRelease(OURS), ...SOURCES], folder)
    copy(FOLDERS, folder, (path) => !/\.(d\.ts|map)$/.test(path))
  })
  copyFileSync(join(root, 'gpu/run.sh'), join(bundle, 'run.sh'))
  const bytes = bytesBelow(bundle)
  for (const name of readdirSync(bundle))
    console.log(`${name}: ${(statSync(join(bundle, name)).size / 2 ** 20).toFixed(1)} MiB`)
  if (bytes > LIMIT) throw new Error(`${(bytes / 2 ** 20).toFixed(1)} MiB are more than 60`)
} catch (error) {
  console.error(`The bundle could not be made: ${error.message}`)
  process.exitCode = 1
}
