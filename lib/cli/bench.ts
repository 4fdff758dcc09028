// heddle bench: every case timed, beside what this machine gives at most.
import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { compared, machineDifference, readBaseline } from '../bench/baseline.js'
import { bench as run } from '../bench/bench.js'
import { renderPage } from '../bench/page/render.js'
import type { BenchResult } from '../bench/result.js'
import { named, type Selection, type Subject, subjectsOf } from '../bench/subject.js'
import { COLUMNS, cellsOf, lineOf, machineLines, summaryLines } from '../bench/table.js'
import { ArgumentError, device, HeddleError, type Shape, setDefaultDevice } from '../index.js'
import { version } from '../runtime/installation.js'
import { DTYPES, isDType } from '../schema/dtype.js'
import { formatShape } from '../schema/shape.js'

const USAGE = `Usage: heddle bench [PATTERN] [options]

Times the cases whose name has PATTERN in it, fits it as a glob ('softmax: *'), or as a regular expression (/of rows/);
all of them without one. Each is timed cold (nothing of it in a cache) and warm, and held against this machine's own
limits, which are measured first.

  --device NAME     cpu (the default), cuda, cuda:1, auto
  --dtype DTYPE     ${DTYPES.join(', ')}; the default is f32, or what a case has instead
  --shape SHAPES    for each operand, as in 1024x512,512x64; one stands for all
  --gradients       the gradients too
  --small           at the shapes of the tests: shows that everything runs
  --seconds S       of timed runs of a case, cold and warm each; default 0.25
  --json FILE       the figures
  --html FILE       a page with the roofline and a table
  --baseline FILE   what --json wrote before: says what got slower or faster beyond noise
  --from FILE       shows what --json wrote instead of timing
  --list            names the cases

Exit code 1 where a case fails or got slower than the baseline.`

const OPTIONS = {
  device: { type: 'string' },
  dtype: { type: 'string' },
  shape: { type: 'string' },
  gradients: { type: 'boolean' },
  small: { type: 'boolean' },
  seconds: { type: 'string' },
  json: { type: 'string' },
  html: { type: 'string' },
  baseline: { type: 'string' },
  from: { type: 'string' },
  list: { type: 'boolean' },
  help: { type: 'boolean' },
} as const

type Values = ReturnType<typeof parseArgs<{ options: typeof OPTIONS; allowPositionals: true }>>['values']

/** `1024x512,512x64` as shapes; a scalar is `1` or nothing between commas. */
function shapesOf(text: string): Shape[] {
  return text.split(',').map((part) => {
    const extents = part.trim().split(/[x*]/).map(Number)
    if (part.trim() === '' || !extents.every((extent) => Number.isSafeInteger(extent) && extent > 0))
      throw new ArgumentError(`--shape takes shapes such as 1024x512,512x64, not '${text}'`)
    return extents
  })
}

function selectionOf(pattern: string | undefined, { dtype, shape, small, gradients }: Values): Selection {
  if (dtype !== undefined && !isDType(dtype))
    throw new ArgumentError(`--dtype takes one of ${DTYPES.join(', ')}, not '${dtype}'`)
  if (small && shape !== undefined) throw new ArgumentError('--small and --shape both say at which shapes; give one')
  const shapes = shape === undefined ? undefined : shapesOf(shape)
  return { pattern, dtype, shapes, small: small === true, gradients: gradients === true }
}

function secondsOf({ seconds = '0.25' }: Values): number {
  const number = Number(seconds)
  if (!(number > 0 && number <= 600))
    throw new ArgumentError(`--seconds takes a number above 0, up to 600, not '${seconds}'`)
  return number
}

function list(subjects: readonly Subject[]): void {
  for (const { name, dtype, operands } of subjects)
    console.log(`${name}  ${dtype}  ${operands.map(({ shape }) => formatShape(shape)).join(' ')}`)
}

/** Times, or takes what was timed before, telling of it as it comes. */
async function resultOf(pattern: string | undefined, values: Values): Promise<BenchResult> {
  const baseline = values.baseline === undefined ? undefined : readBaseline(values.baseline)
  const head = (result: Pick<BenchResult, 'machine'>): void => {
    console.log(`${machineLines(result.machine).join('\n')}\n\n${lineOf(COLUMNS)}`)
  }
  if (values.from !== undefined) {
    const before = readBaseline(values.from)
    const fits = named(pattern)
    const rows = before.rows
      .filter((row) => fits(row.case))
      .map(({ comparison: _, ...row }) => {
        const comparison = baseline && compared(row, baseline)
        return comparison ? { ...row, comparison } : row
      })
    head(before)
    for (const row of rows) console.log(lineOf(cellsOf(row)))
    return { ...before, rows }
  }
  const target = device(values.device ?? 'cpu')
  setDefaultDevice(target)
  return run(subjectsOf(selectionOf(pattern, values)), {
    device: target,
    version: version(),
    seconds: secondsOf(values),
    baseline,
    onMachine: (machine) => head({ machine }),
    onRow: (row) => console.log(lineOf(cellsOf(row))),
    onAgain: (count) => console.log(`\nAgain, ${count} that stay behind without a reason:`),
    onFailure: ({ case: name, error }) => console.error(`${name}: ${error}`),
  }).then((result) => {
    const difference = baseline && machineDifference(result, baseline)
    if (difference) console.log(`\nThe baseline is of another state of the machine: ${difference}.`)
    return result
  })
}

/** Runs the command and gives its exit code. */
export async function bench(argv: readonly string[]): Promise<number> {
  let parsed: { values: Values; positionals: string[] }
  try {
    parsed = parseArgs({ args: [...argv], allowPositionals: true, options: OPTIONS })
  } catch (error) {
    console.error(`heddle bench: ${(error as Error).message}\n\n${USAGE}`)
    return 2
  }
  const { values, positionals } = parsed
  if (values.help || positionals.length > 1) {
    ;(values.help ? console.log : console.error)(USAGE)
    return values.help ? 0 : 2
  }
  const [pattern] = positionals
  try {
    if (values.list) {
      list(subjectsOf(selectionOf(pattern, values)))
      return 0
    }
    const result = await resultOf(pattern, values)
    console.log(`\n${summaryLines(result).join('\n')}`)
    if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(result, null, 1)}\n`)
    if (values.html !== undefined) writeFileSync(values.html, renderPage(result))
    return result.failed.length > 0 || result.rows.some(({ comparison }) => comparison?.verdict === 'slower') ? 1 : 0
  } catch (error) {
    if (!(error instanceof HeddleError) && (error as NodeJS.ErrnoException).code === undefined) throw error
    console.error(`heddle bench: ${(error as Error).message.replace(/^heddle bench: /, '')}`)
    return error instanceof ArgumentError ? 2 : 1
  }
}
