// heddle cuda install: brings NVIDIA's libraries, and only where it is called.
import { parseArgs } from 'node:util'
import { formatBytes } from '../schema/bytes.js'
import { installWheels, librariesFolder, missingWheels } from './cuda/install.js'
import { indexOfPip } from './cuda/packageIndex.js'
import { cudaFolder, WHEELS, type Wheel } from './cuda/wheels.js'

const USAGE = `Usage: heddle cuda install [--index URL] [--dry-run]

Downloads the libraries of NVIDIA that the CUDA backend opens (package heddle-cuda) into
  ${cudaFolder()}
where they are found at the next start. They come from the Python package index, as NVIDIA publishes them there, and are
under NVIDIA's licences, which are put beside them. What is interrupted is gone on with; hashes are checked; what is
there already is not fetched again. To have none of it, remove the folder.

  --index URL   the package index, an address that ends in /simple; default HEDDLE_PACKAGE_INDEX, or the one that pip here uses
  --dry-run     says what would be downloaded, and downloads nothing`

/** The machines for which there are wheels and a backend. */
const isSupported = (): boolean => process.platform === 'linux' && process.arch === 'x64'

const total = (wheels: readonly Wheel[]): number => wheels.reduce((sum, { bytes }) => sum + bytes, 0)

function announce(missing: readonly Wheel[], index: string): void {
  console.log(`From ${index} into ${librariesFolder(cudaFolder())}:`)
  for (const { name, version, bytes, purpose } of missing)
    console.log(`  ${name.padEnd(18)} ${version.padEnd(10)} ${formatBytes(bytes).padStart(8)}  ${purpose}`)
  console.log(`${formatBytes(total(missing))} to download; unpacked they take about half as much again.`)
}

/** Tells how far a wheel has come: on a terminal on one line, else each tenth. */
function progress(): (wheel: Wheel, bytes: number) => void {
  let told = ''
  return ({ name, bytes: all }, bytes) => {
    const percent = Math.floor((bytes / all) * 100)
    const step = process.stdout.isTTY ? percent : percent - (percent % 10)
    const line = `${name}: ${step} %`
    if (line === told) return
    told = line
    if (process.stdout.isTTY)
      process.stdout.write(`\r${name}: ${formatBytes(bytes)} of ${formatBytes(all)} (${step} %) `)
    else console.log(line)
    if (process.stdout.isTTY && bytes >= all) process.stdout.write('\n')
  }
}

async function install(index: string, dryRun: boolean): Promise<number> {
  const folder = cudaFolder()
  const missing = await missingWheels(folder, WHEELS)
  if (missing.length === 0) {
    console.log(`NVIDIA's libraries are all in ${librariesFolder(folder)}.`)
    return 0
  }
  announce(missing, index)
  if (dryRun) return 0
  const ended = new AbortController()
  const stop = (): void => ended.abort(new Error('it was interrupted; called again it goes on from here'))
  process.once('SIGINT', stop).once('SIGTERM', stop)
  try {
    await installWheels({
      wheels: WHEELS,
      folder,
      index,
      signal: ended.signal,
      onProgress: progress(),
      timeout: 30_000,
      retries: 5,
      delay: 1000,
    })
  } catch (error) {
    console.error(`heddle cuda install: ${(error as Error).message}`)
    return 1
  } finally {
    process.off('SIGINT', stop).off('SIGTERM', stop)
  }
  console.log(`NVIDIA's libraries are in ${librariesFolder(folder)}. Next: npx heddle doctor --require cuda`)
  return 0
}

/** Runs the command and gives its exit code. */
export async function cuda(argv: readonly string[]): Promise<number> {
  let values: { index?: string; 'dry-run'?: boolean; help?: boolean }
  let positionals: string[]
  try {
    ;({ values, positionals } = parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: { index: { type: 'string' }, 'dry-run': { type: 'boolean' }, help: { type: 'boolean' } },
    }))
  } catch (error) {
    console.error(`heddle cuda: ${(error as Error).message}\n\n${USAGE}`)
    return 2
  }
  const asked = positionals.join(' ') === 'install'
  // pip takes a moment to answer.
  const index =
    values.help || !asked ? undefined : (values.index ?? (process.env['HEDDLE_PACKAGE_INDEX'] || indexOfPip()))
  const wrong = !asked
    ? 'it takes the word install'
    : index === undefined
      ? 'there is no pip here that would know a package index: give its address with --index, as in the documentation of pip'
      : !URL.canParse(index)
        ? `${index} is no address`
        : ''
  if (values.help || wrong) {
    ;(values.help ? console.log : console.error)(values.help ? USAGE : `heddle cuda: ${wrong}\n\n${USAGE}`)
    return values.help ? 0 : 2
  }
  if (!isSupported()) {
    console.error(
      `heddle cuda install: there is no CUDA backend for ${process.platform}-${process.arch}, only for linux-x64`,
    )
    return 1
  }
  return install(index as string, values['dry-run'] ?? false)
}
