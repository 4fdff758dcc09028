// A saved benchmark to compare with: which cases got slower, or faster, beyond noise.
import { readFileSync } from 'node:fs'
import { FormatError } from '../index.js'
import { type BenchResult, type Comparison, headline, type Row } from './result.js'

/** Less is never called a change: so much differs from one run of a process to the next. */
const LEAST_CHANGE = 0.05

const isNumber = (value: unknown): boolean => typeof value === 'number' && value > 0 && Number.isFinite(value)

function isRow(row: unknown): row is Row {
  if (typeof row !== 'object' || row === null) return false
  const { case: name, dtype, shapes, bound, warm, cold } = row as Record<string, unknown>
  const isMeasured = (value: unknown): boolean =>
    typeof value === 'object' &&
    value !== null &&
    ['p50', 'low', 'high'].every((key) => isNumber((value as Record<string, unknown>)[key]))
  return (
    typeof name === 'string' &&
    typeof dtype === 'string' &&
    Array.isArray(shapes) &&
    (bound === 'arithmetic' || bound === 'memory') &&
    isMeasured(warm) &&
    isMeasured(cold)
  )
}

/** Reads what `--json` wrote. Throws `FormatError` for anything else. */
export function readBaseline(path: string): BenchResult {
  const wrong = (why: string, cause?: unknown): FormatError =>
    new FormatError(
      `${path}: it is no benchmark that heddle saved (${why}); give a file that --json wrote`,
      path,
      why,
      {
        cause,
      },
    )
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (cause) {
    throw new FormatError(`${path}: it can not be read: ${(cause as Error).message}`, path, undefined, { cause })
  }
  let found: unknown
  try {
    found = JSON.parse(text)
  } catch (cause) {
    throw wrong('it is no JSON', cause)
  }
  const { format, machine, rows } = (found ?? {}) as Partial<BenchResult>
  if (format !== 'heddle bench 1') throw wrong('it does not say so')
  if (!isNumber(machine?.copyBytesPerSecond)) throw wrong('its machine is missing')
  if (!Array.isArray(rows) || !rows.every(isRow)) throw wrong('a row is not as it should be')
  return found as BenchResult
}

const keyOf = ({ case: name, dtype, shapes }: Row): string => `${name} ${dtype} ${JSON.stringify(shapes)}`

/**
 * Compares medians: a case got slower where its interval of confidence lies above that of the baseline, and its median
 * by at least 5 %.
 */
export function compared(row: Row, baseline: BenchResult): Comparison | undefined {
  const key = keyOf(row)
  const before = baseline.rows.find((candidate) => keyOf(candidate) === key)
  if (!before) return undefined
  // Both are looked at where this run's row counts, whatever counted then.
  const [now, then] = [headline(row), row.bound === 'arithmetic' ? before.warm : before.cold]
  const ratio = now.p50 / then.p50
  const slower = now.low > then.high && ratio > 1 + LEAST_CHANGE
  const faster = now.high < then.low && ratio < 1 / (1 + LEAST_CHANGE)
  return { ratio, verdict: slower ? 'slower' : faster ? 'faster' : 'same' }
}

/** In what the machine itself differs from the baseline's, in words; empty where it does not. */
export function machineDifference({ machine }: BenchResult, { machine: before }: BenchResult): string {
  const told: string[] = []
  if (machine.kind !== before.kind || machine.instructionSet !== before.instructionSet)
    told.push(`it was measured on ${before.device} (${before.instructionSet})`)
  if (machine.threads !== before.threads) told.push(`with ${before.threads} threads, not ${machine.threads}`)
  const share = machine.copyBytesPerSecond / before.copyBytesPerSecond
  if (Math.abs(share - 1) > 0.1) told.push(`this machine copies memory at ${share.toFixed(2)} times its rate`)
  const [peak, peakBefore] = [machine.peaks.f32?.flopsPerSecond, before.peaks?.f32?.flopsPerSecond]
  if (peak && peakBefore && Math.abs(peak / peakBefore - 1) > 0.1)
    told.push(`this machine computes at ${(peak / peakBefore).toFixed(2)} times its rate`)
  return told.join('; ')
}
