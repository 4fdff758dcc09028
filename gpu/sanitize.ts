// Runs op tests under compute-sanitizer: memcheck on everything they launch, racecheck and synccheck on our own kernels.
//   node dist/gpu/sanitize.js [--device cuda] [--results FOLDER] [--only TEXT] [--sanitizer PROGRAM]
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Row } from '../bench/cuda/results.js'
import { EXIT, runCases, stageOf, told } from '../bench/cuda/stage.js'
import { findingsOf, type SanitizerFindings } from './sanitizerLog.js'
import { runTests, type TestReport } from './testRun.js'

export interface SanitizerRow extends Row, Partial<SanitizerFindings> {
  readonly tool?: string
  readonly family?: string
  /** What the tests themselves came to meanwhile. */
  readonly tests?: TestReport
}

/** The forward pass in two dtypes and the first gradient: every kernel, without what only repeats them. */
const CASES_ONLY = '(f32|bf16) forward$|(?<!of the) gradient$'
const FORWARD_ONLY = 'f32 forward$'

/** Families, and which of their tests; undefined: all. */
const FAMILIES: readonly (readonly [family: string, filter: string | undefined])[] = [
  ['softmax', CASES_ONLY],
  ['norm', CASES_ONLY],
  ['loss', undefined],
  ['attention', CASES_ONLY],
  ['matmul', CASES_ONLY],
  ['conv', CASES_ONLY],
  ['pool', CASES_ONLY],
  ['reduce', CASES_ONLY],
  ['gather', CASES_ONLY],
  ['concat', CASES_ONLY],
  ['optimizer', undefined],
  ['random', undefined],
  ['activation', FORWARD_ONLY],
  ['element', FORWARD_ONLY],
  ['view', FORWARD_ONLY],
]
/** Families without shared memory and barriers: nothing for the two other tools. */
const WITHOUT_BARRIERS = new Set(['concat', 'random', 'activation', 'element', 'view'])

// Names contain the namespace, those of compiled programs begin so.
const OWN_KERNELS = ['--kernel-name', 'kns=heddle', '--kernel-name', 'kns=fused']
const TOOLS: Readonly<Record<string, readonly string[]>> = {
  // Tests make calls fail on purpose; what lies behind a block is watched too.
  memcheck: ['--report-api-errors', 'no', '--padding', '256'],
  racecheck: OWN_KERNELS,
  synccheck: OWN_KERNELS,
}
const COMMON = ['--target-processes', 'all', '--check-exit-code', 'no', '--show-backtrace', 'device']
const SECONDS_PER_CASE = 40
const MOST_SECONDS_PER_CASE = 240

const stage = stageOf(process.argv.slice(2), { sanitizer: { type: 'string', default: 'compute-sanitizer' } })
const cases = Object.keys(TOOLS).flatMap((tool) =>
  FAMILIES.filter(([family]) => tool === 'memcheck' || !WITHOUT_BARRIERS.has(family)).map(([family, filter]) => ({
    case: `${tool} ${family}`,
    tool,
    family,
    filter,
  })),
)
const results = stage.results<SanitizerRow>('sanitize')
const chosen = stage.quick ? cases.filter(({ family }) => family === 'softmax') : cases
const code = await runCases(stage, results, chosen, {
  seconds: SECONDS_PER_CASE,
  measure: async ({ tool, family, filter }) => {
    const folder = mkdtempSync(join(tmpdir(), 'heddle-sanitizer-'))
    const log = join(folder, 'log')
    try {
      const sanitizer = String(stage.own['sanitizer'])
      const under = [sanitizer, '--tool', tool, ...COMMON, ...(TOOLS[tool] ?? []), '--log-file', log]
      const seconds = Math.min(stage.secondsLeft(), MOST_SECONDS_PER_CASE)
      const tests = await runTests(`test/ops/${family}.test.ts`, { device: stage.device, under, filter, seconds })
      if (tests.passed === 0) throw new Error(`no test passed under ${tool}: ${tests.failures[0] ?? 'none was run'}`)
      if (!existsSync(log)) throw new Error(`${sanitizer} wrote no log`)
      return { tool, family, ...findingsOf(readFileSync(log, 'utf8')), tests }
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  },
  told: (row) => told(row, ['errors', 'warnings']),
})
const found = results.rows.filter(({ errors = 0, warnings = 0 }) => errors + warnings > 0)
for (const { case: name, first = [] } of found) console.log(`${name}: ${first.join('; ')}`)
process.exitCode = code === EXIT.complete && found.length > 0 ? EXIT.failed : code
