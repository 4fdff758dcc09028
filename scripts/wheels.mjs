// The pinned PyPI wheels the build and the linters take from `.deps/` where the system lacks them.
import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('..', import.meta.url))
const deps = join(root, '.deps')

const WHEELS = {
  'onednn-cpu-gomp': ['2023.2.0', '2f22a54d6a890ed14bfa185d42a4be65d8b5b1df85dc1f0f3a9abe31620416fb'],
  'onednn-devel-cpu-gomp': ['2023.2.0', '9763c69e8c907e119056bd52ad918ca84ac9ba939d130a99dfa95ccca3e5e284'],
  cmake: ['3.31.6', '1c8b05df0602365da91ee6a3336fe57525b137706c4ab5675498f662ae1dbcec'],
  ninja: ['1.11.1.4', '096487995473320de7f65d622c3f1d16c3ad174797602218ca8c967f51ec38a0'],
  'clang-format': ['18.1.8', '2de122b8aa78ba49e326f974131caab2c79f4ae877c227cd4e3e5d82a98d21e5'],
}

/** Downloads and unpacks the named wheels, once, into one folder `.deps/<folder>`, and returns its path. */
export function wheels(folder, names) {
  const target = join(deps, folder)
  if (existsSync(target)) return target
  mkdirSync(deps, { recursive: true })
  const work = mkdtempSync(join(deps, 'unpacking-'))
  try {
    const requirements = join(work, 'requirements.txt')
    writeFileSync(
      requirements,
      names.map((name) => `${name}==${WHEELS[name][0]} --hash=sha256:${WHEELS[name][1]}\n`).join(''),
    )
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
      '--dest',
      work,
      '--requirement',
      requirements,
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
