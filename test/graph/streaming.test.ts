// Results of 16 MiB and more, which the CPU backend writes past its caches: the same bits as in parts.
import { describe, expect, it } from 'vitest'
import * as h from '../../lib/index.js'

/** A little above 16 MiB of f32, in rows that are no whole number of cache lines. */
const [ROWS, COLUMNS] = [1031, 4099]
const PARTS = 8

const values = (dtype: 'f32' | 'f64' | 'i32'): h.Tensor => {
  const data = Float64Array.from({ length: ROWS * COLUMNS }, (_, i) => ((i * 7919) % 20011) - 10005)
  return h.reshape(h.tensor(data, { dtype }), [ROWS, COLUMNS])
}

/** The same function of rows of `x` at a time, small enough for ordinary stores. */
async function inParts(run: (x: h.Tensor) => h.Tensor, x: h.Tensor): Promise<number[][]> {
  const parts: number[][] = []
  const rows = Math.ceil(ROWS / PARTS)
  for (let first = 0; first < ROWS; first += rows) {
    const part = await run(h.slice(x, [first, Math.min(ROWS, first + rows)])).data()
    parts.push(Array.from(part as Float32Array))
  }
  return parts
}

async function compare(run: (x: h.Tensor) => h.Tensor, x: h.Tensor): Promise<void> {
  const whole = (await run(x).data()) as Float32Array
  let at = 0
  for (const part of await inParts(run, x)) {
    const same = part.every((value, i) => Object.is(value, whole[at + i]))
    expect(same, `elements from ${at} on`).toBe(true)
    at += part.length
  }
  expect(at).toBe(whole.length)
}

describe('large results', () => {
  it.each(['f32', 'f64', 'i32'] as const)('%s', async (dtype) => {
    await compare((x) => h.add(h.mul(x, 3), x), values(dtype))
  })
  it('of a view that is only copied', async () => {
    await compare((x) => h.slice(x, undefined, [undefined, undefined, -1]), values('f32'))
  })
  it('of rows repeated, beside ones that are not', async () => {
    const row = h.tensor(Float32Array.from({ length: COLUMNS }, (_, i) => i))
    await compare((x) => h.mul(h.add(x, row), 0.5), values('f32'))
  })
  it('of a constant', async () => {
    const ones = (await h.full([ROWS, COLUMNS], 1.5).data()) as Float32Array
    expect(ones.every((value) => value === 1.5)).toBe(true)
  })
  it('in place', async () => {
    const cell = new h.Parameter(values('f32'))
    const before = (await cell.data()) as Float32Array
    await h.compile(() => cell.assign(cell.mul(2).add(1)))()
    const after = (await cell.data()) as Float32Array
    expect(after.every((value, i) => value === (before[i] as number) * 2 + 1)).toBe(true)
  })
  it('two of one program', async () => {
    const x = values('f32')
    const [twice, more] = await h.compile((a: h.Tensor) => [a.mul(2), a.add(1)])(x)
    const [data, first, second] = [await x.data(), await twice?.data(), await more?.data()] as Float32Array[]
    expect(data?.every((value, i) => first?.[i] === value * 2 && second?.[i] === value + 1)).toBe(true)
  })
  it('of rows taken by index, and of rows copied to others, of which the last stays', async () => {
    const x = values('f32')
    const data = (await x.data()) as Float32Array
    const indices = Int32Array.from({ length: ROWS }, (_, i) => (i * 389) % (i % 2 === 0 ? ROWS : 500))
    const index = h.tensor(indices)
    const expectRow = (found: Float32Array, row: number, sign: number, from: number): void => {
      const same = found
        .subarray(row * COLUMNS, (row + 1) * COLUMNS)
        .every((value, column) => value === sign * (data[from * COLUMNS + column] as number))
      expect(same, `row ${row}`).toBe(true)
    }
    const taken = (await h.take(x, index).data()) as Float32Array
    for (let row = 0; row < ROWS; row++) expectRow(taken, row, 1, indices[row] as number)
    const copied = (await h.indexCopy(x, index, h.mul(x, -1)).data()) as Float32Array
    for (let row = 0; row < ROWS; row++) {
      const last = indices.lastIndexOf(row)
      expectRow(copied, row, last < 0 ? 1 : -1, last < 0 ? row : last)
    }
    expect(indices.some((value, i) => indices.indexOf(value) !== i)).toBe(true)
    expect(Array.from({ length: ROWS }, (_, row) => indices.includes(row))).toContain(false)
  })
})
