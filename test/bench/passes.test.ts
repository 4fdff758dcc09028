// What stays behind the machine's limits and nobody knows why is timed again, and the larger share counts.
import { expect, it } from 'vitest'
import { timeAll } from '../../lib/bench/passes.js'
import type { FailedRow, Row } from '../../lib/bench/result.js'
import type { Subject } from '../../lib/bench/subject.js'
import { rowOf } from './result.js'

const subject = (name: string): Subject => ({
  family: 'test',
  name,
  dtype: 'f32',
  operands: [],
  run: (x) => x,
  gradient: false,
  reason: undefined,
  instructions: undefined,
  small: false,
})

/** Times cases that come as near to the roofline as `shares` says, at the first time, the second and so on. */
async function passes(shares: Readonly<Record<string, readonly number[]>>, changes: Partial<Row> = {}) {
  const [again, told, failures] = [[] as number[], [] as Row[], [] as FailedRow[]]
  const times = new Map<string, number>()
  const time = async ({ name }: Subject): Promise<Row> => {
    const count = times.get(name) ?? 0
    times.set(name, count + 1)
    const roofline = shares[name]?.[count]
    if (roofline === undefined) throw new Error(`${name} can not be timed`)
    return rowOf({ case: name, roofline, ...changes })
  }
  const { rows, failed } = await timeAll(Object.keys(shares).map(subject), time, {
    onAgain: (count) => again.push(count),
    onRow: (row) => told.push(row),
    onFailure: (failure) => failures.push(failure),
  })
  const brief = (list: readonly Row[]) => list.map(({ case: name, roofline }) => [name, roofline])
  return { again, rows: brief(rows), told: brief(told), failed, failures }
}

it('only that, twice at most, and each row stays one', async () => {
  const { again, rows, told, failed } = await passes({
    a: [0.5, 0.4, 0.7],
    b: [0.9],
    c: [0.5, 0.85],
    d: [0.3, 0.3, 0.2],
  })
  expect(failed).toEqual([])
  expect(again).toEqual([3, 2])
  expect(rows).toEqual([
    ['a', 0.7],
    ['b', 0.9],
    ['c', 0.85],
    ['d', 0.3],
  ])
  // A time that is no better is not told.
  expect(told.slice(4)).toEqual([
    ['c', 0.85],
    ['a', 0.7],
  ])
})

it('nothing that has a reason or no size for timing', async () => {
  expect((await passes({ a: [0.5] }, { reason: 'it is known' })).again).toEqual([])
  expect((await passes({ a: [0.5] }, { small: true })).again).toEqual([])
})

it('goes on where a case fails', async () => {
  const { rows, failed, failures } = await passes({ a: [], b: [0.9] })
  expect(rows).toEqual([['b', 0.9]])
  expect(failed).toEqual([{ case: 'a', error: 'a can not be timed' }])
  expect(failures).toEqual(failed)
  // At the second time too: the first one's row stays.
  const later = await passes({ a: [0.5] })
  expect(later.rows).toEqual([['a', 0.5]])
  expect(later.failed).toHaveLength(2)
})
