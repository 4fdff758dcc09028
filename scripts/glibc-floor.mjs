// Stand-ins for the system's glibc to link against, which show only what an older glibc had: what is linked with them
// runs there. The system's own libraries tell what that is, as glibc keeps the old versions of its symbols.
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { isAbsolute, join } from 'node:path'
import { deps } from './wheels.mjs'

/** The oldest glibc that published binaries run on: that of Debian 10, Ubuntu 18.10 and RHEL 8. */
export const GLIBC_FLOOR = '2.28'

/** Negative, 0 or positive, as dotted numbers compare. */
export function compareVersions(a, b) {
  const [left, right] = [a, b].map((version) => version.split('.').map(Number))
  for (let i = 0; i < Math.max(left.length, right.length); i++)
    if ((left[i] ?? 0) !== (right[i] ?? 0)) return (left[i] ?? 0) - (right[i] ?? 0)
  return 0
}

/** Since 2.34 libc.so.6 has what stood in libraries of its own before, and what is linked must name those. */
const formerLibrary = (symbol) =>
  /^dl(open|close|sym|vsym|error|addr1?|info|mopen)$/.test(symbol)
    ? 'libdl.so.2'
    : /^_*(pthread|sem)_/.test(symbol)
      ? 'libpthread.so.0'
      : 'libc.so.6'

/** A library's symbols, each in its newest version up to the floor: `{ symbol, version, kind, size }`. */
function symbolsUpTo(library, floor) {
  const table = execFileSync('readelf', ['-W', '--dyn-syms', library], { encoding: 'utf8', maxBuffer: 2 ** 26 })
  const newest = new Map()
  for (const [, size, kind, symbol, version] of table.matchAll(
    /^ *\d+: \w+ +(\d+) (FUNC|IFUNC|OBJECT) +(?:GLOBAL|WEAK) +\w+ +(?!UND)\w+ (\w+)@@?GLIBC_([\d.]+)$/gm,
  )) {
    if (compareVersions(version, floor) > 0) continue
    const known = newest.get(symbol)
    if (!known || compareVersions(version, known.version) > 0) newest.set(symbol, { symbol, version, kind, size })
  }
  return [...newest.values()]
}

const LABEL = '__heddle_stand_in_'

/** Assembles a library that has the symbols and nothing behind them. */
function standIn(compiler, folder, name, symbols) {
  const versions = [...new Set(symbols.map(({ version }) => version))].sort(compareVersions)
  const lines = symbols.map(({ symbol, version, kind, size }, i) => {
    const [section, type, content] =
      kind === 'OBJECT' ? ['data', 'object', `.zero ${size}`] : ['text', 'function', 'nop']
    const label = `${LABEL}${i}`
    return (
      `.${section}\n.globl ${label}\n.type ${label}, @${type}\n.size ${label}, ${size}\n${label}: ${content}\n` +
      `.symver ${label}, ${symbol}@@GLIBC_${version}`
    )
  })
  const source = join(folder, `${name}.s`)
  const map = join(folder, `${name}.map`)
  writeFileSync(source, `${lines.join('\n')}\n.section .note.GNU-stack,"",@progbits\n`)
  writeFileSync(
    map,
    versions.map((version, i) => `GLIBC_${version} {${i === 0 ? ` local: ${LABEL}*;` : ''} };\n`).join(''),
  )
  const options = ['-shared', '-nostdlib', `-Wl,-soname,${name}`, `-Wl,--version-script,${map}`]
  execFileSync(compiler, [...options, '-o', join(folder, name), source], { stdio: 'inherit' })
}

const pathOf = (compiler, name) => execFileSync(compiler, [`-print-file-name=${name}`], { encoding: 'utf8' }).trim()

/** Makes the stand-ins in `folder` unless they are there for this compiler's glibc. */
function makeStandIns(compiler, folder, system, floor) {
  const path = (name) => pathOf(compiler, name)
  const made = join(folder, 'made.txt')
  const wanted = `glibc ${floor} from ${system}, ${path('libc.so.6')}\n`
  if (existsSync(made) && readFileSync(made, 'utf8') === wanted) return
  mkdirSync(folder, { recursive: true })
  const standIns = new Map([
    ['libm.so.6', symbolsUpTo(path('libm.so.6'), floor)],
    ...['libc.so.6', 'libdl.so.2', 'libpthread.so.0'].map((name) => [name, []]),
  ])
  for (const symbol of symbolsUpTo(path('libc.so.6'), floor)) standIns.get(formerLibrary(symbol.symbol)).push(symbol)
  for (const [name, symbols] of standIns) standIn(compiler, folder, name, symbols)
  // Scripts under the names that -lc, -lm and so on look for; libc's leads on to where functions moved from.
  const here = (name) => join(folder, name)
  const script = (name, ...parts) => writeFileSync(here(name), `GROUP ( ${parts.join(' ')} )\n`)
  const moved = `AS_NEEDED ( ${here('libpthread.so.0')} ${here('libdl.so.2')} ${path(loaderName())} )`
  script('libc.so', here('libc.so.6'), path('libc_nonshared.a'), moved)
  script('libm.so', here('libm.so.6'))
  script('libpthread.so', here('libpthread.so.0'))
  script('libdl.so', here('libdl.so.2'))
  writeFileSync(made, wanted)
}

const loaderName = () => (process.arch === 'arm64' ? 'ld-linux-aarch64.so.1' : 'ld-linux-x86-64.so.2')

/**
 * What CMake is told so that the build runs on the floor: a definition behind `prefix` (`-D`), or nothing where there is
 * nothing to link with: another system than Linux with glibc, a glibc no newer than the floor, no static C++ runtime.
 */
export function floorOptions(prefix) {
  const system = process.platform === 'linux' ? process.report.getReport().header.glibcVersionRuntime : undefined
  const compiler = process.env.CXX ?? 'c++'
  if (!system || compareVersions(system, GLIBC_FLOOR) <= 0 || !isAbsolute(pathOf(compiler, 'libstdc++.a'))) return []
  const folder = join(deps, `glibc-${GLIBC_FLOOR}`)
  makeStandIns(compiler, folder, system, GLIBC_FLOOR)
  return [`${prefix}HEDDLE_GLIBC_FLOOR=${folder}`]
}
