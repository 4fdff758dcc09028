// Runs a file of tests by vitest, if need be under another program, and reads vitest's report.
import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export interface TestReport {
  readonly passed: number
  readonly failed: number
  readonly skipped: number
  /** Names of the tests that failed, each with the first line of why. */
  readonly failures: readonly string[]
}

export interface TestRunOptions {
  readonly device: string
  /** What is started with vitest's command line as arguments; default: nothing. */
  readonly under?: readonly string[]
  /** Only tests whose names this regular expression matches. */
  readonly filter?: string | undefined
  /** After which everything that was started is ended. */
  readonly seconds: number
}

/** The repository, or the unpacked bundle. */
export const root = fileURLToPath(new URL('../..', import.meta.url))

/** The parts of vitest's JSON report that are read. */
interface VitestReport {
  readonly testResults: readonly {
    readonly status: string
    readonly name: string
    readonly message?: string
    readonly assertionResults: readonly {
      readonly status: string
      readonly fullName: string
      readonly failureMessages?: readonly string[] | null
    }[]
  }[]
}

const FAILURES_KEPT = 20
const OUTPUT_KEPT = 2000

export function reportOf({ testResults }: VitestReport): TestReport {
  const tests = testResults.flatMap(({ assertionResults }) => assertionResults)
  const count = (status: string): number => tests.filter((test) => test.status === status).length
  const failures = tests.flatMap(({ status, fullName, failureMessages }) =>
    status === 'failed' ? [`${fullName}: ${(failureMessages?.[0] ?? '').split('\n')[0]}`] : [],
  )
  // A file that could not be loaded has no tests.
  const broken = testResults.flatMap(({ status, name, message = '', assertionResults }) =>
    status === 'failed' && assertionResults.every((test) => test.status !== 'failed')
      ? [`${name}: ${message.split('\n')[0]}`]
      : [],
  )
  const [passed, failed] = [count('passed'), failures.length + broken.length]
  const kept = [...broken, ...failures].slice(0, FAILURES_KEPT)
  return { passed, failed, skipped: tests.length - passed - failures.length, failures: kept }
}

/** Throws where there is no report: the process ended, or was ended, before. */
export async function runTests(file: string, options: TestRunOptions): Promise<TestReport> {
  const { device, under = [], filter, seconds } = options
  const folder = mkdtempSync(join(tmpdir(), 'heddle-tests-'))
  const output = join(folder, 'report.json')
  const vitest = [join(root, 'node_modules/vitest/vitest.mjs'), 'run', '--reporter=json', `--outputFile.json=${output}`]
  const arguments_ = ['--testTimeout=300000', '--hookTimeout=300000', ...(filter ? ['-t', filter] : []), file]
  const [program, ...rest] = [...under, process.execPath, ...vitest, ...arguments_] as [string, ...string[]]
  // A group of its own, so that what it starts ends with it.
  const child = spawn(program, rest, {
    cwd: root,
    env: { ...process.env, HEDDLE_TEST_DEVICE: device },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  })
  let said = ''
  const hear = (chunk: Buffer): void => {
    said = (said + chunk.toString()).slice(-OUTPUT_KEPT)
  }
  child.stdout.on('data', hear)
  child.stderr.on('data', hear)
  const timer = setTimeout(() => process.kill(-(child.pid as number), 'SIGKILL'), seconds * 1000)
  try {
    const ended = await new Promise<string>((resolve, reject) => {
      child.on('error', (error) => reject(new Error(`${program} cannot be started: ${error.message}`)))
      child.on('close', (code, signal) => resolve(signal ?? `exit code ${code}`))
    })
    if (!existsSync(output)) throw new Error(`${file}: no report (${ended}): ${said.trim().slice(-600)}`)
    return reportOf(JSON.parse(readFileSync(output, 'utf8')) as VitestReport)
  } finally {
    clearTimeout(timer)
    rmSync(folder, { recursive: true, force: true })
  }
}
