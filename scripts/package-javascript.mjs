// The package's JavaScript: what tsc made of lib/, put together into few files, as finding a hundred modules takes longer
// than running them. All entries share their common parts, so that there is one copy of every module's state.
import { readdirSync, readFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { build } from 'esbuild'

/** Files that code starts by their address, beside its own: workers and child processes. */
function startedByAddress(folder) {
  const sources = readdirSync(folder, { recursive: true }).filter((name) => name.endsWith('.js'))
  return sources.flatMap((name) => {
    const text = readFileSync(join(folder, name), 'utf8').replace(/\/\*[\s\S]*?\*\//g, '')
    return [...text.matchAll(/new URL\('\.\/([\w-]+\.js)', import\.meta\.url\)/g)].map(([, file]) =>
      join(folder, dirname(name), file),
    )
  })
}

/**
 * Writes the entries (names without ending, by their compiled files), the files they start and what they share into
 * `target`, flat: an address beside a module stays beside it. Source maps have their sources inside.
 */
export async function bundle(compiled, entries, target) {
  const points = new Map(Object.entries(entries))
  for (const file of startedByAddress(compiled)) {
    const name = basename(file, '.js')
    if ((points.get(name) ?? file) !== file) throw new Error(`${file} and ${points.get(name)} would both be ${name}.js`)
    points.set(name, file)
  }
  await build({
    entryPoints: Object.fromEntries(points),
    outdir: target,
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20.19',
    packages: 'external',
    chunkNames: '[name]-[hash]',
    sourcemap: true,
    sourcesContent: true,
    // Errors, state dicts and logs have names of classes in them, and two modules may use one name.
    keepNames: true,
    logLevel: 'warning',
  })
  return [...points.keys()]
}
