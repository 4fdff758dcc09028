// Makes package-lock.json the same whatever registry it was written from: no addresses, and an entry for the optional
// packages of other platforms, which npm leaves out where a mirror lacks them and `npm ci` then misses.
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const SYSTEMS = ['android', 'darwin', 'freebsd', 'linux', 'netbsd', 'openbsd', 'openharmony', 'sunos', 'win32', 'aix']
const PROCESSORS = ['arm', 'arm64', 'ia32', 'loong64', 'mips64el', 'ppc64', 'riscv64', 's390x', 'x64']

const target = fileURLToPath(new URL('../package-lock.json', import.meta.url))
const lock = JSON.parse(readFileSync(target, 'utf8'))
const packages = { ...lock.packages }
for (const { optionalDependencies = {}, license } of Object.values(lock.packages)) {
  for (const [name, version] of Object.entries(optionalDependencies)) {
    const path = `node_modules/${name}`
    const words = name.split(/[-/]/)
    const os = SYSTEMS.filter((system) => words.includes(system))
    const cpu = PROCESSORS.filter((processor) => words.includes(processor))
    // A range, or a name that says no platform, is for npm to resolve.
    if (packages[path] || !/^\d+\.\d+\.\d+$/.test(version) || os.length === 0) continue
    const libc = words.includes('musl') ? { libc: ['musl'] } : {}
    packages[path] = { version, cpu, dev: true, license, optional: true, os, ...libc }
  }
}
for (const entry of Object.values(packages)) delete entry.resolved
lock.packages = Object.fromEntries(Object.entries(packages).sort(([a], [b]) => (a < b ? -1 : 1)))
writeFileSync(target, `${JSON.stringify(lock, null, 2)}\n`)
