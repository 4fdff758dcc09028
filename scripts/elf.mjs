// What a shared object needs and shows, by binutils' readelf; names of C++ by its c++filt.
import { execFileSync } from 'node:child_process'
import { compareVersions } from './glibc-floor.mjs'

/** What every Linux with glibc and GCC's C++ runtime has. */
export const SYSTEM_LIBRARIES = /^(lib(c|m|stdc\+\+|gcc_s|pthread|dl|rt)\.so\.\d+|ld-linux-[\w-]+\.so\.\d+)$/

function binutils(command, args, input) {
  try {
    return execFileSync(command, args, {
      encoding: 'utf8',
      input,
      maxBuffer: 2 ** 28,
      env: { ...process.env, LC_ALL: 'C' },
    })
  } catch (error) {
    if (error.code !== 'ENOENT') throw error
    throw new Error(`${command} is missing: install binutils, which compilers come with`)
  }
}

/** The libraries the loader must find before this one. */
export const neededLibraries = (file) =>
  [...binutils('readelf', ['-W', '-d', file]).matchAll(/\(NEEDED\).*\[(.+)\]/g)].map(([, name]) => name)

/** The newest version of each runtime (`GLIBC`, `GLIBCXX`, ...) that a symbol is bound to, by binutils' objdump. */
export function neededVersions(file) {
  const newest = {}
  for (const [, runtime, version] of binutils('objdump', ['-T', file]).matchAll(
    /\*UND\*.*\((GLIBC|GLIBCXX|CXXABI|GCC)_([\d.]+)\)/g,
  ))
    if (!newest[runtime] || compareVersions(version, newest[runtime]) > 0) newest[runtime] = version
  return newest
}

/** Where the loader looks for what it needs before the system's folders; '' where nowhere. */
export const runPath = (file) =>
  /\((?:RUNPATH|RPATH)\).*\[(.+)\]/.exec(binutils('readelf', ['-W', '-d', file]))?.[1] ?? ''

/** All that our libraries may show. */
export const EXPORTS = {
  'heddle.node': ['napi_register_module_v1', 'node_api_module_get_api_version_v1'],
  'libheddle-cpu.so': ['heddle_backend_open'],
  'libheddle-cuda.so': ['heddle_backend_libraries', 'heddle_backend_open'],
}

/** The symbols other libraries can bind to. */
export const exportedSymbols = (file) =>
  [...binutils('readelf', ['-W', '--dyn-syms', file]).matchAll(/^ *\d+: \w+ +\w+ \w+ +(\w+) +\w+ +(\w+) (\S+)/gm)]
    .filter(([, binding, section]) => section !== 'UND' && binding !== 'LOCAL')
    .map(([, , , name]) => name)

/** The names as the source has them, without return type and parameters: `heddle::cuda::rowSum<float, 256>`. */
export const sourceNames = (symbols) => {
  const lines = binutils('c++filt', ['--no-params'], symbols.map((symbol) => `${symbol}\n`).join('')).split('\n')
  return symbols.map((_, i) => lines[i])
}
