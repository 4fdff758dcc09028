// Builds the CUDA backend into build/Release/libheddle-cuda.so, unless up to date. No GPU is needed.
import { execFileSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { dirname } from 'node:path'
import { cmake, discardStale, provideNinja } from './cmake.mjs'
import { built, headers, library, out, wanted, writeBuilt } from './cuda-build-state.mjs'
import { architectures, codeTargets, cudaToolkit, ptxArchitecture } from './cuda-toolkit.mjs'
import { floorOptions } from './glibc-floor.mjs'
import { root } from './wheels.mjs'

function build(names, toolkit, lines) {
  const command = cmake()
  // Two compilations at a time; more cores than that go to the architectures within each.
  const jobs = Math.min(availableParallelism(), 2)
  const threads = Math.max(1, Math.floor(availableParallelism() / jobs))
  const run = (args) => execFileSync(command, args, { cwd: root, stdio: 'inherit' })
  // CMake's makefiles run a custom command with a depfile twice in a fresh folder.
  provideNinja()
  discardStale(out, [`CUDA_NVCC:UNINITIALIZED=${toolkit.nvcc}\n`])
  run([
    ...['-S', root, '-B', out, '-G', 'Ninja', '-DCMAKE_BUILD_TYPE=Release', '-DHEDDLE_CUDA=ON'],
    `-DCUDA_NVCC=${toolkit.nvcc}`,
    `-DCUDA_INCLUDE=${toolkit.include}`,
    `-DCUDA_LIBRARY=${toolkit.library}`,
    `-DCUDA_TARGETS=${codeTargets(names).join(';')}`,
    `-DCUDA_LINES=${lines ? 'ON' : 'OFF'}`,
    `-DCUDA_THREADS=${threads}`,
    `-DCUDA_HEADERS=${headers}`,
    ...floorOptions('-D'),
  ])
  run(['--build', out, '--parallel', String(jobs)])
  mkdirSync(dirname(library), { recursive: true })
  run(['--install', out, '--prefix', dirname(library)])
}

try {
  const names = architectures()
  const toolkit = cudaToolkit()
  // Machine code that knows its source lines, as profilers and the sanitizer like, is three times as large.
  const lines = process.env.HEDDLE_CUDA_LINES === '1'
  const fingerprint = wanted(names, toolkit, lines)
  if (process.argv.includes('--force') || built()?.fingerprint !== fingerprint) {
    console.log(`CUDA ${toolkit.version} (${toolkit.source}) for ${names.map((name) => `sm_${name}`).join(', ')}`)
    build(names, toolkit, lines)
    const ptx = ptxArchitecture(names) ?? null
    writeBuilt({ fingerprint, architectures: names, ptx, lines, toolkit: toolkit.version })
  }
} catch (error) {
  console.error(`The CUDA backend could not be built: ${error.message}`)
  process.exit(1)
}
