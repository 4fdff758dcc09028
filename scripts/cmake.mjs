// The system's CMake and build program or, where it has none, those of the pinned wheels.
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { program, root, wheels } from './wheels.mjs'

function found(command) {
  try {
    execFileSync(command, ['--version'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

/** The command that starts CMake. */
export const cmake = () => (found('cmake') ? 'cmake' : program(wheels('cmake', ['cmake']), 'cmake/data/bin/cmake'))

/** Sees to it that ninja is on the path. */
export function provideNinja() {
  if (found('ninja')) return
  const ninja = program(wheels('ninja', ['ninja']), 'bin/ninja')
  process.env.PATH = [dirname(ninja), process.env.PATH].join(delimiter)
}

/** Sees to it that a build program is on the path, where cmake-js looks for one. */
export function provideBuildProgram() {
  if (!found('make')) provideNinja()
}

/** Removes a build folder whose cache is of another checkout, or lacks one of the paths it is to be built with. */
export function discardStale(folder, paths) {
  const file = join(folder, 'CMakeCache.txt')
  if (!existsSync(file)) return
  const cache = readFileSync(file, 'utf8')
  const home = `CMAKE_HOME_DIRECTORY:INTERNAL=${root.replace(/\/$/, '')}\n`
  if (![home, ...paths].every((text) => cache.includes(text))) rmSync(folder, { recursive: true })
}
