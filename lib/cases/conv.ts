// Cases of convolution over one and two axes.
import * as h from '../index.js'
import { Dense, type ErrorCase, forEachIndex, ONEDNN, type OpCase, type OperandSpec } from './case.js'
import { convolve, ROWS, timedShapes } from './convolution.js'

const run =
  (rank: number, options: h.ConvOptions) =>
  (x: h.Tensor, w: h.Tensor, bias?: h.Tensor): h.Tensor =>
    (rank === 1 ? h.conv1d : h.conv2d)(x, w, bias ? { ...options, bias } : options)

const integers: Pick<OperandSpec, 'low' | 'high' | 'integers'> = { low: -3, high: 4, integers: true }

export const CASES: readonly OpCase[] = [
  ...ROWS.map((row): OpCase => {
    const [name, x, w, options, geometry] = row
    return {
      name,
      operands: [{ shape: x }, { shape: w }],
      run: run(x.length - 2, options) as OpCase['run'],
      reference: (a, b) => convolve(a, b as Dense, geometry),
      bench: { operands: timedShapes(row).map((shape) => ({ shape })), ...ONEDNN },
    }
  }),
  ...[1, 2].map(
    (rank): OpCase => ({
      name: `conv${rank}d with a bias`,
      operands: [
        { shape: [2, 3, 6, 5].slice(0, rank + 2) },
        { shape: [4, 3, 3, 3].slice(0, rank + 2) },
        { shape: [4] },
      ],
      run: run(rank, { padding: 1 }) as OpCase['run'],
      bench: {
        operands: [
          { shape: [16, 64, ...(rank === 1 ? [3136] : [56, 56])] },
          { shape: [64, 64, 3, 3].slice(0, rank + 2) },
          { shape: [64] },
        ],
        ...ONEDNN,
      },
      reference: (x, w, bias) =>
        convolve(
          x,
          w as Dense,
          {
            padding: [
              [1, 1],
              [1, 1],
            ],
          },
          bias,
        ),
    }),
  ),
  ...ROWS.map(
    ([name, x, w, options, geometry]): OpCase => ({
      name: `${name}, exactly representable`,
      operands: [
        { shape: x, ...integers },
        { shape: w, ...integers },
      ],
      run: run(x.length - 2, options) as OpCase['run'],
      reference: (a, b) => convolve(a, b as Dense, geometry),
      dtypes: ['f32', 'f64', 'f16'],
      exact: true,
      order: 0,
    }),
  ),
  {
    name: 'many channels, exactly representable',
    operands: [
      { shape: [2, 33, 9, 10], ...integers },
      { shape: [35, 33, 3, 3], ...integers },
      { shape: [35], ...integers },
    ],
    run: run(2, { padding: 1 }) as OpCase['run'],
    reference: (x, w, bias) =>
      convolve(
        x,
        w as Dense,
        {
          padding: [
            [1, 1],
            [1, 1],
          ],
        },
        bias,
      ),
    dtypes: ['f32', 'f64'],
    exact: true,
    order: 0,
  },
  {
    name: 'gradients of many channels, exactly representable',
    operands: [
      { shape: [2, 17, 6, 5], ...integers },
      { shape: [19, 17, 3, 3], ...integers },
      { shape: [2, 19, 3, 3], ...integers },
    ],
    bench: {
      operands: [
        { shape: [16, 64, 56, 56], ...integers },
        { shape: [64, 64, 3, 3], ...integers },
        { shape: [16, 64, 28, 28], ...integers },
      ],
      ...ONEDNN,
    },
    run: (x, w, dy) => {
      const y = h.conv2d(x, w as h.Tensor, { stride: 2, padding: 1 })
      const found = h.vjp([y], [dy as h.Tensor], [x, w as h.Tensor])
      return h.concat([found.get(x).flatten(), found.get(w as h.Tensor).flatten()])
    },
    reference: (x, w, dy) => {
      const [dx, dw] = [new Dense(x.shape), new Dense((w as Dense).shape)]
      forEachIndex((dy as Dense).shape, ([n, o, i, j], position) => {
        forEachIndex([17, 3, 3], ([c, a, b]) => {
          const [row, column] = [(i as number) * 2 + (a as number) - 1, (j as number) * 2 + (b as number) - 1]
          if (row < 0 || row >= 6 || column < 0 || column >= 5) return
          const slope = (dy as Dense).data[position] as number
          const from = (((n as number) * 17 + (c as number)) * 6 + row) * 5 + column
          const tap = (((o as number) * 17 + (c as number)) * 3 + (a as number)) * 3 + (b as number)
          dx.data[from] = (dx.data[from] as number) + slope * ((w as Dense).data[tap] as number)
          dw.data[tap] = (dw.data[tap] as number) + slope * (x.data[from] as number)
        })
      })
      return new Dense([dx.data.length + dw.data.length], [...dx.data, ...dw.data])
    },
    dtypes: ['f32', 'f64'],
    exact: true,
    order: 0,
  },
  {
    name: 'conv2d in channels-last memory, twice',
    operands: [{ shape: [1, 5, 5, 2] }, { shape: [3, 2, 3, 3] }, { shape: [2, 3, 2, 2] }],
    bench: { operands: [{ shape: [16, 56, 56, 64] }, { shape: [64, 64, 3, 3] }, { shape: [64, 64, 2, 2] }], ...ONEDNN },
    run: (x, v, w) =>
      h.conv2d(h.tanh(h.conv2d(h.permute(x, [0, 3, 1, 2]), v as h.Tensor, { padding: 1 })), w as h.Tensor, {
        stride: 2,
      }),
    reference: (x, v, w) => {
      const moved = Dense.from([1, 2, 5, 5], ([n, c, i, j]) => x.at(n as number, i as number, j as number, c as number))
      return convolve(
        convolve(moved, v as Dense, {
          padding: [
            [1, 1],
            [1, 1],
          ],
        }).map(Math.tanh),
        w as Dense,
        { stride: [2, 2] },
      )
    },
    dtypes: ['f32', 'f64'],
  },
  {
    name: 'conv2d of no images',
    operands: [{ shape: [0, 2, 4, 4] }, { shape: [3, 2, 3, 3] }],
    run: run(2, {}) as OpCase['run'],
    reference: () => new Dense([0, 3, 2, 2]),
    order: 0,
  },
]

const x = (): h.Tensor => h.zeros([1, 4, 5, 5])
const call = (w: h.Tensor, options?: h.ConvOptions) => (): h.Tensor => h.conv2d(x(), w, options)
const w = (): h.Tensor => h.zeros([2, 4, 3, 3])

export const ERRORS: readonly ErrorCase[] = [
  {
    name: 'a rank too few',
    call: () => h.conv2d(h.zeros([4, 5, 5]), w()),
    error: h.ShapeError,
    message: /conv2d: it takes x \[N,C,H,W\] and a weight \[O,C\/groups,KH,KW\], not x \[4,5,5\]/,
  },
  {
    name: 'a rank too many',
    call: () => h.conv1d(x(), w()),
    error: h.ShapeError,
    message: /conv1d: it takes x \[N,C,L\]/,
  },
  {
    name: 'other channels',
    call: call(h.zeros([2, 3, 3, 3])),
    error: h.ShapeError,
    message: /conv2d: with 1 groups, x must have 3 channels.*x \[1,4,5,5\], weight \[2,3,3,3\]/,
  },
  {
    name: 'outputs that are no multiple of the groups',
    call: call(h.zeros([3, 2, 3, 3]), { groups: 2 }),
    error: h.ShapeError,
    message: /with 2 groups/,
  },
  {
    name: 'no groups',
    call: call(w(), { groups: 0 }),
    error: h.ArgumentError,
    message: /groups must be an integer from 1 up, not 0/,
  },
  {
    name: 'an empty kernel',
    call: call(h.zeros([2, 4, 0, 3])),
    error: h.ShapeError,
    message: /conv2d: the kernel is empty/,
  },
  {
    name: 'a kernel larger than the image',
    call: call(h.zeros([2, 4, 6, 3])),
    error: h.ShapeError,
    message: /conv2d: a window of 6 does not fit the extent 5/,
  },
  {
    name: 'a stride of 0',
    call: call(w(), { stride: 0 }),
    error: h.ArgumentError,
    message: /stride must be an integer from 1 up, not 0/,
  },
  {
    name: 'a fractional dilation',
    call: call(w(), { dilation: 1.5 }),
    error: h.ArgumentError,
    message: /dilation must be an integer from 1 up, not 1.5/,
  },
  {
    name: 'a negative padding',
    call: call(w(), { padding: -1 }),
    error: h.ArgumentError,
    message: /padding must be an integer from 0 up, not -1/,
  },
  {
    name: 'a stride for another rank',
    call: call(w(), { stride: [1, 1, 1] }),
    error: h.ArgumentError,
    message: /stride \[1,1,1\] must have one number for each of 2 spatial axes/,
  },
  {
    name: 'an unknown padding',
    call: call(w(), { padding: 'full' as never }),
    error: h.ArgumentError,
    message: /padding must be 'same', 'valid' or numbers, not 'full'/,
  },
  {
    name: 'half a padding',
    call: call(w(), { padding: [[1], [1]] as never }),
    error: h.ArgumentError,
    message: /padding must have one \[before, after\]/,
  },
  {
    name: 'a bias of another length',
    call: call(w(), { bias: h.zeros([4]) }),
    error: h.ShapeError,
    message: /conv2d: the bias must have shape \[2\], not \[4\]/,
  },
  {
    name: 'a weight of another dtype',
    call: call(h.zeros([2, 4, 3, 3], { dtype: 'f64' })),
    error: h.DTypeError,
    message: /conv2d: x is f32, the weight is f64/,
  },
  {
    name: 'integers',
    call: () => h.conv2d(h.zeros([1, 4, 5, 5], { dtype: 'i32' }), w()),
    error: h.DTypeError,
    message: /conv2d: it takes floats, not i32/,
  },
]
