// Joins what is in a results folder into one record, fit for bench/results/, and prints it as a table.
//   node dist/gpu/compare.js --results FOLDER [--quick] [--command TEXT]
import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { type ResultsFile, type Row, readResults } from '../bench/cuda/results.js'
import { EXIT } from '../bench/cuda/stage.js'
import { type Compared, joined, type OurRow, type PeerRow } from './join.js'

/** The machine as its driver describes it; empty without one. */
function machine(): { gpu: string; driver: string; cuda: string } {
  const ask = (...given: string[]): string => {
    try {
      return execFileSync('nvidia-smi', given, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim()
    } catch {
      return ''
    }
  }
  const [gpu = '', driver = ''] = ask('--query-gpu=name,driver_version', '--format=csv,noheader', '-i', '0').split(', ')
  const [, cuda = ''] = /CUDA Version: ([\d.]+)/.exec(ask()) ?? []
  return { gpu, driver, cuda }
}

const { values } = parseArgs({
  options: {
    results: { type: 'string', default: 'results' },
    quick: { type: 'boolean', default: false },
    command: { type: 'string', default: '' },
  },
})
const suffix = values.quick ? '.quick.json' : '.json'
const fileOf = <R extends Row>(name: string): ResultsFile<R> | undefined =>
  readResults<R>(join(values.results, name + suffix))
const rowsOf = <R extends Row>(name: string): readonly R[] => fileOf<R>(name)?.rows ?? []

const ours = [...rowsOf<OurRow>('heddle'), ...rowsOf<OurRow>('heddle-steps')]
const theirs = rowsOf<PeerRow>('peers')
const rows: readonly Compared[] = joined(ours, theirs)
const sessions = [...new Set([...ours, ...theirs].flatMap(({ session }) => session ?? []))].sort()
const record = {
  ...machine(),
  date: (sessions.at(-1) ?? new Date().toISOString()).slice(0, 10),
  command: values.command,
  build: fileOf('heddle')?.build ?? '',
  sessions,
  versions: theirs.find(({ case: name }) => name === 'versions') ?? null,
  rows,
  train: rowsOf('train'),
  tests: rowsOf('ops'),
  sanitizers: rowsOf('sanitize'),
}
writeFileSync(join(values.results, `record${suffix}`), `${JSON.stringify(record, null, 1)}\n`)

const rounded = (value: number | undefined | null, digits = 3): string =>
  value === undefined || value === null ? '' : value.toPrecision(digits)
if (rows.length > 0)
  console.table(
    rows.map(({ case: name, ms, gbPerS, tflops, ofCopy, peers, checks, error }) => ({
      case: name,
      ms: rounded(ms, 4),
      'GB/s': rounded(gbPerS),
      'TFLOP/s': tflops ? rounded(tflops) : '',
      'of copy': rounded(ofCopy),
      peers: Object.entries(peers)
        .map(([peer, { ratio }]) => `${peer} ${ratio.toFixed(2)}`)
        .join(', '),
      goals: error ?? checks.map(({ pass }) => (pass ? 'met' : 'not met')).join(', '),
    })),
  )
const missed = rows.flatMap(({ case: name, checks }) =>
  checks.flatMap(({ goal, wanted, found, pass }) =>
    pass ? [] : [`${name}: ${goal}: ${found === null ? 'not measured' : rounded(found)}, wanted ${wanted}`],
  ),
)
for (const line of missed) console.log(`not met: ${line}`)
process.exitCode = missed.length > 0 ? EXIT.failed : EXIT.complete
