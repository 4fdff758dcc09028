// Cases of layer norm, RMS norm and batch norm.
import * as h from '../index.js'
import {
  type Benchmark,
  Dense,
  type ErrorCase,
  IMAGES,
  MATRIX,
  type OpCase,
  type OperandSpec,
  rowsOf,
  shortRows,
} from './case.js'
import { fold } from './reduce.js'
import { behindFirst, fromOdd, LENGTHS } from './softmax.js'

const average = (elements: readonly number[]): number => elements.reduce((a, b) => a + b, 0) / elements.length

/** Statistics of `x` over `axes`, beside it: extents of 1 there. */
const meanOf = (x: Dense, axes: readonly number[]): Dense => fold(x, axes, average, true)
const varianceOf = (x: Dense, axes: readonly number[]): Dense =>
  fold(x, axes, (elements) => average(elements.map((v) => (v - average(elements)) ** 2)), true)
const meanSquareOf = (x: Dense, axes: readonly number[]): Dense =>
  fold(x, axes, (elements) => average(elements.map((v) => v * v)), true)

/** The element of `small` that stands beside `index`: axes of extent 1 repeat, missing ones lead. */
const beside = (small: Dense, index: readonly number[]): number =>
  small.at(
    ...index
      .slice(index.length - small.shape.length)
      .map((coordinate, axis) => (small.shape[axis] === 1 ? 0 : coordinate)),
  )

interface Affine {
  readonly weight?: Dense | undefined
  readonly bias?: Dense | undefined
  readonly eps: number
}

function normalised(x: Dense, mean: Dense, variance: Dense, { weight, bias, eps }: Affine): Dense {
  return Dense.from(x.shape, (index) => {
    const normal = (x.at(...index) - beside(mean, index)) / Math.sqrt(beside(variance, index) + eps)
    return normal * (weight ? beside(weight, index) : 1) + (bias ? beside(bias, index) : 0)
  })
}

const layerNorm = (x: Dense, axes: readonly number[], affine: Affine): Dense =>
  normalised(x, meanOf(x, axes), varianceOf(x, axes), affine)

const rmsNorm = (x: Dense, axes: readonly number[], affine: Affine): Dense =>
  normalised(x, new Dense(x.shape.map(() => 1)), meanSquareOf(x, axes), affine)

/** Of each row of a matrix (x - mean) rstd, and rstd; without centring mean is zero. */
function normalRows(x: Dense, centred: boolean): { normal: Float64Array; rstd: number }[] {
  const [rows, length] = x.shape as readonly [number, number]
  return Array.from({ length: rows }, (_, i) => {
    const row = x.data.subarray(i * length, (i + 1) * length)
    const mean = centred ? row.reduce((a, b) => a + b, 0) / length : 0
    const square = row.reduce((a, b) => a + (b - mean) ** 2, 0) / length
    const rstd = 1 / Math.sqrt(square + (centred ? 1e-5 : 1e-6))
    return { normal: row.map((v) => (v - mean) * rstd), rstd }
  })
}

const normOfRows = (x: Dense, weight: Dense, bias: Dense | undefined, centred: boolean): Dense =>
  new Dense(
    x.shape,
    normalRows(x, centred).flatMap(({ normal }) =>
      Array.from(normal, (v, j) => v * (weight.data[j] as number) + (bias?.data[j] ?? 0)),
    ),
  )

/**
 * With h = (x - mean) rstd and g = dy weight: the gradient by x is rstd (g - mean(g) - h mean(g h)), that by the weight
 * the sum of dy h and that by the bias the sum of dy over rows. Without centring mean and mean(g) are zero.
 */
function normGrad(x: Dense, weight: Dense, dy: Dense, of: 'x' | 'weight' | 'bias', centred: boolean): Dense {
  const length = x.shape[1] as number
  const [dx, dweight, dbias] = [new Dense(x.shape), new Dense([length]), new Dense([length])]
  normalRows(x, centred).forEach(({ normal, rstd }, i) => {
    const slopes = dy.data.subarray(i * length, (i + 1) * length)
    const g = slopes.map((v, j) => v * (weight.data[j] as number))
    const middle = centred ? g.reduce((a, b) => a + b, 0) / length : 0
    const share = g.reduce((sum, v, j) => sum + v * (normal[j] as number), 0) / length
    normal.forEach((v, j) => {
      dx.data[i * length + j] = ((g[j] as number) - middle - v * share) * rstd
      dweight.data[j] = (dweight.data[j] as number) + (slopes[j] as number) * v
      dbias.data[j] = (dbias.data[j] as number) + (slopes[j] as number)
    })
  })
  return { x: dx, weight: dweight, bias: dbias }[of]
}

const acrossBatch = (x: Dense): number[] => x.shape.flatMap((_, axis) => (axis === 1 ? [] : [axis]))

/** A vector over the channels as a tensor with further unit axes. */
const channels = (vector: Dense, rank: number): Dense =>
  new Dense([...vector.shape, ...new Array<number>(rank - 2).fill(1)], vector.data)

/** As `norm` gives it, with the vectors of an affine transformation over the channels. */
function batchNorm(x: Dense, mean: Dense, variance: Dense, { weight, bias, eps }: Affine): Dense {
  const rank = x.shape.length
  return normalised(x, mean, variance, {
    weight: weight && channels(weight, rank),
    bias: bias && channels(bias, rank),
    eps,
  })
}

const positive: Pick<OperandSpec, 'low' | 'high'> = { low: 0.2, high: 2 }

const LAYERS: OpCase[] = [
  ...[
    [[4, 6], 1],
    [[2, 3, 8], 1],
    [[2, 3, 4], 2],
    [[3, 2, 2, 2], 4],
    [[5, 1], 1],
  ].flatMap(([shape, axes]): OpCase[] => {
    const [extents, count] = [shape as number[], axes as number]
    const over = extents.map((_, axis) => axis).slice(-count)
    const end = extents.slice(-count)
    const timed = { shape: [rowsOf(end.reduce((product, extent) => product * extent, 1)), ...end] }
    return [
      {
        name: `layerNorm of [${extents}] over ${count} axes`,
        operands: [{ shape: extents }, { shape: end, ...positive }, { shape: end }],
        bench: {
          operands: [timed, { shape: end, ...positive }, { shape: end }],
          ...shortRows(timed.shape[1] as number),
        },
        run: (x, weight, bias) => h.layerNorm(x, end, { weight, bias }),
        reference: (x, weight, bias) => layerNorm(x, over, { weight, bias, eps: 1e-5 }),
      },
      {
        name: `rmsNorm of [${extents}] over ${count} axes`,
        operands: [{ shape: extents }, { shape: end, ...positive }],
        bench: { operands: [timed, { shape: end, ...positive }], ...shortRows(timed.shape[1] as number) },
        run: (x, weight) => h.rmsNorm(x, end, { weight }),
        reference: (x, weight) => rmsNorm(x, over, { weight, eps: 1e-6 }),
      },
    ]
  }),
  ...LENGTHS.flatMap((length): OpCase[] => {
    const [x, ends] = [{ shape: [length > 4096 ? 2 : 5, length] }, { shape: [length] }]
    const timed = { shape: [rowsOf(length), length] }
    return [
      {
        name: `layerNorm of rows of ${length}`,
        operands: [x, ends, ends],
        bench: { operands: [timed, ends, ends], ...shortRows(length) },
        run: (x, weight, bias) => h.layerNorm(x, [length], { weight, bias }),
        reference: (x, weight, bias) => normOfRows(x, weight as Dense, bias, true),
        order: 0,
      },
      {
        name: `rmsNorm of rows of ${length}`,
        operands: [x, ends],
        bench: { operands: [timed, ends], ...shortRows(length) },
        run: (x, weight) => h.rmsNorm(x, [length], { weight }),
        reference: (x, weight) => normOfRows(x, weight as Dense, undefined, false),
        order: 0,
      },
      ...(['x', 'weight', 'bias'] as const).map(
        (of): OpCase => ({
          name: `layerNorm's gradient of rows of ${length} by ${of}`,
          operands: [x, ends, x],
          bench: { operands: [timed, ends, timed], ...shortRows(length) },
          run: (x, weight, dy) => {
            const operands = { x, weight, bias: h.zeros([length], { dtype: x.dtype }) }
            const y = h.layerNorm(x, [length], operands)
            return h.vjp([y], [dy], [operands[of]]).get(operands[of])
          },
          reference: (x, weight, dy) => normGrad(x, weight as Dense, dy as Dense, of, true),
          order: 0,
        }),
      ),
      ...(['x', 'weight'] as const).map(
        (of): OpCase => ({
          name: `rmsNorm's gradient of rows of ${length} by ${of}`,
          operands: [x, ends, x],
          bench: { operands: [timed, ends, timed], ...shortRows(length) },
          run: (x, weight, dy) => {
            const operands = { x, weight }
            return h.vjp([h.rmsNorm(x, [length], { weight })], [dy], [operands[of]]).get(operands[of])
          },
          reference: (x, weight, dy) => normGrad(x, weight as Dense, dy as Dense, of, false),
          order: 0,
        }),
      ),
    ]
  }),
  {
    name: "layerNorm's gradient by the weight of many short rows",
    operands: [{ shape: [3001, 9] }, { shape: [9] }, { shape: [3001, 9] }],
    bench: { operands: [{ shape: [rowsOf(9), 9] }, { shape: [9] }, { shape: [rowsOf(9), 9] }], ...shortRows(9) },
    run: (x, weight, dy) => h.vjp([h.layerNorm(x, [9], { weight })], [dy], [weight]).get(weight),
    reference: (x, weight, dy) => normGrad(x, weight as Dense, dy as Dense, 'weight', true),
    // Sums of 3001 terms of either sign.
    tolerance: { f32: [1.3e-6, 1e-4] },
    order: 0,
  },
  {
    name: 'layerNorm of rows and weights that start at an odd element',
    operands: [{ shape: [1 + 5 * 72] }, { shape: [73] }, { shape: [73] }],
    run: (x, weight, bias) =>
      h.layerNorm(fromOdd(x, [5, 72]), [72], { weight: fromOdd(weight, [72]), bias: fromOdd(bias, [72]) }),
    reference: (x, weight, bias) =>
      layerNorm(behindFirst(x, [5, 72]), [1], {
        weight: behindFirst(weight as Dense, [72]),
        bias: behindFirst(bias as Dense, [72]),
        eps: 1e-5,
      }),
    order: 0,
  },
  {
    name: 'layerNorm without weights, with its own eps',
    operands: [{ shape: [3, 5] }],
    bench: { operands: [{ shape: [rowsOf(5), 5] }], ...shortRows(5) },
    run: (x) => h.layerNorm(x, [5], { eps: 0.1 }),
    reference: (x) => layerNorm(x, [1], { eps: 0.1 }),
  },
  {
    name: 'rmsNorm without weight, with its own eps',
    operands: [{ shape: [3, 5] }],
    bench: { operands: [{ shape: [rowsOf(5), 5] }], ...shortRows(5) },
    run: (x) => h.rmsNorm(x, [5], { eps: 0.1 }),
    reference: (x) => rmsNorm(x, [1], { eps: 0.1 }),
  },
  {
    name: 'layerNorm of wide rows far from zero',
    operands: [{ shape: [3, 517], low: 99, high: 101 }],
    bench: { operands: [{ shape: [rowsOf(517), 517], low: 99, high: 101 }] },
    run: (x) => h.layerNorm(x, [517]),
    reference: (x) => layerNorm(x, [1], { eps: 1e-5 }),
    dtypes: ['f64', 'bf16', 'f16'],
    order: 0,
  },
  {
    name: 'layerNorm of no rows',
    operands: [{ shape: [0, 4] }],
    run: (x) => h.layerNorm(x, [4]),
    reference: () => new Dense([0, 4]),
    order: 0,
  },
]

/** Shapes as they are checked and as they are timed; the second axis is the channels. */
const BATCHED: readonly (readonly [h.Shape, h.Shape])[] = [
  [[6, 3], MATRIX],
  [
    [4, 3, 5],
    [32, 64, 4096],
  ],
  [[2, 3, 4, 2], IMAGES],
]

/** A batch, and vectors of one number per channel. */
const perChannel = (shape: h.Shape, ...vectors: readonly Partial<OperandSpec>[]): OperandSpec[] => [
  { shape },
  ...vectors.map((vector) => ({ ...vector, shape: [shape[1] as number] })),
]

/** What is said of norms by a batch's own statistics. */
const TWICE: Pick<Benchmark, 'reason'> = {
  reason: 'the batch is read twice, for its statistics and for the result',
}

const BATCHES: OpCase[] = BATCHED.flatMap(([shape, large]): OpCase[] => [
  {
    name: `batchNormTraining of [${shape}]`,
    operands: [{ shape }, { shape: [3], ...positive }, { shape: [3] }],
    bench: { operands: perChannel(large, positive, {}), ...TWICE },
    run: (x, weight, bias) => h.batchNormTraining(x, { weight, bias }).y,
    reference: (x, weight, bias) =>
      batchNorm(x, meanOf(x, acrossBatch(x)), varianceOf(x, acrossBatch(x)), { weight, bias, eps: 1e-5 }),
  },
  {
    name: `batchNormTraining's mean of [${shape}]`,
    operands: [{ shape }],
    bench: { operands: [{ shape: large }], ...TWICE },
    run: (x) => h.batchNormTraining(x).mean,
    reference: (x) => new Dense([3], meanOf(x, acrossBatch(x)).data),
    dtypes: ['f32', 'f64'],
  },
  {
    name: `batchNormTraining's variance of [${shape}]`,
    operands: [{ shape }],
    bench: { operands: [{ shape: large }], ...TWICE },
    run: (x) => h.batchNormTraining(x).variance,
    reference: (x) => new Dense([3], varianceOf(x, acrossBatch(x)).data),
    dtypes: ['f32', 'f64'],
  },
  {
    name: `batchNorm of [${shape}] with given statistics`,
    operands: [{ shape }, { shape: [3] }, { shape: [3], ...positive }, { shape: [3] }, { shape: [3] }],
    bench: { operands: perChannel(large, {}, positive, {}, {}) },
    run: (x, mean, variance, weight, bias) => h.batchNorm(x, mean, variance, { weight, bias, eps: 1e-3 }),
    reference: (x, mean, variance, weight, bias) =>
      batchNorm(x, channels(mean as Dense, x.shape.length), channels(variance as Dense, x.shape.length), {
        weight,
        bias,
        eps: 1e-3,
      }),
  },
])

export const CASES: readonly OpCase[] = [
  ...LAYERS,
  ...BATCHES,
  {
    name: 'batchNormTraining in channels-last memory',
    operands: [{ shape: [2, 4, 3, 3] }, { shape: [3], ...positive }],
    bench: { operands: [{ shape: IMAGES }, { shape: [64], ...positive }], ...TWICE },
    run: (x, weight) => h.batchNormTraining(h.permute(x, [0, 3, 1, 2]), { weight }).y,
    reference: (x, weight) => {
      const moved = Dense.from([2, 3, 4, 3], ([n, c, i, j]) => x.at(n as number, i as number, j as number, c as number))
      return batchNorm(moved, meanOf(moved, [0, 2, 3]), varianceOf(moved, [0, 2, 3]), { weight, eps: 1e-5 })
    },
  },
]

const x = (): h.Tensor => h.zeros([2, 3])

export const ERRORS: readonly ErrorCase[] = [
  {
    name: 'a shape that is not the end',
    call: () => h.layerNorm(x(), [2]),
    error: h.ShapeError,
    message: /layerNorm: the normalised shape \[2\] is not the end of \[2,3\]/,
  },
  {
    name: 'no axes',
    call: () => h.rmsNorm(x(), []),
    error: h.ShapeError,
    message: /rmsNorm: the normalised shape \[\]/,
  },
  {
    name: 'a weight of another shape',
    call: () => h.layerNorm(x(), [3], { weight: h.zeros([2]) }),
    error: h.ShapeError,
    message: /layerNorm: weight must have shape \[3\], not \[2\]/,
  },
  {
    name: 'a weight of another dtype',
    call: () => h.rmsNorm(x(), [3], { weight: h.zeros([3], { dtype: 'f64' }) }),
    error: h.DTypeError,
    message: /rmsNorm: x is f32, weight is f64/,
  },
  {
    name: 'integers',
    call: () => h.layerNorm(h.zeros([2, 3], { dtype: 'i32' }), [3]),
    error: h.DTypeError,
    message: /layerNorm: it takes floats, not i32/,
  },
  {
    name: 'a negative eps',
    call: () => h.layerNorm(x(), [3], { eps: -1 }),
    error: h.ArgumentError,
    message: /layerNorm: eps must be a number from 0 up, not -1/,
  },
  {
    name: 'an eps that is NaN',
    call: () => h.rmsNorm(x(), [3], { eps: Number.NaN }),
    error: h.ArgumentError,
    message: /rmsNorm: eps must be a number from 0 up, not NaN/,
  },
  {
    name: 'one value per channel',
    call: () => h.batchNormTraining(h.zeros([1, 3])),
    error: h.ShapeError,
    message: /batchNorm/,
  },
  {
    name: 'a batch norm of a vector',
    call: () => h.batchNormTraining(h.zeros([3])),
    error: h.ShapeError,
    message: /batchNorm\w*: it takes \[N,C\] or \[N,C,...\], not \[3\]/,
  },
  {
    name: 'statistics of other channels',
    call: () => h.batchNorm(x(), h.zeros([2]), h.zeros([3])),
    error: h.ShapeError,
    message: /batchNorm: mean must have shape \[3\], not \[2\]/,
  },
]
