// Cases of softmax and log-softmax.
import * as h from '../index.js'
import {
  CUBE,
  Dense,
  ELEMENTS,
  type ErrorCase,
  EXPONENTIALS,
  forEachIndex,
  MATRIX,
  type OpCase,
  rowsOf,
  shortRows,
} from './case.js'

/** Replaces every row along `axis` by what `change` makes of it, of any length. */
export function alongAxis(x: Dense, axis: number, change: (row: readonly number[]) => readonly number[]): Dense {
  const extent = x.shape[axis] as number
  const rows = new Map<string, readonly number[]>()
  forEachIndex(
    x.shape.map((own, k) => (k === axis ? 1 : own)),
    (index) => {
      const row = Array.from({ length: extent }, (_, i) =>
        x.at(...index.map((coordinate, k) => (k === axis ? i : coordinate))),
      )
      rows.set(index.join(), change(row))
    },
  )
  const length = [...rows.values()][0]?.length ?? extent
  return Dense.from(
    x.shape.map((own, k) => (k === axis ? length : own)),
    (index) =>
      rows.get(index.map((coordinate, k) => (k === axis ? 0 : coordinate)).join())?.[index[axis] as number] as number,
  )
}

export function softmaxOf(row: readonly number[]): number[] {
  const peak = Math.max(...row)
  const powers = row.map((x) => Math.exp(x - peak))
  const total = powers.reduce((a, b) => a + b, 0)
  return powers.map((x) => x / total)
}

export function logSoftmaxOf(row: readonly number[]): number[] {
  const peak = Math.max(...row)
  const total = row.reduce((sum, x) => sum + Math.exp(x - peak), 0)
  return row.map((x) => x - peak - Math.log(total))
}

const dot = (a: readonly number[], b: readonly number[]): number =>
  a.reduce((sum, v, i) => sum + v * (b[i] as number), 0)

function softmaxGradOf(row: readonly number[], slopes: readonly number[]): number[] {
  const y = softmaxOf(row)
  const sum = dot(y, slopes)
  return y.map((p, i) => p * ((slopes[i] as number) - sum))
}

function logSoftmaxGradOf(row: readonly number[], slopes: readonly number[]): number[] {
  const sum = slopes.reduce((a, b) => a + b, 0)
  return softmaxOf(row).map((p, i) => (slopes[i] as number) - p * sum)
}

const FAMILY = [
  ['softmax', h.softmax, softmaxOf, softmaxGradOf],
  ['logSoftmax', h.logSoftmax, logSoftmaxOf, logSoftmaxGradOf],
] as const

/** Lengths on either side of what a group of threads, a warp and a block hold at once, and odd ones. */
export const LENGTHS: readonly number[] = [8, 72, 197, 512, 1024, 2051, 8192, 17001]

/** A matrix as a view that starts at an odd element of its memory, where no wide load may begin. */
export const fromOdd = (x: h.Tensor, shape: readonly number[]): h.Tensor => h.reshape(h.slice(x, [1]), shape)
export const behindFirst = (x: Dense, shape: readonly number[]): Dense => new Dense(shape, x.data.subarray(1))

export const CASES: readonly OpCase[] = FAMILY.flatMap(([name, run, rule, gradient]): OpCase[] => [
  ...[0, 1, -1].map(
    (axis): OpCase => ({
      name: `${name} along axis ${axis}`,
      operands: [{ shape: [3, 4, 5] }],
      bench: { operands: [{ shape: CUBE }], ...EXPONENTIALS },
      run: (x) => run(x, { axis }),
      reference: (x) => alongAxis(x, axis < 0 ? axis + 3 : axis, rule),
    }),
  ),
  {
    name: `${name} of a vector`,
    operands: [{ shape: [7] }],
    bench: { operands: [{ shape: [ELEMENTS] }], ...EXPONENTIALS },
    run: (x) => run(x),
    reference: (x) => alongAxis(x, 0, rule),
  },
  {
    name: `${name} of long rows`,
    operands: [{ shape: [3, 1031], low: -10, high: 10 }],
    bench: { operands: [{ shape: [rowsOf(1031), 1031], low: -10, high: 10 }], ...EXPONENTIALS },
    run: (x) => run(x),
    reference: (x) => alongAxis(x, 1, rule),
    order: 0,
  },
  ...LENGTHS.map(
    (length): OpCase => ({
      name: `${name} of rows of ${length}`,
      operands: [{ shape: [3, length], low: -4, high: 4 }],
      bench: {
        operands: [{ shape: [rowsOf(length), length], low: -4, high: 4 }],
        ...EXPONENTIALS,
        ...shortRows(length),
      },
      run: (x) => run(x),
      reference: (x) => alongAxis(x, 1, rule),
      order: 0,
    }),
  ),
  ...LENGTHS.map(
    (length): OpCase => ({
      name: `${name}'s gradient of rows of ${length}`,
      operands: [{ shape: [3, length] }, { shape: [3, length] }],
      bench: {
        operands: [{ shape: [rowsOf(length), length] }, { shape: [rowsOf(length), length] }],
        ...shortRows(length),
      },
      run: (x, dy) => h.vjp([run(x)], [dy], [x]).get(x),
      reference: (x, dy) => {
        const rows = [0, 1, 2].map((i) => {
          const part = ({ data }: Dense): number[] => [...data.subarray(i * length, (i + 1) * length)]
          return gradient(part(x), part(dy))
        })
        return new Dense(x.shape, rows.flat())
      },
      order: 0,
      // The gradient is computed from the result as it is stored. What its rounding does to exp(y) is multiplied by the
      // sum of all cotangents.
      tolerance:
        name === 'softmax'
          ? { bf16: [1.6e-2, 1e-3], f16: [1e-3, 1.3e-4] }
          : { bf16: [1.6e-2, 3e-2], f16: [1e-3, 4e-3] },
    }),
  ),
  {
    name: `${name} of rows that start at an odd element`,
    operands: [{ shape: [1 + 3 * 72] }],
    run: (x) => run(fromOdd(x, [3, 72])),
    reference: (x) => alongAxis(behindFirst(x, [3, 72]), 1, rule),
    order: 0,
  },
  {
    name: `${name} where the exponentials alone would overflow`,
    operands: [{ shape: [4, 6], low: -2000, high: 2000 }],
    bench: { operands: [{ shape: MATRIX, low: -2000, high: 2000 }], ...EXPONENTIALS },
    run: (x) => run(x),
    reference: (x) => alongAxis(x, 1, rule),
    order: 0,
  },
  {
    name: `${name} of one class`,
    operands: [{ shape: [4, 1] }],
    run: (x) => run(x),
    reference: (x) => alongAxis(x, 1, rule),
  },
  {
    name: `${name} of infinities`,
    operands: [{ shape: [5, 9], apart: 0.25 }],
    bench: { operands: [{ shape: MATRIX }], ...EXPONENTIALS },
    run: (x) => run(h.where(h.gt(x, 0), x, Number.NEGATIVE_INFINITY)),
    reference: (x) =>
      alongAxis(
        x.map((v) => (v > 0 ? v : Number.NEGATIVE_INFINITY)),
        1,
        rule,
      ),
    order: 0,
  },
  {
    name: `${name} of no rows`,
    operands: [{ shape: [0, 4] }],
    run: (x) => run(x),
    reference: () => new Dense([0, 4]),
    order: 0,
  },
])

export const ERRORS: readonly ErrorCase[] = [
  {
    name: 'integers',
    call: () => h.softmax(h.tensor([1, 2], { dtype: 'i32' })),
    error: h.DTypeError,
    message: /softmax: it takes floats, not i32/,
  },
  {
    name: 'a scalar',
    call: () => h.logSoftmax(h.tensor(1)),
    error: h.ShapeError,
    message: /logSoftmax: a scalar has no axis/,
  },
  {
    name: 'an axis that is not there',
    call: () => h.softmax(h.tensor([1]), { axis: 1 }),
    error: h.ShapeError,
    message: /softmax: there is no axis 1/,
  },
  {
    name: 'a fractional axis',
    call: () => h.softmax(h.tensor([1]), { axis: 0.5 }),
    error: h.ShapeError,
    message: /softmax: there is no axis 0.5/,
  },
]
