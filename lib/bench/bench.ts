// Runs benchmarks: the machine first, then each case.
import { type Device, Generator } from '../index.js'
import { compared } from './baseline.js'
import { type Machine, measureMachine } from './machine.js'
import { measure } from './measure.js'
import { type PassOptions, timeAll } from './passes.js'
import type { BenchResult, Row } from './result.js'
import type { Subject } from './subject.js'
import { Turns } from './turns.js'

export interface BenchOptions extends PassOptions {
  readonly device: Device
  readonly version: string
  /** Of timed runs of a case, cold and warm each. */
  readonly seconds: number
  readonly baseline?: BenchResult | undefined
  readonly onMachine?: (machine: Machine) => void
}

/** Times subjects on a device; those that stay behind and nobody knows why again at the end, where the larger share counts. */
export async function bench(subjects: readonly Subject[], options: BenchOptions): Promise<BenchResult> {
  const { device, version, seconds, baseline, onMachine } = options
  const dtypes = new Set(
    subjects.flatMap(({ dtype, operands }) => [dtype, ...operands.map((spec) => spec.dtype ?? dtype)]),
  )
  const machine = await measureMachine(device, dtypes, seconds)
  onMachine?.(machine)
  const generator = new Generator(1)
  const turns = await Turns.on(device, machine, generator)
  const time = async (subject: Subject): Promise<Row> => {
    const measured = await measure(subject, { device, machine, generator, turns, seconds })
    const comparison = baseline && compared(measured, baseline)
    return comparison ? { ...measured, comparison } : measured
  }
  const { rows, failed } = await timeAll(subjects, time, options)
  turns.dispose()
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
