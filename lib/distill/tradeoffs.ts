// Accuracy against bytes and latency: the Pareto front of measured models, and their table.
import { formatBytes } from '../schema/bytes.js'

export interface Measures {
  readonly accuracy: number
  readonly bytes: number
  readonly latencyMs: number
}

/** For each whether no other is at least as good in everything and better in something. */
export function paretoFront(list: readonly Measures[]): boolean[] {
  const dominates = (a: Measures, b: Measures): boolean =>
    a.accuracy >= b.accuracy &&
    a.bytes <= b.bytes &&
    a.latencyMs <= b.latencyMs &&
    (a.accuracy > b.accuracy || a.bytes < b.bytes || a.latencyMs < b.latencyMs)
  return list.map((one) => !list.some((other) => dominates(other, one)))
}

interface Row extends Measures {
  readonly name: string
  readonly parameters: number
  readonly onFront: boolean
  readonly withinBudget: boolean
}

/** A line for each, columns below one another. */
export function tableOf(rows: readonly Row[], pick: string | undefined): string {
  const cells = [
    ['candidate', 'accuracy', 'bytes', 'parameters', 'latency', ''],
    ...rows.map(({ name, accuracy, bytes, parameters, latencyMs, onFront, withinBudget }) => [
      name,
      accuracy.toFixed(4),
      formatBytes(bytes),
      String(parameters),
      `${latencyMs.toPrecision(3)} ms`,
      [onFront ? 'front' : '', withinBudget ? '' : 'over budget', name === pick ? 'pick' : '']
        .filter(Boolean)
        .join(', '),
    ]),
  ]
  const widths = cells[0]?.map((_, column) => Math.max(...cells.map((row) => (row[column] as string).length))) ?? []
  const lines = cells.map((row) =>
    row
      .map((cell, column) =>
        column === 0 || column === row.length - 1
          ? cell.padEnd(widths[column] as number)
          : cell.padStart(widths[column] as number),
      )
      .join('  ')
      .trimEnd(),
  )
  const none = pick === undefined ? ['no candidate is within the budget'] : []
  return `${[...lines, ...none].join('\n')}\n`
}
