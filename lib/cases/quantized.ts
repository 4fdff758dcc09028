// Cases of int8 products and convolutions: scales are powers of two, so that all but the last rounding is exact.
import * as h from '../index.js'
import { Dense, type ErrorCase, MATRIX, ONEDNN, type OpCase, type OperandSpec, shortRows } from './case.js'
import { convolve, type Geometry, ROWS, timedShapes } from './convolution.js'

type Quantization = Exclude<h.QuantizationOptions, { scale: h.Tensor }> & { readonly scale: number; zeroPoint?: number }

interface Setting {
  readonly input: Quantization
  readonly bias?: boolean
  readonly activation?: 'relu'
  readonly output?: Quantization
}

/** Ties to even, as IEEE 754 and the processors round. */
function roundEven(x: number): number {
  const below = Math.floor(x)
  const rest = x - below
  return rest > 0.5 || (rest === 0.5 && below % 2 !== 0) ? below + 1 : below
}

const quantize = (x: number, { scale, zeroPoint = 0, dtype = 'u8' }: Quantization): number => {
  const [low, high] = dtype === 'u8' ? [0, 255] : [-128, 127]
  return Math.min(high, Math.max(low, roundEven(x / scale + zeroPoint)))
}

/** Sums [.., O, ..] of integers as what the op gives; `channel` says which output channel a position belongs to. */
const finished = (
  sums: Dense,
  scales: Dense,
  bias: Dense | undefined,
  { input, activation, output }: Setting,
  channel: (position: number) => number,
): Dense =>
  sums.map((sum, position) => {
    const o = channel(position)
    const y = sum * input.scale * (scales.data[o] as number) + (bias?.data[o] ?? 0)
    const active = activation === 'relu' ? Math.max(0, y) : y
    return output ? quantize(active, output) : active
  })

const integersOf = (x: Dense, { input }: Setting, real: boolean): Dense =>
  x.map((value) => (real ? quantize(value, input) : value) - (input.zeroPoint ?? 0))

const bytes = (shape: readonly number[], dtype: 'u8' | 'i8'): OperandSpec =>
  dtype === 'u8'
    ? { shape, dtype, low: 0, high: 256, integers: true }
    : { shape, dtype, low: -128, high: 128, integers: true }
const few = (shape: readonly number[]): OperandSpec => ({ shape, dtype: 'f32', low: 1, high: 4, integers: true })
const biases = (shape: readonly number[]): OperandSpec => ({ shape, dtype: 'f32', low: -40, high: 40, integers: true })

const optionsOf = ({ input, activation, output }: Setting, bias: h.Tensor | undefined): h.QuantizedLinearOptions => ({
  input,
  bias,
  ...(activation && { activation }),
  ...(output && { output }),
})

interface Shapes {
  readonly x: readonly number[]
  readonly w: readonly number[]
  /** As it is timed. */
  readonly timed?: Omit<Shapes, 'timed'>
}

/** x, a weight, a scale for each of its outputs, and a bias where there is one. */
const operandsOf = ({ x, w }: Shapes, { input, bias }: Setting, real: boolean): OperandSpec[] => [
  real ? { shape: x, dtype: 'f32', low: -9, high: 9 } : bytes(x, input.dtype ?? 'u8'),
  bytes(w, 'i8'),
  few([w[0] as number]),
  ...(bias ? [biases([w[0] as number])] : []),
]

function linearCase(name: string, shapes: Shapes, setting: Setting, real = false): OpCase {
  const { x, w, timed } = shapes
  const outputs = w[0] as number
  return {
    name: `quantizedLinear ${name}`,
    operands: operandsOf(shapes, setting, real),
    ...(timed && { bench: { operands: operandsOf(timed, setting, real), ...ONEDNN } }),
    run: (a, b, scale, bias) =>
      h.quantizedLinear(a as h.Tensor, b as h.Tensor, scale as h.Tensor, optionsOf(setting, bias)),
    reference: (a, b, scale, bias) => {
      const [inner, integers] = [w[1] as number, integersOf(a as Dense, setting, real)]
      const sums = Dense.from([...x.slice(0, -1), outputs], () => 0).map((_, position) => {
        const [row, o] = [Math.floor(position / outputs), position % outputs]
        let sum = 0
        for (let k = 0; k < inner; k++)
          sum += (integers.data[row * inner + k] as number) * ((b as Dense).data[o * inner + k] as number)
        return sum
      })
      return finished(sums, scale as Dense, bias, setting, (position) => position % outputs)
    },
    dtypes: ['f32'],
    exact: true,
    order: 0,
  }
}

function convCase(
  name: string,
  shapes: Shapes,
  options: h.ConvOptions,
  geometry: Geometry,
  setting: Setting,
  real = false,
): OpCase {
  const { w, timed } = shapes
  const outputs = w[0] as number
  return {
    name: `quantizedConv2d ${name}`,
    operands: operandsOf(shapes, setting, real),
    ...(timed && { bench: { operands: operandsOf(timed, setting, real), ...ONEDNN } }),
    run: (a, b, scale, bias) =>
      h.quantizedConv2d(a as h.Tensor, b as h.Tensor, scale as h.Tensor, { ...options, ...optionsOf(setting, bias) }),
    reference: (a, b, scale, bias) => {
      const sums = convolve(integersOf(a as Dense, setting, real), b as Dense, geometry)
      const plane = sums.shape.slice(2).reduce((size, extent) => size * extent, 1)
      return finished(sums, scale as Dense, bias, setting, (position) => Math.floor(position / plane) % outputs)
    },
    dtypes: ['f32'],
    exact: true,
    order: 0,
  }
}

const SETTINGS: readonly (readonly [string, Setting])[] = [
  ['u8 to f32', { input: { scale: 0.25 } }],
  ['u8 with bias and ReLU to u8', { input: { scale: 0.25 }, bias: true, activation: 'relu', output: { scale: 256 } }],
  ['u8 with a zero point to f32', { input: { scale: 0.5, zeroPoint: 131 }, bias: true }],
  [
    'u8 to u8, both with zero points',
    { input: { scale: 0.5, zeroPoint: 7 }, output: { scale: 512, zeroPoint: 120 }, bias: true },
  ],
  [
    'i8 to i8',
    { input: { scale: 0.5, dtype: 'i8' }, output: { scale: 128, dtype: 'i8', zeroPoint: -3 }, activation: 'relu' },
  ],
  // Nearly all results are beyond the range.
  ['u8 to i8, saturated', { input: { scale: 1 }, output: { scale: 4, dtype: 'i8' }, bias: true }],
]

/** Windows of 3 by 3, 2 apart; `last` says whether channels are the last axis, in x and in the result. */
function poolCase(dtype: 'u8' | 'i8', name: string, shape: readonly number[], last: boolean): OpCase {
  const [first, second] = (last ? [1, 2] : [2, 3]) as [number, number]
  const out = shape.map((extent, axis) =>
    axis === first || axis === second ? Math.floor((extent - 1) / 2) + 1 : extent,
  )
  const pooled = (x: h.Tensor): h.Tensor => h.maxPool2d(x, 3, { stride: 2, padding: 1 })
  return {
    name: `maxPool2d of ${dtype}, ${name}`,
    operands: [bytes(shape, dtype)],
    // As many bytes as other cases have.
    bench: { operands: [bytes([128, 64, 64, 64], dtype)], ...shortRows(64) },
    run: (x) =>
      last ? h.permute(pooled(h.permute(x as h.Tensor, [0, 3, 1, 2])), [0, 2, 3, 1]) : pooled(x as h.Tensor),
    reference: (x) =>
      Dense.from(out, (at) => {
        const seen: number[] = []
        for (let row = 2 * (at[first] as number) - 1; row <= 2 * (at[first] as number) + 1; row++)
          for (let column = 2 * (at[second] as number) - 1; column <= 2 * (at[second] as number) + 1; column++) {
            const from = at.map((position, axis) => (axis === first ? row : axis === second ? column : position))
            if (from.every((position, axis) => position >= 0 && position < (shape[axis] as number)))
              seen.push((x as Dense).at(...from))
          }
        return Math.max(...seen)
      }),
    dtypes: [dtype],
    exact: true,
    order: 0,
  }
}

const padding = [
  [1, 1],
  [1, 1],
] as const

export const CASES: readonly OpCase[] = [
  ...SETTINGS.flatMap(([name, setting]) => [
    linearCase(name, { x: [5, 19], w: [7, 19] }, setting),
    linearCase(
      `of many, ${name}`,
      { x: [2, 33, 130], w: [65, 130], timed: { x: [1024, 1024], w: [1024, 1024] } },
      setting,
    ),
    linearCase(`of one row, ${name}`, { x: [70], w: [16, 70], timed: { x: [4096], w: [4096, 4096] } }, setting),
    convCase(
      `of many channels, ${name}`,
      { x: [2, 33, 6, 7], w: [35, 33, 3, 3], timed: { x: [16, 64, 56, 56], w: [64, 64, 3, 3] } },
      { padding: 1 },
      { padding },
      setting,
    ),
    convCase(
      `of each channel alone, ${name}`,
      { x: [2, 20, 6, 5], w: [20, 1, 3, 3], timed: { x: [64, 20, 112, 112], w: [20, 1, 3, 3] } },
      { padding: 1, groups: 20 },
      { padding, groups: 20 },
      setting,
    ),
  ]),
  ...ROWS.filter(([, x]) => x.length === 4).flatMap((row) => {
    const [name, x, w, options, geometry] = row
    const [largeX, largeW] = timedShapes(row)
    const shapes = { x, w, timed: { x: largeX, w: largeW } }
    return [
      convCase(`${name}, to f32`, shapes, options, geometry, { input: { scale: 0.25, zeroPoint: 3 } }),
      convCase(`${name}, to u8`, shapes, options, geometry, {
        input: { scale: 0.25 },
        bias: true,
        activation: 'relu',
        output: { scale: 32 },
      }),
    ]
  }),
  linearCase('of f32', { x: [3, 11], w: [4, 11] }, { input: { scale: 0.0625, zeroPoint: 128 }, bias: true }, true),
  convCase(
    'of f32',
    { x: [2, 3, 5, 5], w: [4, 3, 3, 3] },
    { padding: 1 },
    { padding },
    { input: { scale: 0.0625, dtype: 'i8' } },
    true,
  ),
  linearCase('of no rows', { x: [0, 4], w: [3, 4] }, { input: { scale: 1 }, output: { scale: 1 } }),
  linearCase('of no features', { x: [2, 0], w: [3, 0] }, { input: { scale: 1 }, bias: true }),
  convCase('of no images', { x: [0, 2, 4, 4], w: [3, 2, 3, 3] }, {}, {}, { input: { scale: 1 }, output: { scale: 1 } }),
  {
    name: 'quantizeTensor',
    operands: [{ shape: [4, 33], low: -30, high: 90 }],
    bench: { operands: [{ shape: MATRIX, low: -30, high: 90 }] },
    run: (x) => h.quantizeTensor(x as h.Tensor, { scale: 0.25, zeroPoint: 30 }),
    reference: (x) => (x as Dense).map((value) => quantize(value, { scale: 0.25, zeroPoint: 30 })),
    dtypes: ['f32'],
    exact: true,
    order: 0,
  },
  {
    name: 'dequantizeTensor',
    operands: [bytes([3, 5], 'i8')],
    bench: { operands: [bytes(MATRIX, 'i8')] },
    run: (x) => h.dequantizeTensor(x as h.Tensor, { scale: 0.25, zeroPoint: -3 }),
    reference: (x) => (x as Dense).map((value) => 0.25 * (value + 3)),
    dtypes: ['f32'],
    exact: true,
    order: 0,
  },
  ...(['u8', 'i8'] as const).flatMap((dtype) => [
    poolCase(dtype, 'padded and overlapping', [2, 3, 7, 6], false),
    poolCase(dtype, 'of rows longer than a register', [2, 2, 5, 141], false),
    poolCase(dtype, 'in channels-last memory', [2, 7, 6, 35], true),
  ]),
]

const input = { scale: 1 }
const x = (): h.Tensor => h.zeros([2, 4], { dtype: 'u8' })
const weight = (): h.Tensor => h.zeros([3, 4], { dtype: 'i8' })
const scale = (): h.Tensor => h.ones([3])

export const ERRORS: readonly ErrorCase[] = [
  {
    name: 'a weight of floats',
    call: () => h.quantizedLinear(x(), h.zeros([3, 4]), scale(), { input }),
    error: h.DTypeError,
    message: /quantizedLinear: the weight must be i8, not f32/,
  },
  {
    name: 'other features',
    call: () => h.quantizedLinear(h.zeros([2, 5], { dtype: 'u8' }), weight(), scale(), { input }),
    error: h.ShapeError,
    message: /quantizedLinear: it takes x \[\.\.\.,K\] and a weight \[N,K\], not x \[2,5\], weight \[3,4\]/,
  },
  {
    name: 'a scale for other channels',
    call: () => h.quantizedLinear(x(), weight(), h.ones([4]), { input }),
    error: h.ShapeError,
    message: /the weight scale must have shape \[3\], not \[4\]/,
  },
  {
    name: 'a bias of another dtype',
    call: () => h.quantizedLinear(x(), weight(), scale(), { input, bias: h.zeros([3], { dtype: 'f64' }) }),
    error: h.DTypeError,
    message: /the bias must be f32, not f64/,
  },
  {
    name: 'x of another dtype than it is said to have',
    call: () => h.quantizedLinear(x(), weight(), scale(), { input: { scale: 1, dtype: 'i8' } }),
    error: h.DTypeError,
    message: /x is u8, but input.dtype says i8/,
  },
  {
    name: 'x of i32',
    call: () => h.quantizedLinear(h.zeros([2, 4], { dtype: 'i32' }), weight(), scale(), { input }),
    error: h.DTypeError,
    message: /x must be f32, u8 or i8, not i32/,
  },
  {
    name: 'a scale of 0',
    call: () => h.quantizeTensor(h.zeros([2]), { scale: 0 }),
    error: h.ArgumentError,
    message: /quantizeTensor: the options.scale must be a number from .* up, not 0/,
  },
  {
    name: 'a scale for every element',
    call: () => h.quantizeTensor(h.zeros([2]), { scale: h.ones([2]) }),
    error: h.ArgumentError,
    message: /must be a number or a scalar f32 tensor, not f32\[2\]/,
  },
  {
    name: 'a zero point out of range',
    call: () => h.quantizedLinear(x(), weight(), scale(), { input: { scale: 1, zeroPoint: 256 } }),
    error: h.ArgumentError,
    message: /input.zeroPoint is 256, but u8 ends at 255/,
  },
  {
    name: 'no input scale',
    call: () => h.quantizedLinear(x(), weight(), scale(), {} as never),
    error: h.ArgumentError,
    message: /input must be \{ scale, zeroPoint, dtype \}, not undefined/,
  },
  {
    name: 'an unknown activation',
    call: () => h.quantizedLinear(x(), weight(), scale(), { input, activation: 'gelu' as never }),
    error: h.ArgumentError,
    message: /the activation must be one of 'none', 'relu', not 'gelu'/,
  },
  {
    name: 'other channels',
    call: () =>
      h.quantizedConv2d(h.zeros([1, 4, 5, 5], { dtype: 'u8' }), h.zeros([2, 3, 3, 3], { dtype: 'i8' }), h.ones([2]), {
        input,
      }),
    error: h.ShapeError,
    message: /quantizedConv2d: with 1 groups, x must have 3 channels/,
  },
  {
    name: 'a kernel larger than the image',
    call: () =>
      h.quantizedConv2d(h.zeros([1, 3, 2, 2], { dtype: 'u8' }), h.zeros([2, 3, 3, 3], { dtype: 'i8' }), h.ones([2]), {
        input,
      }),
    error: h.ShapeError,
    message: /quantizedConv2d: a window of 3 does not fit the extent 2/,
  },
  {
    name: 'dequantising floats',
    call: () => h.dequantizeTensor(h.zeros([2]), { scale: 1 }),
    error: h.DTypeError,
    message: /dequantizeTensor: it takes u8 or i8, not f32/,
  },
]
