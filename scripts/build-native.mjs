// Builds the addon and the CPU backend into build/Release, and the native tests into build/Test, unless up to date.
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { delimiter, join } from 'node:path'
import { cmake, discardStale, provideBuildProgram } from './cmake.mjs'
import { filesBelow, fingerprint } from './fingerprint.mjs'
import { floorOptions } from './glibc-floor.mjs'
import { root, wheels } from './wheels.mjs'

const release = join(root, 'build', 'Release')
const test = join(root, 'build', 'Test')
const emulation = join(root, 'build', 'Emulation')
// Only for its tests: the CUDA backend on a runtime that runs kernels on the host.
const emulated = process.argv.includes('--emulation')
// Only the CUDA backend's kernel tests on that runtime, with AddressSanitizer, in a folder of their own.
const sanitized = process.argv.includes('--sanitized')
const out = join(root, sanitized ? '.cmake-sanitized' : '.cmake')
const addon = join(release, 'heddle.node')
const stamp = join(emulated ? emulation : release, 'sources.sha256')

/** What the result depends on; the CUDA backend is scripts/build-cuda.mjs's, though its kernels are tested here. */
const sources = () => [
  ...filesBelow(join(root, 'native')),
  join(root, 'CMakeLists.txt'),
  join(root, 'scripts/build-native.mjs'),
  join(root, 'scripts/cmake.mjs'),
  join(root, 'scripts/glibc-floor.mjs'),
  join(root, 'scripts/wheels.mjs'),
]

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

function build() {
  const oneDnn =
    systemOneDnn() ?? join(wheels('onednn', ['onednn-cpu-gomp', 'onednn-devel-cpu-gomp']), 'lib/cmake/dnnl')
  const cmakeCommand = cmake()
  const options = ['build', '--out', out, '--config', 'Release', `--CDdnnl_DIR=${oneDnn}`]
  options.push(...floorOptions('--CD'))
  if (cmakeCommand !== 'cmake') options.push('--cmake-path', cmakeCommand)
  if (sanitized) options.push('--CDHEDDLE_EMULATION_SANITIZE=ON', '--target', 'emulation')
  provideBuildProgram()
  discardStale(out, [oneDnn])

  const run = (command, args) => execFileSync(command, args, { cwd: root, stdio: 'inherit' })
  const jobs = String(Math.min(availableParallelism(), 8))
  run(process.execPath, [join(root, 'node_modules/cmake-js/bin/cmake-js'), ...options, '--parallel', jobs])
  if (sanitized) return
  run(cmakeCommand, ['--build', out, '--target', 'native-tests', '--parallel', jobs])
  for (const folder of [release, test]) {
    mkdirSync(folder, { recursive: true })
    // Only what an earlier build installed: make keeps its own files there when node-gyp started this, and the CUDA
    // backend is built by itself.
    const installed = /^(?!libheddle-cuda\.).*\.(node|so[.0-9]*|sha256)$|^test-/
    for (const name of readdirSync(folder).filter((name) => installed.test(name))) rmSync(join(folder, name))
  }
  if (emulated) {
    run(cmakeCommand, ['--build', out, '--target', 'emulation', '--parallel', jobs])
    mkdirSync(emulation, { recursive: true })
    run(cmakeCommand, ['--install', out, '--prefix', emulation, '--component', 'emulation'])
  }
  run(cmakeCommand, ['--install', out, '--prefix', release])
  run(cmakeCommand, ['--install', out, '--prefix', test, '--component', 'test'])
}

const wanted = fingerprint(sources(), [root])
if (sanitized) build()
else if (
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
