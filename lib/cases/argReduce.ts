// Cases of the positions of extremes: argmax, argmin.
import * as h from '../index.js'
import { CUBE, Dense, ELEMENTS, type ErrorCase, MATRIX, type OpCase, rowsOf } from './case.js'
import { axisFrom, EVERY } from './gather.js'
import { behindFirst, fromOdd } from './softmax.js'

/** The index of the first extreme along `axis`; NaN is one. */
function extremeOf(x: Dense, axis: number, better: (a: number, b: number) => boolean): Dense {
  return Dense.from(
    x.shape.filter((_, k) => k !== axis),
    (rest) => {
      const at = (i: number): number => x.at(...rest.slice(0, axis), i, ...rest.slice(axis))
      let best = 0
      for (let i = 1; i < (x.shape[axis] as number); i++) {
        if (!Number.isNaN(at(best)) && (better(at(i), at(best)) || Number.isNaN(at(i)))) best = i
      }
      return best
    },
  )
}

const EXTREMES = [
  ['argmax', h.argmax, (a: number, b: number) => a > b],
  ['argmin', h.argmin, (a: number, b: number) => a < b],
] as const

export const CASES: readonly OpCase[] = [
  ...EXTREMES.flatMap(([name, run, better]): OpCase[] => [
    ...[0, 1, -1].map(
      (axis): OpCase => ({
        name: `${name} along axis ${axis}, with ties`,
        operands: [{ shape: [4, 5, 6], low: -2, high: 3, integers: true }],
        bench: { operands: [{ shape: CUBE, low: -2, high: 3, integers: true }] },
        run: (x) => run(x, { axis }),
        reference: (x) => extremeOf(x, axisFrom(axis, 3), better),
        dtypes: EVERY,
        order: 0,
      }),
    ),
    {
      name: `${name} of everything, keeping the axes`,
      operands: [{ shape: [3, 4] }],
      bench: { operands: [{ shape: MATRIX }] },
      run: (x) => run(x, { keepDims: true }),
      reference: (x) => new Dense([1, 1], extremeOf(new Dense([12], x.data), 0, better).data),
      order: 0,
    },
    ...(
      [
        ['very long rows', [2, 40003], 1, [2, ELEMENTS / 2]],
        ['tall columns', [40003, 3], 0, [rowsOf(3), 3]],
        ['rows of bytes', [7, 100], 1, [rowsOf(100), 100]],
      ] as const
    ).map(
      ([what, shape, axis, timed]): OpCase => ({
        name: `${name} of ${what}, with ties`,
        operands: [{ shape, low: -90, high: 91, integers: true }],
        bench: { operands: [{ shape: timed, low: -90, high: 91, integers: true }] },
        run: (x) => run(x, { axis }),
        reference: (x) => extremeOf(x, axis, better),
        dtypes: ['f32', 'bf16', 'i8', 'i64'],
        order: 0,
      }),
    ),
    {
      name: `${name} of rows that start at an odd element`,
      operands: [{ shape: [1 + 3 * 72] }],
      run: (x) => run(fromOdd(x, [3, 72]), { axis: 1 }),
      reference: (x) => extremeOf(behindFirst(x, [3, 72]), 1, better),
      order: 0,
    },
    {
      name: `${name} of long rows`,
      operands: [{ shape: [3, 1029] }],
      bench: { operands: [{ shape: [rowsOf(1029), 1029] }] },
      run: (x) => run(x, { axis: 1, keepDims: true }),
      reference: (x) => new Dense([3, 1], extremeOf(x, 1, better).data),
      order: 0,
    },
    {
      name: `${name} where NaN wins`,
      operands: [{ shape: [6, 17], low: -2, high: 3, integers: true }],
      bench: { operands: [{ shape: MATRIX, low: -2, high: 3, integers: true }] },
      run: (x) => run(h.where(h.eq(x, 1), Number.NaN, x), { axis: 1 }),
      reference: (x) =>
        extremeOf(
          x.map((v) => (v === 1 ? Number.NaN : v)),
          1,
          better,
        ),
      dtypes: ['f32', 'f64', 'bf16', 'f16'],
      order: 0,
    },
    {
      name: `${name} of infinities`,
      operands: [{ shape: [4, 9], apart: 0.5 }],
      bench: { operands: [{ shape: MATRIX }] },
      run: (x) => run(h.mul(h.sign(x), Number.POSITIVE_INFINITY), { axis: 1 }),
      reference: (x) =>
        extremeOf(
          x.map((v) => Math.sign(v) * Number.POSITIVE_INFINITY),
          1,
          better,
        ),
      order: 0,
    },
  ]),
]

export const ERRORS: readonly ErrorCase[] = [
  {
    name: 'argmax of nothing',
    call: () => h.argmax(h.zeros([2, 0]), { axis: 1 }),
    error: h.ShapeError,
    message: /argmax: there is no extreme of no elements; \[2,0\] is empty along axis 1/,
  },
  {
    name: 'argmin along no axis',
    call: () => h.argmin(h.zeros([3, 4]), { axis: -3 }),
    error: h.ShapeError,
    message: /argmin: there is no axis -3/,
  },
]
