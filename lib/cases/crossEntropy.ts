// Cases of cross entropy: of logits, of a linear map's logits a part at a time, of logarithms.
import * as h from '../index.js'
import {
  Dense,
  type ErrorCase,
  EXPONENTIALS,
  forEachIndex,
  type OpCase,
  type OperandSpec,
  rowsOf,
  shortRows,
} from './case.js'
import { REDUCTIONS, type Reduction, reduce } from './loss.js'
import { alongAxis, behindFirst, fromOdd, LENGTHS, logSoftmaxOf, softmaxOf } from './softmax.js'

interface Options {
  readonly axis?: number
  readonly ignoreIndex?: number
  readonly labelSmoothing?: number
  readonly reduction?: Reduction
}

/** On class indices; `axis` counts from the front. */
function crossEntropy(logits: Dense, targets: Dense, options: Options, logarithms = alongAxis): Dense {
  const { axis = logits.shape.length - 1, ignoreIndex = -100, labelSmoothing = 0, reduction = 'mean' } = options
  const logs = logarithms(logits, axis, logSoftmaxOf)
  const classes = logits.shape[axis] as number
  let kept = 0
  const losses = Dense.from(targets.shape, (index) => {
    const target = targets.at(...index)
    if (target === ignoreIndex) return 0
    kept++
    const at = (k: number): number => logs.at(...index.slice(0, axis), k, ...index.slice(axis))
    const spread = Array.from({ length: classes }, (_, k) => at(k)).reduce((a, b) => a + b, 0)
    return -(1 - labelSmoothing) * at(target) - (labelSmoothing / classes) * spread
  })
  return reduce(losses, reduction, kept)
}

const indices = (shape: readonly number[], classes: number, dtype: 'i32' | 'i64' = 'i32', low = 0): OperandSpec => ({
  shape,
  low,
  high: classes,
  integers: true,
  dtype,
})

/** Cotangents as losses have them. */
const slopesOf = (slopes: h.Tensor): h.Tensor => h.cast(slopes, slopes.dtype === 'f64' ? 'f64' : 'f32')

/** slope (softmax(x) - q) for the smoothed targets q; zero in ignored rows. */
function crossEntropyGrad(x: Dense, targets: Dense, slopes: Dense, options: Options): Dense {
  const { ignoreIndex = -100, labelSmoothing = 0 } = options
  const classes = x.shape[1] as number
  const rows = [...slopes.data].map((slope, i) => {
    const target = targets.at(i)
    if (target === ignoreIndex) return new Array<number>(classes).fill(0)
    return softmaxOf([...x.data.subarray(i * classes, (i + 1) * classes)]).map(
      (p, k) => slope * (p - labelSmoothing / classes - (k === target ? 1 - labelSmoothing : 0)),
    )
  })
  return new Dense(x.shape, rows.flat())
}

const CROSS_ENTROPY: readonly OpCase[] = [
  ...REDUCTIONS.map(
    (reduction): OpCase => ({
      name: `crossEntropy, ${reduction}`,
      operands: [{ shape: [5, 7] }, indices([5], 7)],
      bench: { operands: [{ shape: [8192, 1024] }, indices([8192], 1024)], ...EXPONENTIALS },
      run: (x, t) => h.crossEntropy(x, t, { reduction }),
      reference: (x, t) => crossEntropy(x, t as Dense, { reduction }),
    }),
  ),
  ...(['i32', 'i64'] as const).map(
    (dtype): OpCase => ({
      name: `crossEntropy with ignored ${dtype} targets and label smoothing`,
      operands: [{ shape: [4, 3, 6] }, indices([4, 3], 6, dtype, -1)],
      bench: { operands: [{ shape: [64, 128, 1024] }, indices([64, 128], 1024, dtype, -1)], ...EXPONENTIALS },
      run: (x, t) => h.crossEntropy(x, t, { ignoreIndex: -1, labelSmoothing: 0.1 }),
      reference: (x, t) => crossEntropy(x, t as Dense, { ignoreIndex: -1, labelSmoothing: 0.1 }),
    }),
  ),
  {
    name: 'crossEntropy along axis 1, per pixel',
    operands: [{ shape: [2, 5, 3, 2] }, indices([2, 3, 2], 5)],
    bench: { operands: [{ shape: [32, 64, 64, 64] }, indices([32, 64, 64], 64)], ...EXPONENTIALS },
    run: (x, t) => h.crossEntropy(x, t, { axis: 1, reduction: 'none' }),
    reference: (x, t) => crossEntropy(x, t as Dense, { axis: 1, reduction: 'none' }),
  },
  {
    name: 'crossEntropy of one row',
    operands: [{ shape: [9] }, indices([], 9)],
    run: (x, t) => h.crossEntropy(x, t),
    reference: (x, t) => crossEntropy(x, t as Dense, {}),
  },
  ...LENGTHS.flatMap((length): OpCase[] => {
    const options = { ignoreIndex: 3, labelSmoothing: length % 2 === 0 ? 0 : 0.1, reduction: 'none' } as const
    const kind = length % 2 === 0 ? 'i32' : 'i64'
    const operands = [{ shape: [5, length], low: -4, high: 4 }, indices([5], length, kind)]
    const rows = rowsOf(length)
    const timed = [{ shape: [rows, length], low: -4, high: 4 }, indices([rows], length, kind)]
    return [
      {
        name: `crossEntropy of ${length} classes`,
        operands,
        bench: { operands: timed, ...EXPONENTIALS, ...shortRows(length) },
        run: (x, t) => h.crossEntropy(x, t, options),
        reference: (x, t) => crossEntropy(x, t as Dense, options),
        order: 0,
      },
      {
        name: `crossEntropy's gradient of ${length} classes`,
        operands: [...operands, { shape: [5] }],
        bench: { operands: [...timed, { shape: [rows] }], ...EXPONENTIALS, ...shortRows(length) },
        run: (x, t, slopes) => h.vjp([h.crossEntropy(x, t, options)], [slopesOf(slopes)], [x]).get(x),
        reference: (x, t, slopes) => crossEntropyGrad(x, t as Dense, slopes as Dense, options),
        order: 0,
      },
    ]
  }),
  {
    name: 'crossEntropy of logits that start at an odd element',
    operands: [{ shape: [1 + 5 * 72] }, indices([5], 72)],
    run: (x, t) => h.crossEntropy(fromOdd(x, [5, 72]), t, { reduction: 'none' }),
    reference: (x, t) => crossEntropy(behindFirst(x, [5, 72]), t as Dense, { reduction: 'none' }),
    order: 0,
  },
  {
    name: 'crossEntropy with many classes and large logits',
    operands: [{ shape: [6, 1037], low: -300, high: 300 }, indices([6], 1037)],
    bench: {
      operands: [{ shape: [rowsOf(1037), 1037], low: -300, high: 300 }, indices([rowsOf(1037)], 1037)],
      ...EXPONENTIALS,
    },
    run: (x, t) => h.crossEntropy(x, t, { reduction: 'none', labelSmoothing: 0.2 }),
    reference: (x, t) => crossEntropy(x, t as Dense, { reduction: 'none', labelSmoothing: 0.2 }),
    order: 0,
  },
  {
    name: 'crossEntropy of nothing but ignored rows',
    operands: [{ shape: [3, 4] }, indices([3], 3, 'i32', 2)],
    run: (x, t) => h.crossEntropy(x, t, { ignoreIndex: 2 }),
    reference: () => new Dense([], [Number.NaN]),
    order: 0,
  },
  ...REDUCTIONS.map(
    (reduction): OpCase => ({
      name: `crossEntropy of probabilities, ${reduction}`,
      operands: [{ shape: [3, 4, 2] }, { shape: [3, 4, 2], low: 0, high: 1 }],
      bench: { operands: [{ shape: [64, 256, 512] }, { shape: [64, 256, 512], low: 0, high: 1 }], ...EXPONENTIALS },
      run: (x, t) => h.crossEntropy(x, t, { axis: 1, labelSmoothing: 0.1, reduction }),
      reference: (x, t) => {
        const logs = alongAxis(x, 1, logSoftmaxOf)
        const losses = new Dense([3, 2])
        forEachIndex(x.shape, ([i, k, j]) => {
          const wanted = (t as Dense).at(i as number, k as number, j as number) * 0.9 + 0.1 / 4
          losses.data[(i as number) * 2 + (j as number)] =
            losses.at(i as number, j as number) - wanted * logs.at(i as number, k as number, j as number)
        })
        return reduce(losses, reduction)
      },
    }),
  ),
]

/** x [N,C] and weight [V,C] as logits [N,V], plus the bias. */
const logitsOf = (x: Dense, weight: Dense, bias?: Dense): Dense =>
  Dense.from([...x.shape.slice(0, -1), weight.shape[0] as number], (index) => {
    const v = index.at(-1) as number
    let value = bias ? bias.at(v) : 0
    for (let c = 0; c < (weight.shape[1] as number); c++) value += x.at(...index.slice(0, -1), c) * weight.at(v, c)
    return value
  })

/** In 16 bits the logits are rounded before the softmax: test/ops/crossEntropy.test.ts compares with the logits all at once. */
const LINEAR_DTYPES = ['f32', 'f64'] as const

const LINEAR: readonly OpCase[] = [
  ...([1, 2, 5, undefined] as const).map(
    (rows): OpCase => ({
      name: `linearCrossEntropy, ${rows ?? 'all'} rows at a time`,
      operands: [{ shape: [5, 4] }, { shape: [7, 4] }, indices([5], 7)],
      // A few rows at a time are as many steps as that takes.
      ...(rows === undefined && {
        bench: {
          operands: [{ shape: [512, 256] }, { shape: [8192, 256] }, indices([512], 8192)],
          instructions: 'a product, then exponentials of 8192 results a row',
        },
      }),
      run: (x, w, t) => h.linearCrossEntropy(x, w as h.Tensor, t as h.Tensor, { ...(rows && { rows }) }),
      reference: (x, w, t) => crossEntropy(logitsOf(x, w as Dense), t as Dense, {}),
      dtypes: LINEAR_DTYPES,
    }),
  ),
  {
    name: 'linearCrossEntropy with a bias, ignored targets and label smoothing, summed',
    operands: [{ shape: [2, 3, 4] }, { shape: [6, 4] }, { shape: [6] }, indices([2, 3], 6, 'i64', -1)],
    run: (x, w, b, t) =>
      h.linearCrossEntropy(x, w as h.Tensor, t as h.Tensor, {
        bias: b,
        rows: 4,
        ignoreIndex: -1,
        labelSmoothing: 0.1,
        reduction: 'sum',
      }),
    reference: (x, w, b, t) =>
      crossEntropy(logitsOf(x, w as Dense, b as Dense), t as Dense, {
        ignoreIndex: -1,
        labelSmoothing: 0.1,
        reduction: 'sum',
      }),
    dtypes: LINEAR_DTYPES,
  },
]

const NLL: readonly OpCase[] = REDUCTIONS.map(
  (reduction): OpCase => ({
    name: `nllLoss, ${reduction}`,
    operands: [{ shape: [4, 5, 3] }, indices([4, 3], 5, 'i32', -1)],
    bench: { operands: [{ shape: [64, 128, 1024] }, indices([64, 1024], 128, 'i32', -1)] },
    run: (x, t) => h.nllLoss(x, t, { axis: 1, ignoreIndex: -1, reduction }),
    reference: (x, t) => crossEntropy(x, t as Dense, { axis: 1, ignoreIndex: -1, reduction }, (logs) => logs),
  }),
)

export const CASES: readonly OpCase[] = [...CROSS_ENTROPY, ...LINEAR, ...NLL]

const [rows, classes] = [(): h.Tensor => h.zeros([2, 3]), (): h.Tensor => h.zeros([2], { dtype: 'i32' })]

export const ERRORS: readonly ErrorCase[] = [
  {
    name: 'linearCrossEntropy with a weight of another width',
    call: () => h.linearCrossEntropy(h.zeros([2, 3]), h.zeros([5, 4]), h.tensor([0, 1], { dtype: 'i32' })),
    error: h.ShapeError,
    message: /linearCrossEntropy: x \[\.\.\.,C\] takes a weight \[V,C\]; they are \[2,3\] and \[5,4\]/,
  },
  {
    name: 'linearCrossEntropy of no rows at a time',
    call: () => h.linearCrossEntropy(h.zeros([2, 3]), h.zeros([5, 3]), h.tensor([0, 1], { dtype: 'i32' }), { rows: 0 }),
    error: h.ArgumentError,
    message: /linearCrossEntropy: rows/,
  },
  {
    name: 'targets of another shape',
    call: () => h.crossEntropy(rows(), h.zeros([3], { dtype: 'i32' })),
    error: h.ShapeError,
    message: /crossEntropy: logits \[2,3\] with the classes along axis 1 take targets \[2\], not \[3\]/,
  },
  {
    name: 'probabilities of another shape',
    call: () => h.crossEntropy(rows(), h.zeros([2])),
    error: h.ShapeError,
    message: /crossEntropy: probabilities as targets have the shape of the logits, \[2,3\], not \[2\]/,
  },
  {
    name: 'u8 targets',
    call: () => h.crossEntropy(rows(), h.zeros([2], { dtype: 'u8' })),
    error: h.DTypeError,
    message: /crossEntropy: indices are i32 or i64, not u8/,
  },
  {
    name: 'integer logits',
    call: () => h.crossEntropy(h.zeros([2, 3], { dtype: 'i32' }), classes()),
    error: h.DTypeError,
    message: /crossEntropy: it takes floats, not i32/,
  },
  {
    name: 'no classes',
    call: () => h.crossEntropy(h.zeros([2, 0]), classes()),
    error: h.ShapeError,
    message: /crossEntropy: the class axis of \[2,0\] is empty/,
  },
  {
    name: 'scalar logits',
    call: () => h.crossEntropy(h.zeros([]), classes()),
    error: h.ShapeError,
    message: /crossEntropy: there is no axis -1/,
  },
  {
    name: 'too much smoothing',
    call: () => h.crossEntropy(rows(), classes(), { labelSmoothing: 1.5 }),
    error: h.ArgumentError,
    message: /labelSmoothing must be a number from 0 to 1, not 1.5/,
  },
  {
    name: 'a fractional ignoreIndex',
    call: () => h.crossEntropy(rows(), classes(), { ignoreIndex: 0.5 }),
    error: h.ArgumentError,
    message: /ignoreIndex must be an integer .*not 0.5/,
  },
  {
    name: 'classes of another shape',
    call: () => h.nllLoss(rows(), h.zeros([3], { dtype: 'i32' })),
    error: h.ShapeError,
    message: /nllLoss: \[2,3\] with the classes along axis 1 takes targets \[2\], not \[3\]/,
  },
]
