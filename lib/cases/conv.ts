// Cases of convolution over one and two axes.
import * as h from '../index.js'
import { Dense, type ErrorCase, forEachIndex, type OpCase, type OperandSpec } from './case.js'

export interface Geometry {
  readonly stride?: readonly number[]
  readonly padding?: readonly (readonly [number, number])[]
  readonly dilation?: readonly number[]
  readonly groups?: number
}

/** x [N,C,...], w [O,C/groups,...kernel] -> [N,O,...], straight from the definition. */
export function convolve(x: Dense, w: Dense, geometry: Geometry, bias?: Dense): Dense {
  const spatial = x.shape.slice(2)
  const kernel = w.shape.slice(2)
  const of = <T>(list: readonly T[] | undefined, axis: number, otherwise: T): T => list?.[axis] ?? otherwise
  const extents = spatial.map((extent, axis) => {
    const [before, after] = of(geometry.padding, axis, [0, 0])
    const reach = ((kernel[axis] as number) - 1) * of(geometry.dilation, axis, 1) + 1
    return Math.floor((extent + before + after - reach) / of(geometry.stride, axis, 1)) + 1
  })
  const perGroup = w.shape[1] as number
  const outputsPerGroup = (w.shape[0] as number) / (geometry.groups ?? 1)
  return Dense.from([x.shape[0] as number, w.shape[0] as number, ...extents], ([n, o, ...at]) => {
    const first = Math.floor((o as number) / outputsPerGroup) * perGroup
    let sum = bias?.at(o as number) ?? 0
    forEachIndex([perGroup, ...kernel], ([c, ...tap]) => {
      const from = at.map(
        (position, axis) =>
          position * of(geometry.stride, axis, 1) +
          (tap[axis] as number) * of(geometry.dilation, axis, 1) -
          of(geometry.padding, axis, [0, 0])[0],
      )
      if (from.every((position, axis) => position >= 0 && position < (spatial[axis] as number))) {
        sum += x.at(n as number, first + (c as number), ...from) * w.at(o as number, c as number, ...tap)
      }
    })
    return sum
  })
}

const run =
  (rank: number, options: h.ConvOptions) =>
  (x: h.Tensor, w: h.Tensor, bias?: h.Tensor): h.Tensor =>
    (rank === 1 ? h.conv1d : h.conv2d)(x, w, bias ? { ...options, bias } : options)

type Row = readonly [
  name: string,
  x: readonly number[],
  w: readonly number[],
  options: h.ConvOptions,
  geometry: Geometry,
]

/** Rows, images and weights as they are timed, by what a row is: what its options fix stays. */
export function timedShapes([, x, w, options]: Row): readonly [x: h.Shape, w: h.Shape] {
  const { groups = 1 } = options
  // A convolution of each channel alone has as many channels as groups.
  const channels = groups === x[1] ? groups : 64
  const outputs = groups === x[1] ? (w[0] as number) : 64
  const weight = [outputs, channels / groups, ...w.slice(2)]
  if (x.length === 3) return [[32, channels, 1024], weight]
  return [groups === x[1] ? [64, channels, 224, 224] : [16, channels, 56, 56], weight]
}

export const ROWS: readonly Row[] = [
  ['conv1d', [2, 3, 9], [4, 3, 3], {}, {}],
  [
    'conv1d with stride and padding',
    [2, 2, 10],
    [3, 2, 4],
    { stride: 2, padding: 1 },
    { stride: [2], padding: [[1, 1]] },
  ],
  ['conv1d with dilation', [1, 2, 11], [2, 2, 3], { dilation: 3, padding: 2 }, { dilation: [3], padding: [[2, 2]] }],
  ['conv1d, same', [1, 2, 7], [3, 2, 4], { stride: 2, padding: 'same' }, { stride: [2], padding: [[1, 2]] }],
  ['conv2d', [2, 3, 5, 6], [4, 3, 3, 2], {}, {}],
  ['conv2d of points', [2, 4, 3, 3], [5, 4, 1, 1], {}, {}],
  [
    'conv2d with stride and padding',
    [2, 2, 7, 6],
    [3, 2, 3, 3],
    { stride: [2, 3], padding: [1, 2] },
    {
      stride: [2, 3],
      padding: [
        [1, 1],
        [2, 2],
      ],
    },
  ],
  [
    'conv2d with uneven padding',
    [1, 2, 4, 5],
    [2, 2, 3, 3],
    {
      padding: [
        [0, 2],
        [1, 0],
      ],
    },
    {
      padding: [
        [0, 2],
        [1, 0],
      ],
    },
  ],
  [
    'conv2d with dilation',
    [1, 2, 7, 8],
    [2, 2, 3, 2],
    { dilation: [2, 3], padding: 1 },
    {
      dilation: [2, 3],
      padding: [
        [1, 1],
        [1, 1],
      ],
    },
  ],
  [
    'conv2d with groups',
    [2, 4, 5, 4],
    [6, 2, 3, 3],
    { groups: 2, padding: 1 },
    {
      groups: 2,
      padding: [
        [1, 1],
        [1, 1],
      ],
    },
  ],
  [
    'conv2d of each channel alone',
    [2, 3, 5, 5],
    [6, 1, 3, 3],
    { groups: 3, stride: 2, padding: 1 },
    {
      groups: 3,
      stride: [2, 2],
      padding: [
        [1, 1],
        [1, 1],
      ],
    },
  ],
  ['conv2d where the stride skips the last columns', [1, 1, 6, 8], [2, 1, 2, 2], { stride: 3 }, { stride: [3, 3] }],
]

const integers: Pick<OperandSpec, 'low' | 'high' | 'integers'> = { low: -3, high: 4, integers: true }

export const CASES: readonly OpCase[] = [
  ...ROWS.map((row): OpCase => {
    const [name, x, w, options, geometry] = row
    return {
      name,
      operands: [{ shape: x }, { shape: w }],
      run: run(x.length - 2, options) as OpCase['run'],
      reference: (a, b) => convolve(a, b as Dense, geometry),
      bench: { operands: timedShapes(row).map((shape) => ({ shape })) },
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
    bench: { operands: [{ shape: [16, 56, 56, 64] }, { shape: [64, 64, 3, 3] }, { shape: [64, 64, 2, 2] }] },
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
