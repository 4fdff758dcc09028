// Why a library does not load, as one sentence instead of what the system's loader prints.
import { readdirSync } from 'node:fs'
import { join } from 'node:path'

const RUNTIMES: Readonly<Record<string, string>> = {
  GLIBC: 'glibc',
  GLIBCXX: 'the C++ runtime libstdc++',
  CXXABI: 'the C++ runtime libstdc++',
}

interface ReportHeader {
  readonly glibcVersionRuntime?: string
}

/** The version of this process' glibc; undefined with another C library, and where nobody says. */
export function glibcVersion(): string | undefined {
  const report = process.report?.getReport() as { readonly header?: ReportHeader } | undefined
  return report?.header?.glibcVersionRuntime
}

/** What is known to be the matter behind the loader's words; the words themselves, on one line, where nothing is. */
export function explainLoader(words: string): string {
  const tooOld = /version [`'"]?(GLIBC|GLIBCXX|CXXABI)_([\d.]+)['"]? not found/.exec(words)
  if (tooOld) {
    const [, runtime = '', version] = tooOld
    const here = runtime === 'GLIBC' && glibcVersion()
    const have = here ? `has ${here}` : 'has an older one'
    return (
      `it needs ${RUNTIMES[runtime]} with ${runtime}_${version}, and this system ${have}: ` +
      'use a newer one (glibc 2.28 came with Debian 10, Ubuntu 18.10 and RHEL 8)'
    )
  }
  const missing = /([\w+.-]+\.so[\w.]*): cannot open shared object file/.exec(words)
  if (missing) return `it needs ${missing[1]}, which this system has not: install it with the system's package manager`
  if (/symbol not found|ld-musl/.test(words) || (process.platform === 'linux' && /musl/.test(words)))
    return 'it needs glibc, and this system has another C library: use an image with glibc (Debian, Ubuntu, RHEL)'
  return words.trim().replace(/\s*\n\s*/g, '; ')
}

/** The machines that heddle in `folder` has an addon for: `linux-x64 (glibc)`. */
function builtFor(folder: string): string[] {
  try {
    return readdirSync(join(folder, 'prebuilds')).map((machine) => {
      const libc = /\.(glibc|musl)\.node$/m.exec(readdirSync(join(folder, 'prebuilds', machine)).join('\n'))
      return libc ? `${machine} (${libc[1]})` : machine
    })
  } catch {
    return []
  }
}

/** Why the addon of heddle in `folder` can not be loaded, and what to do. */
export function explainAddon(folder: string, words: string, checkout: boolean): string {
  const libc = process.platform === 'linux' ? ` (${glibcVersion() ? 'glibc' : 'no glibc'})` : ''
  const machine = `${process.platform}-${process.arch}${libc}, Node ${process.versions.node}`
  const remedy = checkout ? `; \`npm run build:native\` in ${folder} makes one` : ''
  if (!words.includes('No native build was found'))
    return `heddle: its native addon can not be loaded on this machine (${machine}): ${explainLoader(words)}${remedy}`
  const machines = builtFor(folder)
  const there = machines.length > 0 ? `it has one for ${machines.join(', ')}` : 'it has none for any'
  return `heddle: there is no native addon for this machine (${machine}); ${there}${remedy}`
}
