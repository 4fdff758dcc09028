// Reports what the CUDA build made: architectures, what each library needs and shows, registers and spills of each
// kernel. Fails where that is not as it must be. `--json FILE` writes the report.
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, readdirSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { cmake } from './cmake.mjs'
import { built, headers, library, out, wanted } from './cuda-build-state.mjs'
import { ARCHITECTURES, cudaToolkit } from './cuda-toolkit.mjs'
import { EXPORTS, exportedSymbols, neededLibraries, SYSTEM_LIBRARIES } from './elf.mjs'
import { kernelFigures, meantSpills, spillFailures, spills, worst } from './kernel-figures.mjs'
import { root } from './wheels.mjs'

/** What each file of build/Release needs and, of ours, shows. What is not the system's must lie beside it. */
function libraries() {
  const folder = dirname(library)
  const shipped = readdirSync(folder).filter((name) => /\.(node|so(\.\d+)?)$/.test(name))
  return shipped.map((name) => {
    const needed = neededLibraries(join(folder, name))
    const beside = name === basename(library) ? [] : shipped
    const forbidden = needed.filter((other) => !SYSTEM_LIBRARIES.test(other) && !beside.includes(other))
    const exported = name in EXPORTS ? exportedSymbols(join(folder, name)) : null
    return { name, needed, forbidden, exported }
  })
}

const libraryFailures = ({ name, forbidden, exported }) => [
  ...forbidden.map((other) => `${name} needs ${other}: it must be opened at run time or be linked statically`),
  ...(exported ?? []).filter((s) => !EXPORTS[name].includes(s)).map((s) => `${name} shows the symbol ${s}`),
  ...(exported ? EXPORTS[name] : []).filter((s) => !exported.includes(s)).map((s) => `${name} lacks the symbol ${s}`),
]

/** The architectures of the machine code and of the PTX in the library. */
function contents(cuobjdump) {
  const list = (kind, ending) => {
    const { stdout, stderr, status } = spawnSync(cuobjdump, [`--list-${kind}`, library], { encoding: 'utf8' })
    if (status !== 0 && !stderr?.includes('does not contain device code'))
      throw new Error(`cuobjdump can not read ${basename(library)}: ${stderr}`)
    return [...new Set([...stdout.matchAll(new RegExp(`\\.(sm_\\w+)\\.${ending}`, 'g'))].map(([, name]) => name))]
  }
  return { code: list('elf', 'cubin'), ptx: list('ptx', 'ptx') }
}

function contentFailures({ code, ptx }, { architectures, ptx: wantedPtx }) {
  const missing = architectures.map((name) => `sm_${name}`).filter((name) => !code.includes(name))
  return [
    ...missing.map((name) => `${basename(library)} has no code for ${name}, which it was built for`),
    ...(wantedPtx && !ptx.includes(`sm_${wantedPtx}`)
      ? [`${basename(library)} has no PTX of compute_${wantedPtx}`]
      : []),
  ]
}

/** Compiles the comparison of our declarations with NVIDIA's headers, where those have been fetched. */
function compareHeaders() {
  const folder = join(root, 'native/test/cuda/headers')
  if (!existsSync(folder)) return { state: 'nothing to compare', failures: [] }
  if (!existsSync(headers)) return { state: 'not compared: run node scripts/cuda-headers.mjs first', failures: [] }
  try {
    execFileSync(cmake(), ['--build', out, '--target', 'cuda-headers-check'], { cwd: root, stdio: ['ignore', 2, 2] })
    return { state: 'compared', failures: [] }
  } catch {
    return { state: 'differ', failures: ['our declarations differ from the headers of CUDA libraries: see above'] }
  }
}

function printKernels(kernels, meant) {
  const rows = kernels.map((kernel) => {
    const [where, stores] = worst(kernel, 'spillStores')
    const spilled = spills(kernel) ? `${stores}/${worst(kernel, 'spillLoads')[1]} ${where}` : '-'
    const [hungriest, registers] = worst(kernel, 'registers')
    const flag = spills(kernel) ? (meant.some(({ matches }) => matches(kernel.name)) ? ' (meant)' : ' SPILLS') : ''
    return [
      kernel.kernel ? `${registers} ${hungriest}` : 'function',
      String(worst(kernel, 'shared')[1]),
      String(worst(kernel, 'stack')[1]),
      spilled,
      `${kernel.source}: ${kernel.name}${flag}`,
    ]
  })
  const table = [
    ['registers', 'shared', 'stack', 'spilled (stores/loads)', 'kernel, at its worst in each column'],
    ...rows,
  ]
  const widths = table[0].map((_, column) => Math.max(...table.map((row) => row[column].length)))
  for (const row of table) console.log(row.map((cell, i) => (i < 4 ? cell.padEnd(widths[i]) : cell)).join('  '))
}

function report() {
  const made = built()
  if (!made) throw new Error('there is no CUDA build to check: run npm run build:cuda')
  const toolkit = cudaToolkit()
  const stale = made.fingerprint !== wanted(made.architectures, toolkit, made.lines)
  const found = contents(toolkit.cuobjdump)
  const files = libraries()
  const kernels = kernelFigures()
  const meant = meantSpills()
  const comparison = compareHeaders()
  // What spills on one architecture only is not seen in a build for others.
  const complete = ARCHITECTURES.every((name) => made.architectures.includes(name))
  const failures = [
    ...(stale ? ['the CUDA backend is older than its sources: run npm run build:cuda'] : []),
    ...contentFailures(found, made),
    ...files.flatMap(libraryFailures),
    ...spillFailures(kernels, meant, complete),
    ...comparison.failures,
  ]

  console.log(
    `CUDA ${made.toolkit}: code for ${found.code.join(', ') || 'none'}; PTX of ${found.ptx.join(', ') || 'none'}`,
  )
  for (const { name, needed, exported } of files)
    console.log(
      `${name}\n  needs ${needed.join(', ')}${exported ? `\n  shows ${exported.join(', ') || 'nothing'}` : ''}`,
    )
  console.log(`headers of CUDA libraries: ${comparison.state}`)
  printKernels(kernels, meant)
  return { toolkit: made.toolkit, architectures: found, libraries: files, headers: comparison.state, kernels, failures }
}

try {
  const result = report()
  const target = process.argv.indexOf('--json')
  if (target > 0) writeFileSync(process.argv[target + 1], `${JSON.stringify(result, null, 2)}\n`)
  for (const failure of result.failures) console.error(`FAILED: ${failure}`)
  process.exitCode = result.failures.length > 0 ? 1 : 0
} catch (error) {
  console.error(`The CUDA build could not be checked: ${error.message}`)
  process.exitCode = 1
}
