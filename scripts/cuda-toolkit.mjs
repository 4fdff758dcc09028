// The CUDA toolkit: a system's of version 13, else pinned wheels; and the architectures to compile for.
import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, realpathSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { program, wheels } from './wheels.mjs'

/** Every generation from Turing on; `a` is code for that generation's own instructions, which runs on no later one. */
export const ARCHITECTURES = ['75', '80', '86', '89', '90a', '100', '120']

/** What HEDDLE_CUDA_ARCHITECTURES asks for (`80;90a`), else all. */
export function architectures(text = process.env.HEDDLE_CUDA_ARCHITECTURES) {
  if (!text) return ARCHITECTURES
  const names = text.split(';').filter(Boolean)
  const wrong = names.filter((name) => !/^\d{2,3}[af]?$/.test(name))
  if (wrong.length > 0 || names.length === 0) {
    throw new Error(
      `HEDDLE_CUDA_ARCHITECTURES is '${text}': expected compute capabilities such as 80;90a, got '${wrong.join(';')}'`,
    )
  }
  return [...new Set(names)]
}

// The kernels use nothing that the others of a family have and the first lacks.
const FAMILIES = [
  ['80', '86', '89'],
  ['100', '120'],
]

/** From the PTX of which architecture the code for `name` is made: a family's first that is there serves all of it. */
function sourceOf(name, names) {
  const family = FAMILIES.find((family) => family.includes(name)) ?? [name]
  return family.find((member) => names.includes(member))
}

/** The newest PTX that a later GPU can compile, if any: what is for one generation alone does not count. */
export function ptxArchitecture(names) {
  const newest = names.filter((name) => /^\d+$/.test(name)).sort((a, b) => Number(b) - Number(a))[0]
  return newest && sourceOf(newest, names)
}

/** What nvcc's --generate-code is given for the architectures, once for each whose PTX is made. */
export function codeTargets(names) {
  const ptx = ptxArchitecture(names)
  const sources = [...new Set(names.map((name) => sourceOf(name, names)))]
  return sources.map((source) => {
    const code = names.filter((name) => sourceOf(name, names) === source).map((name) => `sm_${name}`)
    return `arch=compute_${source},code=[${[...code, ...(source === ptx ? [`compute_${ptx}`] : [])].join(',')}]`
  })
}

const firstOf = (root, folders, file) =>
  folders.map((folder) => join(root, folder)).find((f) => existsSync(join(f, file)))

/** The parts of the toolkit under a folder; undefined with the reason logged where it is not one of CUDA 13. */
function toolkit(root, source) {
  const nvcc = join(root, 'bin/nvcc')
  const include = firstOf(root, ['include', 'targets/x86_64-linux/include'], 'cuda_runtime.h')
  const library = firstOf(root, ['lib64', 'lib', 'targets/x86_64-linux/lib'], 'libcudart_static.a')
  const cuobjdump = join(root, 'bin/cuobjdump')
  const missing = [
    [existsSync(nvcc), 'bin/nvcc'],
    [include, 'cuda_runtime.h'],
    [library, 'libcudart_static.a'],
    [existsSync(cuobjdump), 'bin/cuobjdump'],
  ].filter(([there]) => !there)
  if (missing.length > 0) {
    console.log(`${source}: ${root} lacks ${missing.map(([, what]) => what).join(', ')}: not used`)
    return undefined
  }
  const version = /V(\d+\.\d+\.\d+)/.exec(execFileSync(nvcc, ['--version'], { encoding: 'utf8' }))?.[1] ?? 'unknown'
  if (!version.startsWith('13.')) {
    console.log(`${source}: ${root} is CUDA ${version}, heddle is built with 13: not used`)
    return undefined
  }
  return { root, nvcc, include, library, cuobjdump, version, source }
}

function* systemFolders() {
  if (process.env.CUDA_PATH) yield [process.env.CUDA_PATH, 'CUDA_PATH']
  if (existsSync('/usr/local/cuda')) yield ['/usr/local/cuda', '/usr/local/cuda']
  const onPath = (process.env.PATH ?? '').split(delimiter).find((folder) => existsSync(join(folder, 'nvcc')))
  if (onPath) yield [dirname(dirname(realpathSync(join(onPath, 'nvcc')))), 'nvcc on PATH']
}

/** `{ root, nvcc, include, library, cuobjdump, version, source }`, fetched where the system has none. */
export function cudaToolkit() {
  for (const [root, source] of systemFolders()) {
    const found = toolkit(root, source)
    if (found) return found
  }
  const names = ['nvcc', 'crt', 'runtime', 'cccl', 'cuobjdump'].map((part) => `nvidia-cuda-${part}`)
  const root = join(wheels('cuda', [...names, 'nvidia-nvvm']), 'nvidia/cu13')
  for (const folder of ['bin', 'nvvm/bin']) {
    for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
      if (entry.isFile()) program(root, folder, entry.name)
    }
  }
  return toolkit(root, 'pinned wheels')
}
