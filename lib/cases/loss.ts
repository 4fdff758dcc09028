// Cases of losses but cross entropy: differences, likelihoods of yes and no, divergences.
import * as h from '../index.js'
import { Dense, ELEMENTS, type ErrorCase, EXPONENTIALS, MATRIX, type OpCase, type OperandSpec } from './case.js'
import { zip } from './element.js'

export type Reduction = 'mean' | 'sum' | 'none'
export const REDUCTIONS: readonly Reduction[] = ['mean', 'sum', 'none']

const total = (x: Dense): number => x.data.reduce((a, b) => a + b, 0)

export function reduce(losses: Dense, reduction: Reduction, count = losses.data.length): Dense {
  return reduction === 'none' ? losses : new Dense([], [reduction === 'sum' ? total(losses) : total(losses) / count])
}

type Pair = (x: number, t: number) => number
type Row = readonly [
  name: string,
  run: (x: h.Tensor, t: h.Tensor, options: { reduction: Reduction }) => h.Tensor,
  rule: Pair,
  x?: Partial<OperandSpec>,
  t?: Partial<OperandSpec>,
]

const huber =
  (delta: number): Pair =>
  (x, t) => {
    const d = Math.abs(x - t)
    return d <= delta ? (d * d) / 2 : delta * (d - delta / 2)
  }
const binary =
  (weight: number): Pair =>
  (x, t) => {
    const p = 1 / (1 + Math.exp(-x))
    return -(weight * t * Math.log(p) + (1 - t) * Math.log1p(-p))
  }

// A grid that keeps clear of 0 and of delta, where the derivatives have kinks.
const grid = { apart: 0.3 }
const low = { low: -0.02, high: 0.02 }
const share = { low: 0, high: 1 }

const ROWS: readonly Row[] = [
  ['mseLoss', h.mseLoss, (x, t) => (x - t) ** 2],
  ['l1Loss', h.l1Loss, (x, t) => Math.abs(x - t), grid, low],
  ['huberLoss', h.huberLoss, huber(1), grid, low],
  ['huberLoss with delta', (x, t, options) => h.huberLoss(x, t, { ...options, delta: 0.7 }), huber(0.7), grid, low],
  ['binaryCrossEntropyWithLogits', h.binaryCrossEntropyWithLogits, binary(1), {}, share],
  [
    'binaryCrossEntropyWithLogits with a weight',
    (x, t, options) => h.binaryCrossEntropyWithLogits(x, t, { ...options, positiveWeight: 2.5 }),
    binary(2.5),
    {},
    share,
  ],
  ['klDivergence', h.klDivergence, (x, t) => t * (Math.log(t) - x), {}, { low: 0.05, high: 1 }],
  [
    'klDivergence of logarithms',
    (x, t, options) => h.klDivergence(x, t, { ...options, logTarget: true }),
    (x, t) => Math.exp(t) * (t - x),
  ],
]

const PAIRS: OpCase[] = ROWS.flatMap(([name, run, rule, x, t]) =>
  REDUCTIONS.map(
    (reduction): OpCase => ({
      name: `${name}, ${reduction}`,
      operands: [
        { shape: [3, 4], ...x },
        { shape: [3, 4], ...t },
      ],
      bench: {
        operands: [
          { ...x, shape: MATRIX },
          { ...t, shape: MATRIX },
        ],
        ...(/^(binaryCrossEntropy|klDivergence)/.test(name) && EXPONENTIALS),
      },
      run: (a, b) => run(a, b, { reduction }),
      reference: (a, b) => reduce(zip(a, b as Dense, rule), reduction),
    }),
  ),
)

export const CASES: readonly OpCase[] = [
  ...PAIRS,
  {
    name: 'klDivergence, mean over the batch, where some targets are 0',
    operands: [{ shape: [4, 3] }, { shape: [4, 3], low: -1, high: 1 }],
    bench: { operands: [{ shape: MATRIX }, { shape: MATRIX, low: -1, high: 1 }], ...EXPONENTIALS },
    run: (x, t) => h.klDivergence(x, h.relu(t)),
    reference: (x, t) => new Dense([], [total(zip(x, t as Dense, (a, b) => (b > 0 ? b * (Math.log(b) - a) : 0))) / 4]),
    // The second derivative by a target near 0 is 1/t: differences with eps 1e-6 say nothing about it.
    order: 1,
  },
  {
    name: 'binaryCrossEntropyWithLogits of large logits',
    operands: [
      { shape: [16], low: -500, high: 500 },
      { shape: [16], ...share },
    ],
    bench: {
      operands: [
        { shape: [ELEMENTS], low: -500, high: 500 },
        { shape: [ELEMENTS], ...share },
      ],
      ...EXPONENTIALS,
    },
    run: (x, t) => h.binaryCrossEntropyWithLogits(x, t, { reduction: 'none' }),
    reference: (x, t) =>
      zip(x, t as Dense, (a, b) => (1 - b) * a + Math.log1p(Math.exp(-Math.abs(a))) + Math.max(-a, 0)),
    order: 0,
  },
]

const rows = (): h.Tensor => h.zeros([2, 3])

export const ERRORS: readonly ErrorCase[] = [
  {
    name: 'an unknown reduction',
    call: () => h.mseLoss(rows(), rows(), { reduction: 'average' as never }),
    error: h.ArgumentError,
    message: /mseLoss: reduction must be one of 'mean', 'sum', 'none', not 'average'/,
  },
  {
    name: 'a target that would broadcast',
    call: () => h.l1Loss(rows(), h.zeros([3])),
    error: h.ShapeError,
    message: /l1Loss: the prediction has shape \[2,3\], the target \[3\]; they must be equal/,
  },
  {
    name: 'a delta of 0',
    call: () => h.huberLoss(rows(), rows(), { delta: 0 }),
    error: h.ArgumentError,
    message: /huberLoss: delta must be a number/,
  },
  {
    name: 'a negative weight',
    call: () => h.binaryCrossEntropyWithLogits(rows(), rows(), { positiveWeight: -1 }),
    error: h.ArgumentError,
    message: /positiveWeight must be a number from 0 up, not -1/,
  },
  {
    name: 'no batch',
    call: () => h.klDivergence(h.zeros([]), h.zeros([])),
    error: h.ShapeError,
    message: /klDivergence: a scalar has no batch axis/,
  },
]
