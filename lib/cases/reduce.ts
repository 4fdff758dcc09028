// Cases of the reductions.

import type { Tensor } from '../index.js'
import * as h from '../index.js'
import {
  CUBE,
  Dense,
  type ErrorCase,
  EXPONENTIALS,
  FLOATS,
  forEachIndex,
  IN_I32,
  INTEGERS,
  MATRIX,
  type OpCase,
} from './case.js'

type Fold = (elements: readonly number[]) => number

/** Folds the elements along `axes`. */
export function fold(x: Dense, axes: readonly number[], combine: Fold, keepDims = false): Dense {
  const kept = x.shape.map((extent, axis) => (axes.includes(axis) ? 1 : extent))
  const groups = new Map<string, number[]>()
  forEachIndex(kept, (index) => groups.set(index.join(), []))
  forEachIndex(x.shape, (index, position) => {
    const key = index.map((coordinate, axis) => (axes.includes(axis) ? 0 : coordinate)).join()
    groups.get(key)?.push(x.data[position] as number)
  })
  const shape = keepDims ? kept : x.shape.filter((_, axis) => !axes.includes(axis))
  return new Dense(shape, [...groups.values()].map(combine))
}

const total: Fold = (elements) => elements.reduce((a, b) => a + b, 0)
const average: Fold = (elements) => total(elements) / elements.length
const spread: Fold = (elements) => total(elements.map((x) => (x - average(elements)) ** 2)) / (elements.length - 1)

type Row = readonly [
  name: string,
  op: (x: Tensor, options: h.ReduceOptions) => Tensor,
  combine: Fold,
  more?: Partial<OpCase>,
  apart?: number,
]

const ROWS: readonly Row[] = [
  ['sum', h.sum, total],
  ['mean', h.mean, average],
  ['prod', h.prod, (elements) => elements.reduce((a, b) => a * b, 1)],
  ['max', h.max, (elements) => Math.max(...elements), {}, 0.07],
  ['min', h.min, (elements) => Math.min(...elements), {}, 0.07],
  ['logsumexp', h.logsumexp, (elements) => Math.log(total(elements.map(Math.exp)))],
  ['variance', h.variance, spread],
  ['std', h.std, (elements) => Math.sqrt(spread(elements))],
]

const SHAPE = [4, 3, 5]
const AXES: readonly (readonly number[])[] = [[0], [1], [2], [0, 2], [0, 1, 2]]

export const CASES: readonly OpCase[] = [
  ...ROWS.flatMap(([name, run, combine, more, apart]) =>
    AXES.map(
      (axes): OpCase => ({
        name: `${name} over [${axes}]`,
        operands: [{ shape: SHAPE, ...(apart ? { apart } : {}) }],
        run: (x) => run(x as Tensor, { axes, keepDims: axes.length === 2 }),
        reference: (x) => fold(x as Dense, axes, combine, axes.length === 2),
        bench: { operands: [{ shape: CUBE }], ...(name === 'logsumexp' && EXPONENTIALS) },
        ...more,
      }),
    ),
  ),
  ...(['sum', 'prod', 'max', 'min'] as const).map(
    (name): OpCase => ({
      name: `${name} of integers`,
      operands: [{ shape: [3, 4], low: 1, high: 4, integers: true }],
      run: (x) => h[name](x as Tensor, { axes: 1 }),
      reference: (x) =>
        fold(x as Dense, [1], (e) =>
          name === 'sum'
            ? total(e)
            : name === 'prod'
              ? e.reduce((a, b) => a * b, 1)
              : name === 'max'
                ? Math.max(...e)
                : Math.min(...e),
        ),
      dtypes: INTEGERS,
      bench: {
        operands: [{ shape: [8192, 4096], low: 1, high: 4, integers: true }],
        ...IN_I32,
      },
      order: 0,
    }),
  ),
  ...(['any', 'all'] as const).map(
    (name): OpCase => ({
      name,
      operands: [{ shape: [6, 3], low: 0, high: 2, integers: true }],
      run: (x) => h[name](x as Tensor, { axes: 1 }),
      reference: (x) => fold(x as Dense, [1], (e) => Number(name === 'any' ? e.some(Boolean) : e.every(Boolean))),
      dtypes: ['f32', 'i32', 'bool'],
      bench: { operands: [{ shape: MATRIX, low: 0, high: 2, integers: true }] },
      order: 0,
    }),
  ),
  {
    name: 'sum of nothing',
    operands: [{ shape: [0, 3] }],
    run: (x) => (x as Tensor).sum({ axes: 0 }),
    reference: () => new Dense([3]),
    order: 0,
  },
  {
    name: 'sum of a long row',
    operands: [{ shape: [3, 70001], low: 0, high: 1 }],
    bench: { operands: [{ shape: [3, 2796203], low: 0, high: 1 }] },
    run: (x) => (x as Tensor).sum({ axes: 1 }),
    reference: (x) => fold(x as Dense, [1], total),
    dtypes: ['f32', 'f64'],
    order: 0,
  },
  {
    name: 'sum of tall columns',
    operands: [{ shape: [20011, 7], low: 0, high: 1 }],
    bench: { operands: [{ shape: [1198373, 7], low: 0, high: 1 }] },
    run: (x) => (x as Tensor).sum({ axes: 0 }),
    reference: (x) => fold(x as Dense, [0], total),
    dtypes: ['f32', 'f64'],
    order: 0,
  },
  {
    name: 'a program around a reduction',
    operands: [{ shape: [5, 6] }, { shape: [5] }],
    bench: { operands: [{ shape: MATRIX }, { shape: [2048] }], ...EXPONENTIALS },
    run: (x, b) =>
      (x as Tensor)
        .mul(2)
        .tanh()
        .sum({ axes: 1 })
        .mul(b as Tensor)
        .add(1),
    reference: (x, b) => {
      const sums = fold(x as Dense, [1], (e) => total(e.map((v) => Math.tanh(2 * v))))
      return sums.map((s, i) => s * ((b as Dense).data[i] as number) + 1)
    },
    dtypes: FLOATS,
  },
]

export const ERRORS: readonly ErrorCase[] = [
  {
    name: 'an axis twice',
    call: () => h.sum(h.tensor([[1]]), { axes: [0, -2] }),
    error: h.ShapeError,
    message: /name one twice/,
  },
  {
    name: 'an axis that is not there',
    call: () => h.max(h.tensor([1]), { axes: 1 }),
    error: h.ShapeError,
    message: /max: there is no axis 1/,
  },
  {
    name: 'the largest of nothing',
    call: () => h.max(h.tensor([], { shape: [0] })),
    error: h.ShapeError,
    message: /there is no max of no elements/,
  },
]
