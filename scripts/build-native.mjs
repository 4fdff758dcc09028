// Builds the addon and the CPU backend into build/Release, and the native tests into build/Test, unless up to date.
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { program, root, wheels } from './wheels.mjs'

const out = join(root, '.cmake')
const release = join(root, 'build', 'Release')
const test = join(root, 'build', 'Test')
const emulation = join(root, 'build', 'Emulation')
// Only for its tests: the CUDA backend on a runtime that runs kernels on the host.
const emulated = process.argv.includes('--emulation')
const addon = join(release, 'heddle.node')
const stamp = join(emulated ? emulation : release, 'sources.sha256')

/** Every file the result depends on, in a stable order. */
function sources() {
  const files = readdirSync(join(root, 'native'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
  return [
    ...files.sort(),
    join(root, 'CMakeLists.txt'),
    join(root, 'scripts/build-native.mjs'),
    join(root, 'scripts/wheels.mjs'),
  ]
}

function fingerprint() {
  const hash = createHash('sha256').update(root)
  for (const file of sources()) hash.update(file).update('\0').update(readFileSync(file)).update('\0')
  return hash.digest('hex')
}

/** The CMake package of a system's oneDNN v3 on OpenMP, the runtime our kernels share with it. */
function systemOneDnn() {
  const prefixes = ['/usr/local', '/usr', ...(process.env.CMAKE_PREFIX_PATH ?? '').split(delimiter).filter(Boolean)]
  const folders = prefixes.flatMap((prefix) => {
    const library = join(prefix, 'lib')
    const architectures = existsSync(library) ? readdirSync(library).filter((name) => name.endsWith('-linux-gnu')) : []
    return [library, join(prefix, 'lib64'), ...architectures.map((name) => join(library, name))].map((path) =>
      join(path, 'cmake/dnnl'),
    )
  })
  return folders.find((folder) => {
    const version = join(folder, 'dnnl-config-version.cmake')
    const config = join(folder, 'dnnl-config.cmake')
    return (
      existsSync(version) &&
      /PACKAGE_VERSION "3\./.test(readFileSync(version, 'utf8')) &&
      /CPU_RUNTIME "OMP"/.test(readFileSync(config, 'utf8'))
    )
  })
}

const found = (command) => {
  try {
    execFileSync(command, ['--version'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

function build() {
  const oneDnn =
    systemOneDnn() ?? join(wheels('onednn', ['onednn-cpu-gomp', 'onednn-devel-cpu-gomp']), 'lib/cmake/dnnl')
  const cmake = found('cmake') ? 'cmake' : program(wheels('cmake', ['cmake']), 'cmake/data/bin/cmake')
  const options = ['build', '--out', out, '--config', 'Release', `--CDdnnl_DIR=${oneDnn}`]
  if (cmake !== 'cmake') options.push('--cmake-path', cmake)
  // cmake-js looks for a generator's program on the path.
  if (!found('ninja') && !found('make')) {
    process.env.PATH = [dirname(program(wheels('ninja', ['ninja']), 'bin/ninja')), process.env.PATH].join(delimiter)
  }
  // The cache remembers absolute paths: a moved checkout, or another oneDNN, starts afresh.
  const cache = join(out, 'CMakeCache.txt')
  const cached = existsSync(cache) ? readFileSync(cache, 'utf8') : ''
  if (
    cached &&
    !(cached.includes(`CMAKE_HOME_DIRECTORY:INTERNAL=${root.replace(/\/$/, '')}\n`) && cached.includes(oneDnn))
  )
    rmSync(out, { recursive: true })

  const run = (command, args) => execFileSync(command, args, { cwd: root, stdio: 'inherit' })
  const jobs = String(Math.min(availableParallelism(), 8))
  run(process.execPath, [join(root, 'node_modules/cmake-js/bin/cmake-js'), ...options, '--parallel', jobs])
  run(cmake, ['--build', out, '--target', 'native-tests', '--parallel', jobs])
  for (const folder of [release, test]) {
    mkdirSync(folder, { recursive: true })
    // Only what an earlier build installed: make keeps its own files there when node-gyp started this.
    for (const name of readdirSync(folder).filter((name) => /\.(node|so[.0-9]*|sha256)$|^test-/.test(name)))
      rmSync(join(folder, name))
  }
  if (emulated) {
    run(cmake, ['--build', out, '--target', 'emulation', '--parallel', jobs])
    mkdirSync(emulation, { recursive: true })
    run(cmake, ['--install', out, '--prefix', emulation, '--component', 'emulation'])
  }
  run(cmake, ['--install', out, '--prefix', release])
  run(cmake, ['--install', out, '--prefix', test, '--component', 'test'])
}

const wanted = fingerprint()
if (
  process.argv.includes('--force') ||
  !existsSync(addon) ||
  !existsSync(stamp) ||
  readFileSync(stamp, 'utf8') !== wanted
) {
  try {
    build()
    writeFileSync(stamp, wanted)
  } catch (error) {
    console.error(`The native addon could not be built: ${error.message}`)
    process.exit(1)
  }
}
