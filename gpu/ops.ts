// Runs the tests that every device must pass on the GPU, file by file.
//   node dist/gpu/ops.js [--device cuda] [--results FOLDER] [--only TEXT]
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Row } from '../bench/cuda/results.js'
import { EXIT, runCases, stageOf, told } from '../bench/cuda/stage.js'
import { root, runTests, type TestReport } from './testRun.js'

export interface TestRow extends Row, Partial<TestReport> {
  readonly seconds?: number
}

/** The ops, what is about CUDA alone, and what is the same on every device. */
const FOLDERS = ['test/ops', 'test/cuda', 'test/graph', 'test/nn', 'test/optim']
const QUICK = ['test/ops/softmax.test.ts', 'test/cuda/device.test.ts']
const SECONDS_PER_FILE = 15
const MOST_SECONDS_PER_FILE = 240

const stage = stageOf(process.argv.slice(2))
const files = FOLDERS.flatMap((folder) =>
  readdirSync(join(root, folder))
    .filter((name) => name.endsWith('.test.ts'))
    .sort()
    .map((name) => `${folder}/${name}`),
)
const chosen = stage.quick ? QUICK : files
const results = stage.results<TestRow>('ops')
const code = await runCases(
  stage,
  results,
  chosen.map((file) => ({ case: file })),
  {
    seconds: SECONDS_PER_FILE,
    measure: async ({ case: file }) => {
      const start = performance.now()
      const seconds = Math.min(stage.secondsLeft(), MOST_SECONDS_PER_FILE)
      const report = await runTests(file, { device: stage.device, seconds })
      return { ...report, seconds: (performance.now() - start) / 1000 }
    },
    told: (row) => told(row, ['passed', 'failed', 'skipped', 'seconds']),
  },
)
const failures = results.rows.flatMap(({ case: file, failures = [] }) => failures.map((name) => `${file}: ${name}`))
for (const failure of failures) console.log(`failed: ${failure}`)
process.exitCode = code === EXIT.complete && failures.length > 0 ? EXIT.failed : code
