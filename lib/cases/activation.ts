// Cases of the activations.
import * as h from '../index.js'
import { type Benchmark, Dense, type ErrorCase, EXPONENTIALS, IN_I32, MATRIX, type OpCase } from './case.js'

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x))
const softplus = (x: number): number => Math.log1p(Math.exp(-Math.abs(x))) + Math.max(x, 0)
const limit = (x: number, low: number, high: number): number => Math.min(high, Math.max(low, x))

/** The error function by its series (Abramowitz and Stegun 7.1.6); good for |x| up to 3. */
function erf(x: number): number {
  let [term, sum] = [x, x]
  for (let n = 1; n < 100; n++) sum += term *= (2 * x * x) / (2 * n + 1)
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum
}

// Klambauer et al. 2017.
const [ALPHA, SCALE] = [1.6732632423543772, 1.0507009873554805]

type Row = readonly [name: string, run: (x: h.Tensor) => h.Tensor, rule: (x: number) => number]

// A grid that keeps clear of the kinks at -3, 0, 3 and 6, where a difference quotient means nothing.
const GRID = { apart: 0.37 }

const ROWS: readonly Row[] = [
  ['relu', h.relu, (x) => Math.max(x, 0)],
  ['relu6', h.relu6, (x) => limit(x, 0, 6)],
  ['leakyRelu', (x) => h.leakyRelu(x), (x) => (x > 0 ? x : 0.01 * x)],
  ['leakyRelu with a slope', (x) => h.leakyRelu(x, { slope: 0.3 }), (x) => (x > 0 ? x : 0.3 * x)],
  ['elu', (x) => h.elu(x), (x) => (x > 0 ? x : Math.expm1(x))],
  ['elu with alpha', (x) => h.elu(x, { alpha: 0.5 }), (x) => (x > 0 ? x : 0.5 * Math.expm1(x))],
  ['selu', h.selu, (x) => SCALE * (x > 0 ? x : ALPHA * Math.expm1(x))],
  ['silu', h.silu, (x) => x * sigmoid(x)],
  ['softplus', (x) => h.softplus(x), softplus],
  ['softplus with beta', (x) => h.softplus(x, { beta: 2 }), (x) => softplus(2 * x) / 2],
  ['mish', h.mish, (x) => x * Math.tanh(softplus(x))],
  ['logSigmoid', h.logSigmoid, (x) => -softplus(-x)],
  ['hardswish', h.hardswish, (x) => (x * limit(x + 3, 0, 6)) / 6],
  ['hardsigmoid', h.hardsigmoid, (x) => limit(x + 3, 0, 6) / 6],
  ['softsign', h.softsign, (x) => x / (1 + Math.abs(x))],
  ['clamp', (x) => h.clamp(x, -1, 2.5), (x) => limit(x, -1, 2.5)],
  [
    'gelu by tanh',
    (x) => h.gelu(x, { approximate: 'tanh' }),
    (x) => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3))),
  ],
]

/** Those that are made of exponentials. */
const EXPONENTIAL = /^(elu|selu|silu|softplus|logSigmoid|mish|gelu)/
const instructionsOf = (name: string): Pick<Benchmark, 'instructions'> => (EXPONENTIAL.test(name) ? EXPONENTIALS : {})

export const CASES: readonly OpCase[] = [
  ...ROWS.map(
    ([name, run, rule]): OpCase => ({
      name,
      operands: [{ shape: [6, 7], ...GRID }],
      run,
      reference: (x) => x.map(rule),
      bench: { operands: [{ shape: MATRIX }], ...instructionsOf(name) },
    }),
  ),
  {
    name: 'gelu',
    operands: [{ shape: [5, 6], low: -3, high: 3 }],
    bench: { operands: [{ shape: MATRIX, low: -3, high: 3 }], ...instructionsOf('gelu') },
    run: (x) => h.gelu(x),
    reference: (x) => x.map((v) => 0.5 * v * (1 + erf(v / Math.SQRT2))),
  },
  ...ROWS.filter(([name]) => /^(silu|softplus|logSigmoid|mish|elu|selu|relu)$/.test(name)).map(
    ([name, run, rule]): OpCase => ({
      name: `${name} far from 0`,
      operands: [{ shape: [64], low: -900, high: 900 }],
      bench: { operands: [{ shape: MATRIX, low: -900, high: 900 }], ...instructionsOf(name) },
      run,
      reference: (x) => x.map(rule),
      order: 0,
    }),
  ),
  {
    name: 'gradients far from 0 are finite',
    operands: [{ shape: [64], low: -900, high: 900 }],
    bench: { operands: [{ shape: MATRIX, low: -900, high: 900 }], ...EXPONENTIALS },
    run: (x) => {
      const y = h.add(h.add(h.silu(x), h.softplus(x)), h.add(h.mish(x), h.elu(x)))
      return h.isFinite(h.vjp([y], [h.onesLike(y)], [x]).get(x))
    },
    reference: (x) => x.map(() => 1),
    order: 0,
  },
  {
    name: 'relu of integers',
    operands: [{ shape: [5, 3], low: -5, high: 6, integers: true }],
    bench: { operands: [{ shape: MATRIX, low: -5, high: 6, integers: true }], ...IN_I32 },
    run: (x) => h.relu(x),
    reference: (x) => x.map((v) => Math.max(v, 0)),
    dtypes: ['i8', 'i32', 'i64'],
    order: 0,
  },
  {
    name: 'relu keeps NaN',
    operands: [{ shape: [12], apart: 0.5 }],
    run: (x) => h.relu(h.where(h.gt(x, 1), Number.NaN, x)),
    reference: (x) => x.map((v) => (v > 1 ? Number.NaN : Math.max(v, 0))),
    order: 0,
  },
  ...[-1, 0].map(
    (axis): OpCase => ({
      name: `glu along axis ${axis}`,
      operands: [{ shape: [4, 6] }],
      run: (x) => h.glu(x, { axis }),
      reference: (x) =>
        axis === 0
          ? Dense.from(
              [2, 6],
              ([i, j]) => x.at(i as number, j as number) * sigmoid(x.at((i as number) + 2, j as number)),
            )
          : Dense.from(
              [4, 3],
              ([i, j]) => x.at(i as number, j as number) * sigmoid(x.at(i as number, (j as number) + 3)),
            ),
    }),
  ),
]

const x = (): h.Tensor => h.zeros([3])

export const ERRORS: readonly ErrorCase[] = [
  {
    name: 'integers',
    call: () => h.gelu(h.zeros([3], { dtype: 'i32' })),
    error: h.DTypeError,
    message: /gelu: it takes floats, not i32/,
  },
  {
    name: 'relu of bool',
    call: () => h.relu(h.tensor([true])),
    error: h.HeddleError,
    message: /relu: it takes numbers, not bool/,
  },
  {
    name: 'an unknown approximation',
    call: () => h.gelu(x(), { approximate: 'erf' as never }),
    error: h.ArgumentError,
    message: /gelu: approximate must be one of 'none', 'tanh', not 'erf'/,
  },
  {
    name: 'a slope that is NaN',
    call: () => h.leakyRelu(x(), { slope: Number.NaN }),
    error: h.ArgumentError,
    message: /leakyRelu: slope must be a number finite, not NaN/,
  },
  {
    name: 'a beta of 0',
    call: () => h.softplus(x(), { beta: 0 }),
    error: h.ArgumentError,
    message: /softplus: beta must be a number/,
  },
  {
    name: 'limits in the wrong order',
    call: () => h.clamp(x(), 2, 1),
    error: h.ArgumentError,
    message: /clamp: low must be at most high, not 2 and 1/,
  },
  {
    name: 'a limit that is NaN',
    call: () => h.clamp(x(), Number.NaN, 1),
    error: h.ArgumentError,
    message: /clamp: low must be at most high, not NaN and 1/,
  },
  {
    name: 'an odd extent',
    call: () => h.glu(x()),
    error: h.ShapeError,
    message: /glu: the extent 3 of \[3\] along axis 0 is odd/,
  },
  {
    name: 'no tensor',
    call: () => h.silu(3 as never),
    error: h.ArgumentError,
    message: /silu: an operand is number 3, not a tensor/,
  },
]
