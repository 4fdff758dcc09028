// Cases of concat and stack.
import * as h from '../index.js'
import { Dense, ELEMENTS, type ErrorCase, type OpCase } from './case.js'

const EVERY = ['f32', 'f64', 'bf16', 'f16', 'i8', 'i32', 'i64'] as const

function concat(parts: readonly Dense[], axis: number): Dense {
  const extents = parts.map(({ shape }) => shape[axis] as number)
  const first = (parts[0] as Dense).shape
  return Dense.from(
    first.map((own, k) => (k === axis ? extents.reduce((a, b) => a + b, 0) : own)),
    (index) => {
      let [part, at] = [0, index[axis] as number]
      while (at >= (extents[part] as number)) at -= extents[part++] as number
      return (parts[part] as Dense).at(...index.map((coordinate, k) => (k === axis ? at : coordinate)))
    },
  )
}

const unsqueezed = (x: Dense, axis: number): Dense =>
  new Dense([...x.shape.slice(0, axis), 1, ...x.shape.slice(axis)], x.data)

type Row = readonly [shapes: readonly h.Shape[], axis: number, timed: readonly h.Shape[]]

const ROWS: readonly Row[] = [
  [
    [
      [2, 3],
      [4, 3],
      [1, 3],
    ],
    0,
    [
      [1024, 4096],
      [768, 4096],
      [256, 4096],
    ],
  ],
  [
    [
      [2, 3],
      [2, 1],
    ],
    1,
    [
      [2048, 3072],
      [2048, 1024],
    ],
  ],
  [
    [
      [2, 3, 2],
      [2, 0, 2],
      [2, 4, 2],
    ],
    -2,
    [
      [128, 128, 256],
      [128, 0, 256],
      [128, 128, 256],
    ],
  ],
  [[[5], [2], [3], [1]], 0, [[ELEMENTS / 2], [ELEMENTS / 4], [ELEMENTS / 8], [ELEMENTS / 8]]],
]

export const CASES: readonly OpCase[] = [
  ...ROWS.map(
    ([shapes, axis, timed]): OpCase => ({
      name: `concat of ${shapes.map((shape) => `[${shape}]`).join(' ')} along axis ${axis}`,
      operands: shapes.map((shape) => ({ shape, low: -9, high: 10, integers: true })),
      bench: { operands: timed.map((shape) => ({ shape, low: -9, high: 10, integers: true })) },
      run: (...parts) => h.concat(parts, { axis }),
      reference: (...parts) => concat(parts, axis < 0 ? axis + (shapes[0] as readonly number[]).length : axis),
      dtypes: EVERY,
      exact: true,
    }),
  ),
  ...[0, 1, -1].map(
    (axis): OpCase => ({
      name: `stack along axis ${axis}`,
      operands: [{ shape: [3, 2] }, { shape: [3, 2] }, { shape: [3, 2] }],
      bench: { operands: [{ shape: [1024, 3072] }, { shape: [1024, 3072] }, { shape: [1024, 3072] }] },
      run: (...parts) => h.stack(parts, { axis }),
      reference: (...parts) => {
        const at = axis < 0 ? axis + 3 : axis
        return concat(
          parts.map((part) => unsqueezed(part, at)),
          at,
        )
      },
      exact: true,
    }),
  ),
  {
    name: 'stack of scalars',
    operands: [{ shape: [] }, { shape: [] }],
    run: (...parts) => h.stack(parts),
    reference: (...parts) =>
      new Dense(
        [2],
        parts.map((part) => part.data[0] as number),
      ),
    exact: true,
  },
  {
    name: 'concat of computed parts and a part twice',
    operands: [{ shape: [2, 3] }, { shape: [2, 2] }],
    bench: { operands: [{ shape: [2048, 1024] }, { shape: [2048, 1024] }] },
    run: (x, y) => h.concat([x.exp(), y as h.Tensor, x, h.transpose(h.transpose(x))], { axis: 1 }),
    reference: (x, y) => concat([x.map(Math.exp), y as Dense, x, x], 1),
  },
  {
    name: 'concat of mixed dtypes',
    operands: [{ shape: [3] }, { shape: [2], dtype: 'i32' }],
    bench: { operands: [{ shape: [ELEMENTS / 2] }, { shape: [ELEMENTS / 2], dtype: 'i32' }] },
    run: (x, i) => h.concat([x, i as h.Tensor]),
    reference: (x, i) => concat([x, i as Dense], 0),
    dtypes: ['f32', 'f64'],
    exact: true,
    order: 0,
  },
  {
    name: 'split and joined again',
    operands: [{ shape: [7, 2] }],
    bench: { operands: [{ shape: [7, 2 ** 20] }] },
    run: (x) => h.concat(h.split(x, [3, 0, 4]).reverse()).mul(2),
    reference: (x) => Dense.from([7, 2], ([i, j]) => 2 * x.at(((i as number) + 3) % 7, j as number)),
    exact: true,
  },
]

export const ERRORS: readonly ErrorCase[] = [
  {
    name: 'no parts',
    call: () => h.concat([]),
    error: h.ArgumentError,
    message: /concat: it takes a list of one or more tensors, not an empty one/,
  },
  {
    name: 'no list',
    call: () => h.stack(h.tensor(1) as never),
    error: h.ArgumentError,
    message: /stack: it takes a list/,
  },
  {
    name: 'null among the parts',
    call: () => h.concat([h.tensor([1]), null as never]),
    error: h.ArgumentError,
    message: /concat: an operand is null/,
  },
  {
    name: 'scalars',
    call: () => h.concat([h.tensor(1), h.tensor(2)]),
    error: h.ShapeError,
    message: /concat: scalars have no axis/,
  },
  {
    name: 'other extents',
    call: () => h.concat([h.zeros([2, 3]), h.zeros([2, 4])]),
    error: h.ShapeError,
    message: /concat: \[2,3\] and \[2,4\] differ in more than axis 0/,
  },
  {
    name: 'other shapes',
    call: () => h.stack([h.zeros([2]), h.zeros([3])]),
    error: h.ShapeError,
    message: /stack: the tensors must have one shape, not \[2\] and \[3\]/,
  },
  {
    name: 'an axis that is not there',
    call: () => h.stack([h.zeros([2])], { axis: 2 }),
    error: h.ShapeError,
    message: /stack: there is no axis 2/,
  },
  {
    name: 'pieces that do not make it up',
    call: () => h.split(h.zeros([5]), [2, 2]),
    error: h.ShapeError,
    message: /split: pieces of \[2,2\] do not make up axis 0 of \[5\]/,
  },
  {
    name: 'pieces of no size',
    call: () => h.split(h.zeros([5]), 0),
    error: h.ArgumentError,
    message: /split: the size 0 is no integer above 0/,
  },
  {
    name: 'negative pieces',
    call: () => h.split(h.zeros([5]), [6, -1]),
    error: h.ShapeError,
    message: /split: pieces of \[6,-1\]/,
  },
]
