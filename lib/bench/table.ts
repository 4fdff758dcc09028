// Benchmarks as text: the machine's limits, and a line per case.
import { formatBytes } from '../schema/bytes.js'
import { formatShape } from '../schema/shape.js'
import type { Machine } from './machine.js'
import { type BenchResult, EXPECTED, headline, isUnexplained, type Row } from './result.js'

const digits = (value: number): string =>
  value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2)

/** Seconds in the unit that fits. */
export function formatSeconds(seconds: number): string {
  if (seconds >= 1) return `${digits(seconds)} s`
  return seconds >= 1e-3 ? `${digits(seconds * 1e3)} ms` : `${digits(seconds * 1e6)} us`
}

export const formatShare = (share: number): string => `${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %`

/** The machine in one line, its limits in another. */
export function machineLines({
  device,
  instructionSet,
  threads,
  copyBytesPerSecond,
  ordinaryCopyBytesPerSecond,
  readBytesPerSecond,
  peaks,
  callSeconds,
}: Machine): string[] {
  const arithmetic = Object.entries(peaks).map(
    ([dtype, { flopsPerSecond, by }]) =>
      `${dtype} ${digits(flopsPerSecond / 1e9)} GFLOP/s${by === 'a large product' ? ' (a large product)' : ''}`,
  )
  return [
    `${device}, ${instructionSet}, ${threads} thread${threads === 1 ? '' : 's'}; a call alone takes ${formatSeconds(callSeconds)}`,
    `copy ${digits(copyBytesPerSecond / 1e9)} GB/s (with ordinary stores ${digits(ordinaryCopyBytesPerSecond / 1e9)})${readBytesPerSecond ? `, reading ${digits(readBytesPerSecond / 1e9)} GB/s` : ''}; ${arithmetic.join(', ')}`,
  ]
}

export const COLUMNS = [
  'case',
  'dtype',
  'shapes',
  'cold',
  'p99',
  'warm',
  'p99',
  'GFLOP/s',
  'GB/s',
  'roofline',
  'memory',
  '',
] as const

const compared = ({ comparison }: Row): string =>
  comparison ? `${comparison.ratio.toFixed(2)} x${comparison.verdict === 'same' ? '' : `, ${comparison.verdict}`}` : ''

/** The cells of a row, in the order of `COLUMNS`. */
export function cellsOf(row: Row): string[] {
  const { warm, cold, memory, bound, reason } = row
  const { gflops, gbPerS } = headline(row)
  return [
    row.case,
    row.dtype,
    row.shapes.map(formatShape).join(' '),
    formatSeconds(cold.p50),
    formatSeconds(cold.p99),
    formatSeconds(warm.p50),
    formatSeconds(warm.p99),
    gflops > 0 ? digits(gflops) : '-',
    digits(gbPerS),
    `${formatShare(row.roofline)} of ${bound}`,
    formatBytes(memory.arenaBytes + memory.allocatedBytes),
    [compared(row), row.roofline < EXPECTED ? reason : undefined].filter(Boolean).join('; '),
  ]
}

const NUMBERS_FROM = 3
const NAME_WIDTH = 60

/** A line of a table whose columns are as wide as their heads and usual contents. */
export function lineOf(cells: readonly string[]): string {
  const widths = [NAME_WIDTH, 5, 28, 9, 9, 9, 9, 8, 7, 18, 10, 0]
  return cells
    .map((cell, i) => {
      const width = widths[i] ?? 0
      return i >= NUMBERS_FROM && i < cells.length - 1 ? cell.padStart(width) : cell.padEnd(width)
    })
    .join(' ')
    .trimEnd()
}

/** What is said behind the table: how many cases, the worst of them, and what got slower. */
export function summaryLines({ rows, failed }: BenchResult): string[] {
  const large = rows.filter(({ small }) => !small)
  const behind = large.filter(({ roofline }) => roofline < EXPECTED)
  const lines = [
    `${rows.length} cases${failed.length > 0 ? `, ${failed.length} failed` : ''}; of ${large.length} at a size for timing, ` +
      `${large.length - behind.length} reach 80 % of the roofline, ${rows.filter(isUnexplained).length} stay behind without a reason`,
  ]
  for (const verdict of ['slower', 'faster'] as const) {
    const changed = rows.filter(({ comparison }) => comparison?.verdict === verdict)
    if (changed.length === 0) continue
    lines.push(`${changed.length} ${verdict} than the baseline:`)
    for (const row of changed)
      lines.push(`  ${row.case} (${row.dtype}): ${row.comparison?.ratio.toFixed(2)} times as long`)
  }
  return lines
}
