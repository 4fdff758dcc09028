// Cases of pooling over one and two axes.
import * as h from '../index.js'
import { Dense, type ErrorCase, forEachIndex, IMAGES, type OpCase } from './case.js'

interface Window {
  readonly kernel: readonly number[]
  readonly stride: readonly number[]
  readonly padding?: readonly (readonly [number, number])[]
  readonly dilation?: readonly number[]
}

/** Combines what each window sees of x [N,C,...]: its elements, and how many places of it are padding. */
function pool(
  x: Dense,
  { kernel, stride, padding, dilation }: Window,
  combine: (elements: readonly number[], padded: number) => number,
): Dense {
  const spatial = x.shape.slice(2)
  const step = (axis: number): number => dilation?.[axis] ?? 1
  const around = (axis: number): readonly [number, number] => padding?.[axis] ?? [0, 0]
  const extents = spatial.map((extent, axis) => {
    const room = extent + around(axis)[0] + around(axis)[1] - ((kernel[axis] as number) - 1) * step(axis) - 1
    return Math.floor(room / (stride[axis] as number)) + 1
  })
  return Dense.from([...x.shape.slice(0, 2), ...extents], ([n, c, ...at]) => {
    const elements: number[] = []
    let padded = 0
    forEachIndex(kernel, (tap) => {
      const from = at.map(
        (position, axis) => position * (stride[axis] as number) + (tap[axis] as number) * step(axis) - around(axis)[0],
      )
      const inside = from.every((position, axis) => position >= 0 && position < (spatial[axis] as number))
      if (inside) elements.push(x.at(n as number, c as number, ...from))
      else padded++
    })
    return combine(elements, padded)
  })
}

const largest = (elements: readonly number[]): number =>
  elements.some(Number.isNaN) ? Number.NaN : Math.max(...elements)
const mean =
  (countIncludePad: boolean) =>
  (elements: readonly number[], padded: number): number =>
    elements.reduce((a, b) => a + b, 0) / (elements.length + (countIncludePad ? padded : 0))

type Row = readonly [
  name: string,
  shape: readonly number[],
  kernel: h.Tensor['shape'] | number,
  options: Parameters<typeof h.maxPool2d>[2],
  window: Window,
]

const ROWS: readonly Row[] = [
  ['of halves', [2, 3, 8], 2, {}, { kernel: [2], stride: [2] }],
  ['that overlap, padded', [2, 2, 9], 3, { stride: 2, padding: 1 }, { kernel: [3], stride: [2], padding: [[1, 1]] }],
  ['of squares', [2, 3, 4, 6], 2, {}, { kernel: [2, 2], stride: [2, 2] }],
  ['that overlap in two axes', [1, 2, 5, 6], [3, 2], { stride: 1 }, { kernel: [3, 2], stride: [1, 1] }],
  [
    'padded unevenly',
    [2, 2, 5, 6],
    4,
    {
      stride: [2, 3],
      padding: [
        [1, 2],
        [0, 1],
      ],
    },
    {
      kernel: [4, 4],
      stride: [2, 3],
      padding: [
        [1, 2],
        [0, 1],
      ],
    },
  ],
  ['that leave a rest', [1, 3, 7, 5], [3, 2], {}, { kernel: [3, 2], stride: [3, 2] }],
]

const max = (rank: number) => (rank === 3 ? h.maxPool1d : h.maxPool2d)
/** As it is timed. */
const large = ({ length }: readonly number[]): h.Shape => (length === 3 ? [32, 64, 4096] : IMAGES)
const avg = (rank: number) => (rank === 3 ? h.avgPool1d : h.avgPool2d)

export const CASES: readonly OpCase[] = [
  ...ROWS.flatMap(([name, shape, kernel, options, window]): OpCase[] => [
    {
      name: `maxima ${name}`,
      // Far enough apart that no difference quotient sees another maximum.
      operands: [{ shape, apart: 0.03125 }],
      bench: { operands: [{ shape: large(shape) }] },
      run: (x) => max(shape.length)(x, kernel, options),
      reference: (x) => pool(x, window, largest),
    },
    ...[true, false].map(
      (countIncludePad): OpCase => ({
        name: `means ${name}${countIncludePad ? ', counting padding' : ''}`,
        operands: [{ shape }],
        bench: { operands: [{ shape: large(shape) }] },
        run: (x) => avg(shape.length)(x, kernel, { ...options, countIncludePad }),
        reference: (x) => pool(x, window, mean(countIncludePad)),
      }),
    ),
  ]),
  {
    name: 'maxima with gaps',
    operands: [{ shape: [1, 2, 9, 8], apart: 0.03125 }],
    bench: { operands: [{ shape: IMAGES }] },
    run: (x) => h.maxPool2d(x, 3, { stride: 2, dilation: 2, padding: 1 }),
    reference: (x) =>
      pool(
        x,
        {
          kernel: [3, 3],
          stride: [2, 2],
          dilation: [2, 2],
          padding: [
            [1, 1],
            [1, 1],
          ],
        },
        largest,
      ),
  },
  {
    name: 'maxima below zero: padding never wins',
    operands: [{ shape: [1, 2, 5, 5], low: -9, high: -1 }],
    bench: { operands: [{ shape: IMAGES, low: -9, high: -1 }] },
    run: (x) => h.maxPool2d(x, 3, { padding: 1 }),
    reference: (x) =>
      pool(
        x,
        {
          kernel: [3, 3],
          stride: [3, 3],
          padding: [
            [1, 1],
            [1, 1],
          ],
        },
        largest,
      ),
    order: 0,
  },
  {
    name: 'maxima where NaN wins',
    operands: [{ shape: [1, 2, 6, 6], apart: 0.25 }],
    bench: { operands: [{ shape: IMAGES }] },
    run: (x) => h.maxPool2d(h.where(h.gt(x, 7), Number.NaN, x), 2),
    reference: (x) =>
      pool(
        x.map((v) => (v > 7 ? Number.NaN : v)),
        { kernel: [2, 2], stride: [2, 2] },
        largest,
      ),
    order: 0,
  },
  {
    name: 'maxima in channels-last memory',
    operands: [{ shape: [2, 4, 6, 3], apart: 0.03125 }],
    bench: { operands: [{ shape: IMAGES }] },
    run: (x) => h.maxPool2d(h.permute(x, [0, 3, 1, 2]), 2).mul(2),
    reference: (x) =>
      pool(
        Dense.from([2, 3, 4, 6], ([n, c, i, j]) => x.at(n as number, i as number, j as number, c as number)),
        { kernel: [2, 2], stride: [2, 2] },
        (e) => 2 * largest(e),
      ),
  },
  {
    name: 'means over everything',
    operands: [{ shape: [2, 3, 4, 5] }],
    bench: { operands: [{ shape: IMAGES }] },
    run: (x) => h.adaptiveAvgPool(x),
    reference: (x) => pool(x, { kernel: [4, 5], stride: [4, 5] }, mean(true)),
  },
  {
    name: 'means that divide evenly',
    operands: [{ shape: [2, 3, 4, 6] }],
    bench: { operands: [{ shape: [32, 64, 64, 66] }] },
    run: (x) => h.adaptiveAvgPool(x, [2, 3]),
    reference: (x) => pool(x, { kernel: [2, 2], stride: [2, 2] }, mean(true)),
  },
  {
    name: 'maxima of no images',
    operands: [{ shape: [0, 2, 4, 4] }],
    run: (x) => h.maxPool2d(x, 2),
    reference: () => new Dense([0, 2, 2, 2]),
    order: 0,
  },
]

const x = (): h.Tensor => h.zeros([1, 2, 6, 6])

export const ERRORS: readonly ErrorCase[] = [
  {
    name: 'a rank too few',
    call: () => h.maxPool2d(h.zeros([2, 6, 6]), 2),
    error: h.ShapeError,
    message: /maxPool2d: it takes \[N,C,H,W\], not \[2,6,6\]/,
  },
  {
    name: 'a rank too many',
    call: () => h.avgPool1d(x(), 2),
    error: h.ShapeError,
    message: /avgPool1d: it takes \[N,C,L\]/,
  },
  {
    name: 'an empty kernel',
    call: () => h.maxPool2d(x(), 0),
    error: h.ArgumentError,
    message: /the kernel must be an integer from 1 up, not 0/,
  },
  {
    name: 'a kernel larger than the image',
    call: () => h.avgPool2d(x(), 7),
    error: h.ShapeError,
    message: /avgPool2d: a window of 7 does not fit the extent 6/,
  },
  {
    name: 'padding of more than half the kernel',
    call: () => h.maxPool2d(x(), 2, { padding: 2 }),
    error: h.ArgumentError,
    message: /the padding 2 is more than half of the kernel's extent 2/,
  },
  {
    name: 'a stride that is NaN',
    call: () => h.maxPool2d(x(), 2, { stride: Number.NaN }),
    error: h.ArgumentError,
    message: /stride must be an integer from 1 up, not NaN/,
  },
  {
    name: 'integers',
    call: () => h.avgPool2d(h.zeros([1, 2, 6, 6], { dtype: 'i32' }), 2),
    error: h.DTypeError,
    message: /avgPool2d: it takes floats, not i32/,
  },
  {
    name: 'parts that do not divide',
    call: () => h.adaptiveAvgPool(x(), 4),
    error: h.ShapeError,
    message: /adaptiveAvgPool: the extent 6 of \[1,2,6,6\] is no multiple of 4/,
  },
  {
    name: 'a vector of parts',
    call: () => h.adaptiveAvgPool(h.zeros([2, 6])),
    error: h.ShapeError,
    message: /adaptiveAvgPool: it takes \[N,C,L\] or \[N,C,H,W\], not \[2,6\]/,
  },
]
