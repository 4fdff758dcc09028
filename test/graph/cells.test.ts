// Random sequences of reads and assignments of cells, compiled and not, against plain arrays.
import { describe, expect, it } from 'vitest'
import * as h from '../../lib/index.js'
import { generator } from '../ops/check.js'

const N = 4
const SIZE = N * N
type Square = Float64Array

/** What a script does to cells `a`, `b`, `c`; `x` is the argument of the call, `w` a column. */
interface Action {
  readonly kind: number
  readonly a: number
  readonly b: number
  readonly c: number
  readonly w: number
}

const transposed = (m: Square): Square => m.map((_, i) => m[(i % N) * N + Math.floor(i / N)] as number)
const product = (a: Square, b: Square): Square =>
  a.map((_, i) => {
    let sum = 0
    for (let k = 0; k < N; k++) sum += (a[Math.floor(i / N) * N + k] as number) * (b[k * N + (i % N)] as number)
    return sum
  })
const sum = (a: Square, b: Square): Square => a.map((v, i) => v + (b[i] as number))

/** The script on plain arrays: changes `cells` and gives what was read. */
function simulate(script: readonly Action[], cells: Square[], x: Square): Square[] {
  const read: Square[] = []
  for (const { kind, a, b, c, w } of script) {
    const [A, B, C] = [cells[a], cells[b], cells[c]] as [Square, Square, Square]
    if (kind === 0) cells[a] = sum(B, C).map(Math.tanh)
    else if (kind === 1) cells[a] = transposed(B)
    else if (kind === 2) [cells[a], cells[(a + 1) % 3]] = [B, C]
    else if (kind === 3) cells[a] = product(B, C).map(Math.tanh)
    else if (kind === 4) read.push(A)
    else if (kind === 5) read.push(transposed(A).map((v, i) => v * (x[i] as number)))
    else if (kind === 6)
      cells[a] = sum(
        A.map((v) => v / 2),
        x,
      )
    else if (kind === 7) cells[a] = B.map((_, i) => (B[Math.floor(i / N) * N + w] as number) + (A[i] as number) / 8)
    else if (kind === 8) cells[a] = A.map((v, i) => (Math.floor(i / N) === w ? (C[i % N] as number) : v))
    else if (kind === 9) cells[a] = B.map((v, i) => (Math.floor(i / N) === w ? (A[i % N] as number) : v))
    else cells[a] = x
  }
  return read
}

/** The same script on cells. */
function perform(script: readonly Action[], cells: readonly h.Cell[], x: h.Tensor): h.Tensor[] {
  const read: h.Tensor[] = []
  for (const { kind, a, b, c, w } of script) {
    const [A, B, C] = [cells[a], cells[b], cells[c]] as [h.Cell, h.Cell, h.Cell]
    if (kind === 0) A.assign(h.tanh(B.add(C)))
    else if (kind === 1) A.assign(B.transpose())
    else if (kind === 2)
      h.assign([
        [A, B],
        [cells[(a + 1) % 3] as h.Cell, C],
      ])
    else if (kind === 3) A.assign(h.tanh(h.matmul(B, C)))
    else if (kind === 4) read.push(A.mul(1))
    else if (kind === 5) read.push(A.transpose().mul(x))
    else if (kind === 6) A.assign(A.mul(0.5).add(x))
    else if (kind === 7)
      A.assign(
        B.slice(undefined, [w, w + 1])
          .broadcastTo([N, N])
          .add(A.mul(0.125)),
      )
    else if (kind === 8) A.assign(h.indexCopy(A, h.full([2], w, { dtype: 'i32' }), C.slice([0, 1]).broadcastTo([2, N])))
    else if (kind === 9) A.assign(h.indexCopy(B, h.full([1], w, { dtype: 'i32' }), A.slice([0, 1])))
    else A.assign(x)
  }
  return read
}

async function expectSame(found: readonly h.Tensor[], wanted: readonly Square[], what: string): Promise<void> {
  for (const [k, x] of found.entries()) {
    const data = (await x.data()) as Float64Array
    data.forEach((v, i) => {
      if (!(Math.abs(v - (wanted[k]?.[i] as number)) <= 1e-9))
        expect.fail(`${what} ${k}: element ${i} is ${v}, not ${wanted[k]?.[i]}`)
    })
  }
}

describe.each(Array.from({ length: 10 }, (_, i) => i))('random scripts %i', (block) => {
  it('leave cells, results and what was read before as plain arrays have them', async () => {
    for (let seed = 30 * block; seed < 30 * block + 30; seed++) {
      const random = generator(seed)
      const draw = (below: number): number => Math.floor(random() * below)
      const script = Array.from(
        { length: 3 + draw(10) },
        (): Action => ({ kind: draw(11), a: draw(3), b: draw(3), c: draw(3), w: draw(N) }),
      )
      const square = (): Square => Float64Array.from({ length: SIZE }, () => random() * 2 - 1)
      const model = [square(), square(), square()]
      const cells = model.map((m) => new h.Cell<h.DType>(h.tensor(m, { shape: [N, N] })))
      const compiled = h.compile((x: h.Tensor) => perform(script, cells, x))
      for (let call = 0; call < 4; call++) {
        const argument = square()
        const x = h.tensor(argument, { shape: [N, N] })
        const [before, beforeWanted] = [cells.map((cell) => cell.mul(1)), [...model]]
        const wanted = simulate(script, model, argument)
        const found = call === 2 ? perform(script, cells, x) : await compiled(x)
        const what = `script ${seed} ${JSON.stringify(script)}, call ${call}`
        expect(found.length).toBe(wanted.length)
        await expectSame(found, wanted, `${what}, result`)
        await expectSame(cells, model, `${what}, cell`)
        await expectSame(before, beforeWanted, `${what}, read before,`)
      }
    }
  })
})
