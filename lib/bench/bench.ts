// Runs benchmarks: the machine first, then each case; what fails is told and the others go on.
import { type Device, Generator } from '../index.js'
import { compared } from './baseline.js'
import { type Machine, measureMachine } from './machine.js'
import { measure } from './measure.js'
import { cacheSweep } from './operands.js'
import type { BenchResult, FailedRow, Row } from './result.js'
import type { Subject } from './subject.js'

export interface BenchOptions {
  readonly device: Device
  readonly version: string
  /** Of timed runs of a case, cold and warm each. */
  readonly seconds: number
  readonly baseline?: BenchResult | undefined
  readonly onMachine?: (machine: Machine) => void
  readonly onRow?: (row: Row) => void
  readonly onFailure?: (failed: FailedRow) => void
}

/** Times subjects on a device. */
export async function bench(subjects: readonly Subject[], options: BenchOptions): Promise<BenchResult> {
  const { device, version, seconds, baseline, onMachine, onRow, onFailure } = options
  const dtypes = new Set(
    subjects.flatMap(({ dtype, operands }) => [dtype, ...operands.map((spec) => spec.dtype ?? dtype)]),
  )
  const machine = await measureMachine(device, dtypes)
  onMachine?.(machine)
  const generator = new Generator(1)
  const sweep = await cacheSweep(device, generator)
  const rows: Row[] = []
  const failed: FailedRow[] = []
  for (const subject of subjects) {
    try {
      const measured = await measure(subject, { device, machine, generator, sweep, seconds })
      const comparison = baseline && compared(measured, baseline)
      const row = comparison ? { ...measured, comparison } : measured
      rows.push(row)
      onRow?.(row)
    } catch (error) {
      const failure = { case: subject.name, error: (error as Error).message }
      failed.push(failure)
      onFailure?.(failure)
    }
  }
  return {
    format: 'heddle bench 1',
    heddle: version,
    node: process.versions.node,
    written: new Date().toISOString(),
    machine,
    rows,
    failed,
  }
}
