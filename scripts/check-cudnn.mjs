// Asks the real cuDNN for engines and plans of the graphs that convolutions and attention are, for devices that need not
// be here: proves that it takes our descriptors. Needs the whole wheels of cuDNN, cuBLAS and NVRTC (1 GB), so it runs by
// hand.
// `--tell` lists the graphs that got no plan.
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { deps, root, wheels } from './wheels.mjs'

/** cuDNN's parts and what they open by name, each in its wheel's folder. */
const LIBRARIES = [
  ['cudnn', 'nvidia-cudnn-cu13', 'nvidia/cudnn/lib'],
  ['cublas', 'nvidia-cublas', 'nvidia/cu13/lib'],
  ['nvrtc', 'nvidia-cuda-nvrtc', 'nvidia/cu13/lib'],
]

/** Builds the program and what stands for the driver, which cuDNN has load the kernels it compiles. */
function build(folder) {
  const driver = 'driver.cpp'
  const own = readdirSync(join(root, 'native/test/cudnn')).filter((name) => name.endsWith('.cpp') && name !== driver)
  const sources = [
    ...own.map((name) => `native/test/cudnn/${name}`),
    ...['attention_graph', 'conv_graph', 'cudnn', 'cudnn_plan'].map((name) => `native/cuda/${name}.cpp`),
  ]
  const compile = (...options) =>
    execFileSync(process.env.CXX ?? 'c++', ['-std=c++20', '-O1', '-Wall', '-Wextra', '-Werror', ...options], {
      cwd: root,
      stdio: 'inherit',
    })
  const library = join(folder, 'libcuda.so.1')
  compile('-shared', '-fPIC', '-Wl,-soname,libcuda.so.1', join('native/test/cudnn', driver), '-o', library)
  const program = join(folder, 'plan-graphs')
  // The emulation's header stands for the CUDA runtime's: none of it is called.
  compile('-pthread', '-Inative/test/emulation', ...sources, '-o', program, '-ldl')
  return program
}

try {
  const folders = LIBRARIES.map(([folder, name, path]) => join(wheels(folder, [name]), path))
  const work = mkdtempSync(join(deps, 'check-cudnn-'))
  try {
    const { status } = spawnSync(build(work), process.argv.slice(2), {
      stdio: 'inherit',
      env: { ...process.env, LD_LIBRARY_PATH: [work, ...folders].join(delimiter) },
    })
    process.exitCode = status ?? 1
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
} catch (error) {
  console.error(`cuDNN could not be asked: ${error.message}`)
  process.exitCode = 1
}
