// Cases of the views and of padding.

import type { Tensor } from '../index.js'
import * as h from '../index.js'
import { CUBE, Dense, type ErrorCase, MATRIX, type OpCase } from './case.js'

const EVERY = ['f32', 'f64', 'bf16', 'f16', 'i8', 'i32', 'i64'] as const

/** A case whose result picks elements of its operand: `source` gives the coordinate each comes from. */
const picks = (
  name: string,
  shape: readonly number[],
  run: (x: Tensor) => Tensor,
  result: readonly number[],
  source: (index: readonly number[]) => readonly number[] | undefined,
  /** The shape it is timed with, where its extents are not written into it. */
  timed?: readonly number[],
): OpCase => ({
  name,
  operands: [{ shape, low: -9, high: 10 }],
  run: run as OpCase['run'],
  reference: (x) =>
    Dense.from(result, (index) => {
      const from = source(index)
      return from ? (x as Dense).at(...from) : 0
    }),
  dtypes: EVERY,
  exact: true,
  ...(timed && { bench: { operands: [{ shape: timed, low: -9, high: 10 }] } }),
})

const linear = (shape: readonly number[], position: number): number[] => {
  const index = new Array<number>(shape.length)
  let rest = position
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    index[axis] = rest % (shape[axis] as number)
    rest = Math.floor(rest / (shape[axis] as number))
  }
  return index
}

export const CASES: readonly OpCase[] = [
  picks(
    'reshape',
    [4, 6],
    (x) => x.reshape(2, -1, 3),
    [2, 4, 3],
    ([i, j, k]) => linear([4, 6], (i as number) * 12 + (j as number) * 3 + (k as number)),
    [2048, 4098],
  ),
  picks(
    'reshape of a transpose',
    [4, 6],
    (x) => x.transpose().reshape(24),
    [24],
    ([i]) => [(i as number) % 4, Math.floor((i as number) / 4)],
  ),
  picks(
    'permute',
    [2, 3, 4],
    (x) => x.permute(2, 0, 1),
    [4, 2, 3],
    ([i, j, k]) => [j as number, k as number, i as number],
    CUBE,
  ),
  picks(
    'broadcastTo',
    [3, 1],
    (x) => x.broadcastTo([2, 3, 4]),
    [2, 3, 4],
    ([, j]) => [j as number, 0],
  ),
  picks(
    'slice',
    [5, 6],
    (x) => x.slice([1, 4], [2, -1]),
    [3, 3],
    ([i, j]) => [(i as number) + 1, (j as number) + 2],
  ),
  picks(
    'slice with an index',
    [5, 6],
    (x) => x.slice(-2, [0, 6, 2]),
    [3],
    ([j]) => [3, (j as number) * 2],
  ),
  picks(
    'slice backwards',
    [7, 3],
    (x) => x.slice([undefined, undefined, -2]),
    [4, 3],
    ([i, j]) => [6 - 2 * (i as number), j as number],
    [4096, 2048],
  ),
  picks(
    'slice of nothing',
    [4, 3],
    (x) => x.slice([2, 2]),
    [0, 3],
    (index) => index,
  ),
  picks(
    'flip',
    [3, 4],
    (x) => x.flip([0, 1]),
    [3, 4],
    ([i, j]) => [2 - (i as number), 3 - (j as number)],
    MATRIX,
  ),
  picks(
    'squeeze and unsqueeze',
    [3, 1, 2],
    (x) => x.squeeze().unsqueeze(0),
    [1, 3, 2],
    ([, j, k]) => [j as number, 0, k as number],
    [2048, 1, 4096],
  ),
  picks(
    'flatten',
    [2, 3, 4],
    (x) => x.flatten(1),
    [2, 12],
    ([i, j]) => [i as number, ...linear([3, 4], j as number)],
    CUBE,
  ),
  picks(
    'split',
    [7, 2],
    (x) => h.split(x, 3)[2] as Tensor,
    [1, 2],
    ([i, j]) => [(i as number) + 6, j as number],
  ),
  picks(
    'pad',
    [2, 3],
    (x) =>
      h.pad(x, [
        [1, 0],
        [2, 1],
      ]),
    [3, 6],
    ([i, j]) =>
      (i as number) < 1 || (j as number) < 2 || (j as number) > 4 ? undefined : [(i as number) - 1, (j as number) - 2],
    MATRIX,
  ),
  {
    name: 'views of views of a computed value',
    operands: [{ shape: [4, 6] }],
    run: (x) => (x as Tensor).exp().transpose().slice([1, 5]).reshape(2, 2, 4).permute(1, 2, 0).mul(2),
    reference: (x) =>
      Dense.from(
        [2, 4, 2],
        ([i, j, k]) => 2 * Math.exp((x as Dense).at(j as number, 1 + 2 * (k as number) + (i as number))),
      ),
  },
]

export const ERRORS: readonly ErrorCase[] = [
  {
    name: 'another size',
    call: () => h.tensor([1, 2, 3]).reshape(2, 2),
    error: h.ShapeError,
    message: /reshape: \[3\] has 3 elements, \[2,2\] takes 4/,
  },
  {
    name: 'a fractional extent',
    call: () => h.tensor([1, 2, 3]).reshape(1.5, 2),
    error: h.ShapeError,
    message: /extent 1.5/,
  },
  { name: 'a NaN extent', call: () => h.tensor([1]).reshape(Number.NaN), error: h.ShapeError, message: /extent NaN/ },
  {
    name: 'a huge extent',
    call: () => h.tensor([1]).broadcastTo([2 ** 52, 2 ** 10]),
    error: h.ShapeError,
    message: /more elements than can be addressed/,
  },
  {
    name: 'an axis that is not there',
    call: () => h.tensor([1]).transpose(0, 3),
    error: h.ShapeError,
    message: /there is no axis 3/,
  },
  {
    name: 'an axis twice',
    call: () => h.tensor([[1]]).permute(0, 0),
    error: h.ShapeError,
    message: /permute: \[0,0\] does not name each/,
  },
  {
    name: 'an index out of range',
    call: () => h.tensor([1, 2]).slice(2),
    error: h.ShapeError,
    message: /no index 2 along axis 0 of extent 2/,
  },
  {
    name: 'a step of zero',
    call: () => h.tensor([1, 2]).slice([0, 2, 0]),
    error: h.ArgumentError,
    message: /the step 0/,
  },
  {
    name: 'no repetition',
    call: () => h.tensor([1, 2]).broadcastTo([3]),
    error: h.ShapeError,
    message: /can not be repeated/,
  },
  {
    name: 'a negative width',
    call: () => h.pad(h.tensor([1]), [[-1, 0]]),
    error: h.ArgumentError,
    message: /width -1/,
  },
]
