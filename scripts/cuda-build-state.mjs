// Where the CUDA build puts things, what the last one made, and what one would depend on now.
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { filesBelow, fingerprint } from './fingerprint.mjs'
import { deps, root } from './wheels.mjs'

/** CMake's folder; `kernels/<source>.log` in it is what the compiler said of each kernel. */
export const out = join(root, '.cmake-cuda')
export const library = join(root, 'build/Release/libheddle-cuda.so')
/** Where scripts/cuda-headers.mjs puts the headers of cuBLAS, cuDNN and NVRTC. */
export const headers = join(deps, 'cuda-headers')
const stamp = join(out, 'built.json')

/** `{ fingerprint, architectures, ptx, lines, toolkit }` of the library that is there; undefined where none is. */
export const built = () =>
  existsSync(library) && existsSync(stamp) ? JSON.parse(readFileSync(stamp, 'utf8')) : undefined

export const writeBuilt = (facts) => writeFileSync(stamp, `${JSON.stringify(facts, null, 2)}\n`)

/** The hash of all that a build for the architectures, with source lines or without, depends on. */
export function wanted(architectures, toolkit, lines) {
  const files = [
    ...filesBelow(join(root, 'native/cuda')).filter((file) => !file.endsWith('.json')),
    ...filesBelow(join(root, 'native/core')),
    join(root, 'native/schema.gen.h'),
    join(root, 'native/backend.map'),
    join(root, 'CMakeLists.txt'),
    join(root, 'scripts/build-cuda.mjs'),
    join(root, 'scripts/glibc-floor.mjs'),
  ]
  return fingerprint(files, [root, process.env.CXX ?? '', toolkit.root, toolkit.version, lines, ...architectures])
}
