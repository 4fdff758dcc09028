// What stays behind the machine's limits and nobody knows why is timed again, and the faster time counts.
import { expect, it } from 'vitest'
import { bench } from '../../lib/bench/bench.js'
import type { Row } from '../../lib/bench/result.js'
import type { Subject } from '../../lib/bench/subject.js'
import { defaultDevice, type Tensor } from '../../lib/index.js'

const subject = (name: string, run: (x: Tensor) => Tensor, reason?: string): Subject => ({
  family: 'test',
  name,
  dtype: 'f32',
  operands: [{ shape: [1024, 1024] }],
  run,
  gradient: false,
  reason,
  small: false,
})

it('only that, and each row stays one', async () => {
  // Far more than its memory traffic takes, whatever else the machine does.
  const slow = (x: Tensor): Tensor => Array.from({ length: 12 }).reduce((y: Tensor) => y.erf().exp().log(), x)
  const again: number[] = []
  const told: Row[] = []
  const { rows, failed } = await bench([subject('a', slow), subject('b', slow, 'it is known'), subject('c', slow)], {
    device: defaultDevice(),
    version: 'test',
    seconds: 0.001,
    onAgain: (count) => again.push(count),
    onRow: (row) => told.push(row),
  })
  expect(failed).toEqual([])
  expect(rows.map((row) => row.case)).toEqual(['a', 'b', 'c'])
  expect(again).toEqual([2, 2])
  expect(told.length).toBeGreaterThanOrEqual(3)
  for (const row of rows) {
    const own = told.filter(({ case: name }) => name === row.case)
    expect(row.roofline).toBe(Math.max(...own.map(({ roofline }) => roofline)))
  }
  expect(told.filter(({ case: name }) => name === 'b')).toHaveLength(1)
})
