// Compiles generated kernels by the real NVRTC, with the backend's own options, for devices that need not be here, and
// says what registers and stack they take. The sources are those of tests, which run on the emulation to collect them.
//
//   --sources FOLDER            sources that are there already, as HEDDLE_CUDA_EMULATION_SOURCES collects them
//   --architectures "75;90"     compute capabilities; by default one of each generation
//   --every K                   only every K-th source
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { cudaToolkit } from './cuda-toolkit.mjs'
import { deps, root, wheels } from './wheels.mjs'

/** The tests whose programs are compiled: every kind of fused program there is. */
const TESTS = ['test/ops', 'test/graph/programs.test.ts', 'test/graph/cells.test.ts', 'test/optim']
const CAPABILITIES = '75;80;90;100;120'

/** Runs the tests on the emulation, with nothing kept from earlier runs, so that each program is compiled. */
function collectSources(work) {
  const sources = join(work, 'sources')
  const { status } = spawnSync('npx', ['vitest', 'run', ...TESTS], {
    cwd: root,
    stdio: ['ignore', 2, 2],
    env: {
      ...process.env,
      HEDDLE_CUDA_EMULATION: '1',
      HEDDLE_TEST_DEVICE: 'cuda',
      HEDDLE_CUDA_EMULATION_SOURCES: sources,
      HEDDLE_CACHE: join(work, 'cache'),
    },
  })
  if (status !== 0) throw new Error('tests failed that the sources were to come from: see above')
  return sources
}

/** The program that compiles: the backend's own nvrtc.cpp around a list of files. */
function buildCompiler(work) {
  const program = join(work, 'compile-sources')
  const sources = [
    'native/test/nvrtc/compile_sources.cpp',
    'native/cuda/nvrtc.cpp',
    'native/cuda/library.cpp',
    'native/cuda/code_store.cpp',
  ]
  const flags = ['-std=c++20', '-O1', '-Wall', '-Wextra', '-Werror', '-pthread']
  execFileSync(process.env.CXX ?? 'c++', [...flags, ...sources, '-o', program, '-ldl'], { cwd: root, stdio: 'inherit' })
  return program
}

/** Per architecture the cubins that were made and the number of sources that do not compile. */
function compile(program, sources, capabilities, work) {
  const cubins = join(work, 'cubins')
  mkdirSync(cubins)
  const library = join(wheels('nvrtc', ['nvidia-cuda-nvrtc']), 'nvidia/cu13/lib')
  const { stdout, status } = spawnSync(program, [capabilities.replaceAll(';', ','), cubins], {
    encoding: 'utf8',
    input: sources.map((source) => `${source}\n`).join(''),
    stdio: ['pipe', 'pipe', 'inherit'],
    maxBuffer: 2 ** 28,
    env: { ...process.env, HEDDLE_CUDA_PATH: library },
  })
  if (status !== 0 && status !== 1) throw new Error('NVRTC could not be used: see above')
  const results = new Map()
  const number = (line) => Number(/^\w+_(\d+)/.exec(line)[1])
  const lines = stdout.split('\n').filter(Boolean)
  for (const line of lines.sort((a, b) => number(a) - number(b))) {
    const [architecture, , cubin] = line.split(' ')
    const of = results.get(architecture) ?? { cubins: [], failed: 0 }
    if (cubin === 'FAILED') of.failed++
    else of.cubins.push(cubin)
    results.set(architecture, of)
  }
  return results
}

/** Registers and bytes of stack of every kernel of a cubin. */
function usage(cuobjdump, cubin) {
  const text = execFileSync(cuobjdump, ['-res-usage', cubin], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
  const kernels = [...text.matchAll(/REG:(\d+) STACK:(\d+)/g)].map(([, registers, stack]) => ({
    registers: Number(registers),
    stack: Number(stack),
  }))
  if (kernels.length === 0) throw new Error(`cuobjdump finds no kernel in ${cubin}`)
  return kernels
}

function check({ sources: given, architectures, every }) {
  mkdirSync(deps, { recursive: true })
  const work = mkdtempSync(join(deps, 'check-fused-'))
  try {
    const folder = given ?? collectSources(work)
    const all = readdirSync(folder).filter((name) => name.endsWith('.cu'))
    const chosen = all.sort().filter((_, i) => i % every === 0)
    if (chosen.length === 0) throw new Error(`there are no sources in ${folder}`)
    console.log(`${chosen.length} of ${all.length} generated sources`)
    const paths = chosen.map((name) => join(folder, name))
    const results = compile(buildCompiler(work), paths, architectures, work)
    const { cuobjdump } = cudaToolkit()
    let failures = 0
    for (const [architecture, { cubins, failed }] of results) {
      const kernels = cubins.flatMap((cubin) => usage(cuobjdump, cubin))
      const most = kernels.reduce((sum, { registers }) => Math.max(sum, registers), 0)
      const stacked = kernels.filter(({ stack }) => stack > 0)
      const deepest = stacked.reduce((sum, { stack }) => Math.max(sum, stack), 0)
      console.log(
        `${architecture}: ${cubins.length} compiled, ${failed} failed; ${kernels.length} kernels, at most ${most} registers, ` +
          `${stacked.length} with a stack${stacked.length > 0 ? ` of up to ${deepest} bytes` : ''}`,
      )
      failures += failed
    }
    return failures
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

try {
  const { values } = parseArgs({
    options: {
      sources: { type: 'string' },
      architectures: { type: 'string', default: CAPABILITIES },
      every: { type: 'string', default: '1' },
    },
  })
  const every = Number(values.every)
  if (!Number.isInteger(every) || every < 1)
    throw new Error(`--every is '${values.every}': expected a number from 1 on`)
  process.exitCode = check({ ...values, every }) > 0 ? 1 : 0
} catch (error) {
  console.error(`Generated kernels could not be checked: ${error.message}`)
  process.exitCode = 1
}
