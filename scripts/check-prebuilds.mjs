// Reads what the package ships for Linux: which glibc each library needs, what it needs beside itself, what it shows.
// Fails where that is not as it must be. `node scripts/check-prebuilds.mjs [FOLDER ...]`, `--json FILE` writes the report.
import { readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { EXPORTS, exportedSymbols, neededLibraries, neededVersions, runPath, SYSTEM_LIBRARIES } from './elf.mjs'
import { compareVersions, GLIBC_FLOOR } from './glibc-floor.mjs'
import { root } from './wheels.mjs'

/** What may be needed of the C++ runtime: that of GCC 8, which came with systems of glibc 2.28. */
const RUNTIME_FLOORS = { GLIBC: GLIBC_FLOOR, GLIBCXX: '3.4.25', CXXABI: '1.3.11', GCC: '7.0.0' }

function report(folder, name, shipped) {
  const file = join(folder, name)
  const versions = neededVersions(file)
  const needed = neededLibraries(file)
  // The addon's own name has its C library in it in a package, and not in a build.
  const expected = EXPORTS[name.replace(/\.glibc\.node$/, '.node')]
  const shown = expected ? exportedSymbols(file) : []
  const beside = needed.filter((other) => shipped.includes(other))
  const failures = [
    ...Object.entries(RUNTIME_FLOORS)
      .filter(([runtime, floor]) => versions[runtime] && compareVersions(versions[runtime], floor) > 0)
      .map(([runtime, floor]) => `${name} needs ${runtime}_${versions[runtime]}: the floor is ${floor}`),
    ...needed
      .filter((other) => !SYSTEM_LIBRARIES.test(other) && !shipped.includes(other))
      .map((other) => `${name} needs ${other}, which is not shipped`),
    ...(beside.length > 0 && runPath(file) !== '$ORIGIN' ? [`${name} does not look beside itself`] : []),
    ...shown.filter((symbol) => !expected.includes(symbol)).map((symbol) => `${name} shows the symbol ${symbol}`),
    ...(expected ?? []).filter((s) => !shown.includes(s)).map((symbol) => `${name} lacks the symbol ${symbol}`),
    ...(needed.includes('libgomp.so.1') ? [`${name} needs libgomp under the name that others have`] : []),
  ]
  return { name, bytes: statSync(file).size, versions, needed, failures }
}

/** The report of each library in the folder. Throws where one is not as it must be. */
export function checkPrebuilds(folder) {
  const shipped = readdirSync(folder).filter((name) => /\.(node|so(\.\d+)?)$/.test(name))
  const reports = shipped.map((name) => report(folder, name, shipped))
  for (const { name, bytes, versions } of reports) {
    const shown = Object.entries(versions).map(([runtime, version]) => `${runtime}_${version}`)
    console.log(`${name.padEnd(26)} ${(bytes / 1e6).toFixed(1).padStart(6)} MB  needs ${shown.join(', ')}`)
  }
  const failures = reports.flatMap((one) => one.failures)
  if (shipped.length === 0) failures.push(`${folder} has no library in it`)
  if (failures.length > 0) throw new Error(failures.join('\n'))
  return reports
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const { values, positionals } = parseArgs({ options: { json: { type: 'string' } }, allowPositionals: true })
  const folders =
    positionals.length > 0 ? positionals : [join(root, 'prebuilds', `${process.platform}-${process.arch}`)]
  try {
    const reports = folders.flatMap(checkPrebuilds)
    if (values.json) writeFileSync(values.json, `${JSON.stringify(reports, null, 2)}\n`)
  } catch (error) {
    console.error(error.message)
    process.exitCode = 1
  }
}
