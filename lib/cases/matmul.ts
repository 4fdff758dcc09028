// Cases of matrix multiplication.

import type { Shape, Tensor } from '../index.js'
import * as h from '../index.js'
import { atShapes, Dense, ELEMENTS, type ErrorCase, FLOATS, type OpCase } from './case.js'

/** [..., M, K] @ [..., K, N] in doubles, leading axes broadcast. */
export function multiply(a: Dense, b: Dense): Dense {
  const lead = Math.max(a.shape.length, b.shape.length) - 2
  const batch = Array.from({ length: lead }, (_, i) => Math.max(extent(a, i, lead), extent(b, i, lead)))
  const [m, k, n] = [a.shape.at(-2) as number, a.shape.at(-1) as number, b.shape.at(-1) as number]
  return Dense.from([...batch, m, n], (index) => {
    const [row, column] = index.slice(-2) as [number, number]
    let sum = 0
    for (let i = 0; i < k; i++) sum += a.at(...pick(a, index, lead), row, i) * b.at(...pick(b, index, lead), i, column)
    return sum
  })
}

const extent = (x: Dense, i: number, lead: number): number => x.shape[i - (lead + 2 - x.shape.length)] ?? 1
const pick = (x: Dense, index: readonly number[], lead: number): number[] =>
  x.shape.slice(0, -2).map((size, axis) => (size === 1 ? 0 : (index[axis + lead + 2 - x.shape.length] as number)))

/** [..., M, K] x [..., K, N], as they are checked, and as they are timed. */
type Row = readonly [a: Shape, b: Shape, timed?: readonly [a: Shape, b: Shape]]

const square = (n: number, timed: number): Row => [
  [n, n],
  [n, n],
  [
    [timed, timed],
    [timed, timed],
  ],
]

const SHAPES: readonly Row[] = [
  // biome-ignore format: a table
  ...([
    [[3, 4], [4, 5], [[1024, 1000], [1000, 1024]]],
    [[1, 7], [7, 1], [[1, ELEMENTS], [ELEMENTS, 1]]],
    [[2, 3, 4], [4, 5], [[8, 512, 512], [512, 512]]],
    [[3, 4], [2, 4, 5], [[512, 512], [8, 512, 512]]],
    [[2, 1, 3, 4], [3, 4, 2], [[8, 1, 256, 128], [8, 128, 256]]],
    [[5, 0], [0, 3]],
  ] as const),
  square(8, 512),
  square(16, 1024),
  square(17, 1536),
  square(24, 2048),
]

// Halves of the products' roundings add up with K: the atol is that of the largest partial sum in that dtype.
const HALF = { f16: [2e-3, 4e-3], bf16: [1.6e-2, 3e-2] } as const

export const CASES: readonly OpCase[] = [
  ...SHAPES.map(
    ([a, b, timed]): OpCase => ({
      name: `[${a}] x [${b}]`,
      operands: [{ shape: a }, { shape: b }],
      run: (x, y) => h.matmul(x as Tensor, y as Tensor),
      reference: (x, y) => multiply(x as Dense, y as Dense),
      tolerance: HALF,
      order: a.includes(0) || (a[0] as number) >= 16 ? 0 : 2,
      ...(timed && { bench: { operands: atShapes([{ shape: a }, { shape: b }], ...timed) } }),
    }),
  ),
  {
    name: 'exactly representable',
    operands: [
      { shape: [33, 65], low: -3, high: 4, integers: true },
      { shape: [65, 17], low: -3, high: 4, integers: true },
    ],
    run: (x, y) => h.matmul(x as Tensor, y as Tensor),
    reference: (x, y) => multiply(x as Dense, y as Dense),
    dtypes: ['f32', 'f64', 'i32', 'i64'],
    bench: {
      operands: [
        { shape: [768, 768], low: -3, high: 4, integers: true },
        { shape: [768, 768], low: -3, high: 4, integers: true },
      ],
    },
    exact: true,
    order: 0,
  },
  {
    name: 'vectors',
    operands: [{ shape: [6] }, { shape: [6, 3] }],
    run: (x, y) => h.matmul(x as Tensor, y as Tensor),
    reference: (x, y) => new Dense([3], multiply(new Dense([1, 6], (x as Dense).data), y as Dense).data),
    tolerance: HALF,
    bench: { operands: [{ shape: [4096] }, { shape: [4096, 4096] }] },
  },
  {
    name: 'a bias is added by the kernel',
    operands: [{ shape: [2, 3, 4] }, { shape: [4, 5] }, { shape: [5] }],
    run: (x, w, b) => (x as Tensor).matmul(w as Tensor).add(b as Tensor),
    reference: (x, w, b) => {
      const product = multiply(x as Dense, w as Dense)
      return product.map((v, i) => v + ((b as Dense).data[i % 5] as number))
    },
    dtypes: FLOATS,
    tolerance: HALF,
    bench: { operands: [{ shape: [8, 512, 512] }, { shape: [512, 512] }, { shape: [512] }] },
  },
]

export const ERRORS: readonly ErrorCase[] = [
  {
    name: 'inner dimensions',
    call: () =>
      h.tensor([[1, 2, 3]]).matmul(
        h.tensor([
          [1, 2],
          [3, 4],
        ]),
      ),
    error: h.ShapeError,
    message: /matmul: inner dimensions differ: \[1,3\] x \[2,2\]/,
  },
  { name: 'scalars', call: () => h.tensor(1).matmul(h.tensor(2)), error: h.ShapeError, message: /scalars/ },
  { name: 'bool', call: () => h.tensor([[true]]).matmul(h.tensor([[true]])), error: h.DTypeError, message: /not bool/ },
]
