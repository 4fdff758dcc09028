// Runs benchmarks: the machine first, then each case; what fails is told and the others go on.
import { type Device, Generator } from '../index.js'
import { compared } from './baseline.js'
import { type Machine, measureMachine } from './machine.js'
import { measure } from './measure.js'
import { cacheSweep } from './operands.js'
import { type BenchResult, type FailedRow, isUnexplained, type Row } from './result.js'
import type { Subject } from './subject.js'

export interface BenchOptions {
  readonly device: Device
  readonly version: string
  /** Of timed runs of a case, cold and warm each. */
  readonly seconds: number
  readonly baseline?: BenchResult | undefined
  readonly onMachine?: (machine: Machine) => void
  readonly onRow?: (row: Row) => void
  /** Before cases are timed again; their rows follow where they were faster. */
  readonly onAgain?: (count: number) => void
  readonly onFailure?: (failed: FailedRow) => void
}

/** Neighbours on a shared machine come and go within minutes. */
const PASSES_AGAIN = 2

/** Times subjects on a device; those that stay behind and nobody knows why again at the end, where the faster time counts. */
export async function bench(subjects: readonly Subject[], options: BenchOptions): Promise<BenchResult> {
  const { device, version, seconds, baseline, onMachine, onRow, onAgain, onFailure } = options
  const dtypes = new Set(
    subjects.flatMap(({ dtype, operands }) => [dtype, ...operands.map((spec) => spec.dtype ?? dtype)]),
  )
  const machine = await measureMachine(device, dtypes)
  onMachine?.(machine)
  const generator = new Generator(1)
  const sweep = await cacheSweep(device, generator)
  const time = async (subject: Subject): Promise<Row> => {
    const measured = await measure(subject, { device, machine, generator, sweep, seconds })
    const comparison = baseline && compared(measured, baseline)
    return comparison ? { ...measured, comparison } : measured
  }
  const rows = new Map<Subject, Row>()
  const failed: FailedRow[] = []
  for (const subject of subjects) {
    try {
      const row = await time(subject)
      rows.set(subject, row)
      onRow?.(row)
    } catch (error) {
      const failure = { case: subject.name, error: (error as Error).message }
      failed.push(failure)
      onFailure?.(failure)
    }
  }
  for (let pass = 0; pass < PASSES_AGAIN; pass++) {
    const behind = [...rows].filter(([, row]) => isUnexplained(row))
    if (behind.length > 0) onAgain?.(behind.length)
    for (const [subject, before] of behind) {
      const row = await time(subject)
      if (row.roofline <= before.roofline) continue
      rows.set(subject, row)
      onRow?.(row)
    }
  }
  return {
    format: 'heddle bench 1',
    heddle: version,
    node: process.versions.node,
    written: new Date().toISOString(),
    machine,
    rows: [...rows.values()],
    failed,
  }
}
