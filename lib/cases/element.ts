// Cases of the elementwise ops.

import type { Tensor } from '../index.js'
import * as h from '../index.js'
import {
  type Benchmark,
  Dense,
  ELEMENTS,
  type ErrorCase,
  EXPONENTIALS,
  IN_I32,
  INTEGERS,
  MATRIX,
  type OpCase,
  type OperandSpec,
} from './case.js'

type UnaryRow = readonly [
  name: string,
  op: (x: Tensor) => Tensor,
  f: (x: number) => number,
  operand?: Partial<OperandSpec>,
  more?: Partial<OpCase>,
]

const erfSeries = (x: number): number => {
  // erf(x) = 2/sqrt(pi) e^(-x^2) sum_n 2^n x^(2n+1) / (2n+1)!!  (Abramowitz and Stegun 7.1.6)
  let term = x
  let sum = x
  for (let n = 1; n < 200; n++) {
    term *= (2 * x * x) / (2 * n + 1)
    sum += term
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum
}

/** Lanczos, g = 7, n = 9 (Godfrey): 15 digits for positive arguments. */
const lgammaOf = (x: number): number => {
  const c = [
    0.99999999999980993, 676.5203681218851, -1259.1392167224028, 771.32342877765313, -176.61502916214059,
    12.507343278686905, -0.13857109526572012, 9.9843695780195716e-6, 1.5056327351493116e-7,
  ]
  if (x < 0.5) return Math.log(Math.PI / Math.abs(Math.sin(Math.PI * x))) - lgammaOf(1 - x)
  const sum = c.reduce((total, k, i) => (i === 0 ? k : total + k / (x - 1 + i)), 0)
  const t = x + 6.5
  return 0.5 * Math.log(2 * Math.PI) + (x - 0.5) * Math.log(t) - t + Math.log(sum)
}

/** Recurrence up to 12, then the asymptotic series (Abramowitz and Stegun 6.3.18). */
const digammaOf = (x: number): number => {
  if (x < 12) return digammaOf(x + 1) - 1 / x
  const y = 1 / (x * x)
  return Math.log(x) - 0.5 / x - y * (1 / 12 - y * (1 / 120 - y * (1 / 252 - y * (1 / 240 - y / 132))))
}

const erfinvOf = (y: number): number => {
  let x = 0
  for (let i = 0; i < 60; i++) x -= (erfSeries(x) - y) / ((2 / Math.sqrt(Math.PI)) * Math.exp(-x * x))
  return x
}

/** NumPy's rounding: ties to even. */
const roundEven = (x: number): number => (Math.abs(x % 1) === 0.5 ? 2 * Math.round(x / 2) : Math.round(x))

const named = (instructions: string, ...names: readonly string[]): (readonly [string, string])[] =>
  names.map((name) => [name, instructions])

/** What these compute for each element. */
const INSTRUCTIONS: ReadonlyMap<string, string> = new Map([
  ...named(
    'some twenty operations an element, of a polynomial and of what stands around it',
    ...['exp', 'expm1', 'exp2', 'log', 'log1p', 'log2', 'tanh', 'sigmoid', 'erf'],
  ),
  ...named(
    'forty operations an element and more: in f64, half as many at a time, and rounded once',
    ...['sin', 'cos', 'tan', 'asin', 'acos', 'atan', 'sinh', 'cosh', 'asinh', 'acosh', 'atanh', 'atan2'],
  ),
  ...named('divided in f64, half as many at a time', 'floorDiv', 'mod'),
  ...named("the C library's, element by element, for it branches", ...['erfc', 'erfinv', 'lgamma', 'digamma', 'pow']),
])

function instructionsOf(name: string): Pick<Benchmark, 'instructions'> {
  const instructions = INSTRUCTIONS.get(name)
  return instructions === undefined ? {} : { instructions }
}

const positive = { low: 0.1, high: 3 }
const inside = { low: -0.9, high: 0.9 }
// Grids that keep clear of the kinks, where a difference quotient means nothing.
const kinks = { apart: 0.13 }
const flat = { order: 0 } as const

const UNARY: readonly UnaryRow[] = [
  ['neg', h.neg, (x) => -x],
  ['abs', h.abs, Math.abs, kinks],
  ['sign', h.sign, Math.sign, kinks, flat],
  ['floor', h.floor, Math.floor, {}, flat],
  ['ceil', h.ceil, Math.ceil, {}, flat],
  ['round', h.round, roundEven, {}, flat],
  ['trunc', h.trunc, Math.trunc, {}, flat],
  ['sqrt', h.sqrt, Math.sqrt, positive],
  ['rsqrt', h.rsqrt, (x) => 1 / Math.sqrt(x), positive],
  ['reciprocal', h.reciprocal, (x) => 1 / x, positive],
  ['exp', h.exp, Math.exp],
  ['expm1', h.expm1, Math.expm1],
  ['exp2', h.exp2, (x) => 2 ** x],
  ['log', h.log, Math.log, positive],
  ['log1p', h.log1p, Math.log1p, { low: -0.5, high: 3 }],
  ['log2', h.log2, Math.log2, positive],
  ['sin', h.sin, Math.sin],
  ['cos', h.cos, Math.cos],
  ['tan', h.tan, Math.tan, { low: -1.2, high: 1.2 }],
  ['asin', h.asin, Math.asin, inside],
  ['acos', h.acos, Math.acos, inside],
  ['atan', h.atan, Math.atan],
  ['sinh', h.sinh, Math.sinh],
  ['cosh', h.cosh, Math.cosh],
  ['tanh', h.tanh, Math.tanh],
  ['asinh', h.asinh, Math.asinh],
  ['acosh', h.acosh, Math.acosh, { low: 1.1, high: 4 }],
  ['atanh', h.atanh, Math.atanh, inside],
  ['sigmoid', h.sigmoid, (x) => 1 / (1 + Math.exp(-x))],
  ['erf', h.erf, erfSeries],
  ['erfc', h.erfc, (x) => 1 - erfSeries(x)],
  ['erfinv', h.erfinv, erfinvOf, inside],
  ['lgamma', h.lgamma, lgammaOf, { low: 0.2, high: 6 }, { order: 1 }],
  // Its derivative is the trigamma function, which is not provided.
  ['digamma', h.digamma, digammaOf, { low: 0.2, high: 6 }, flat],
  ['isNaN', h.isNaN, (x) => Number(Number.isNaN(x)), {}, flat],
  ['isFinite', h.isFinite, (x) => Number(Number.isFinite(x)), {}, flat],
]

type BinaryRow = readonly [
  name: string,
  op: (a: Tensor, b: Tensor) => Tensor,
  f: (a: number, b: number) => number,
  a?: Partial<OperandSpec>,
  b?: Partial<OperandSpec>,
  more?: Partial<OpCase>,
]

const BINARY: readonly BinaryRow[] = [
  ['add', h.add, (a, b) => a + b],
  ['sub', h.sub, (a, b) => a - b],
  ['mul', h.mul, (a, b) => a * b],
  ['div', h.div, (a, b) => a / b, {}, positive],
  ['floorDiv', h.floorDiv, (a, b) => Math.floor(a / b), {}, positive, flat],
  ['mod', h.mod, (a, b) => a - Math.floor(a / b) * b, kinks, { low: 5, high: 6 }, { order: 1, dtypes: ['f32', 'f64'] }],
  ['pow', h.pow, (a, b) => a ** b, positive],
  ['maximum', h.maximum, Math.max, kinks, { low: 0.05, high: 0.06 }],
  ['minimum', h.minimum, Math.min, kinks, { low: 0.05, high: 0.06 }],
  ['atan2', h.atan2, Math.atan2, positive, positive],
  ['eq', h.eq, (a, b) => Number(a === b), { integers: true }, { integers: true }, flat],
  ['ne', h.ne, (a, b) => Number(a !== b), { integers: true }, { integers: true }, flat],
  ['lt', h.lt, (a, b) => Number(a < b), { integers: true }, { integers: true }, flat],
  ['le', h.le, (a, b) => Number(a <= b), { integers: true }, { integers: true }, flat],
  ['gt', h.gt, (a, b) => Number(a > b), { integers: true }, { integers: true }, flat],
  ['ge', h.ge, (a, b) => Number(a >= b), { integers: true }, { integers: true }, flat],
]

/** Elementwise with broadcasting, as NumPy does it. */
export function zip(a: Dense, b: Dense, f: (x: number, y: number) => number): Dense {
  const rank = Math.max(a.shape.length, b.shape.length)
  const padded = (shape: readonly number[]): number[] => [...new Array<number>(rank - shape.length).fill(1), ...shape]
  const [left, right] = [padded(a.shape), padded(b.shape)]
  const shape = left.map((extent, axis) => (extent === 1 ? (right[axis] as number) : extent))
  const pick = (array: Dense, from: readonly number[], index: readonly number[]): number =>
    array.at(...index.map((coordinate, axis) => (from[axis] === 1 ? 0 : coordinate)).slice(rank - array.shape.length))
  return Dense.from(shape, (index) => f(pick(a, left, index), pick(b, right, index)))
}

const int = { low: -9, high: 10, integers: true }
const INTEGER_OPS: readonly BinaryRow[] = [
  ['add', h.add, (a, b) => a + b],
  ['sub', h.sub, (a, b) => a - b],
  ['mul', h.mul, (a, b) => a * b],
  ['floorDiv', h.floorDiv, (a, b) => (b === 0 ? 0 : Math.floor(a / b))],
  ['mod', h.mod, (a, b) => (b === 0 ? 0 : a - Math.floor(a / b) * b)],
  ['maximum', h.maximum, Math.max],
  ['minimum', h.minimum, Math.min],
]

const flag: Partial<OperandSpec> = { low: 0, high: 2, integers: true, dtype: 'bool' }

export const CASES: readonly OpCase[] = [
  ...UNARY.map(
    ([name, run, f, operand, more]): OpCase => ({
      name,
      operands: [{ shape: [3, 5], ...operand }],
      run,
      reference: (x) => x.map(f),
      bench: { operands: [{ ...operand, shape: MATRIX }], ...instructionsOf(name) },
      ...more,
    }),
  ),
  ...BINARY.map(
    ([name, run, f, a, b, more]): OpCase => ({
      name,
      operands: [
        { shape: [3, 1, 4], ...a },
        { shape: [2, 1], ...b },
      ],
      run: run as OpCase['run'],
      reference: (x, y) => zip(x as Dense, y as Dense, f),
      bench: {
        operands: [
          { ...a, shape: MATRIX },
          { ...b, shape: MATRIX },
        ],
        ...instructionsOf(name),
      },
      ...more,
    }),
  ),
  ...INTEGER_OPS.map(
    ([name, run, f]): OpCase => ({
      name: `${name} of integers`,
      operands: [
        { shape: [5, 3], ...int },
        { shape: [5, 3], ...int },
      ],
      run: run as OpCase['run'],
      // u8 wraps below zero, so its differences are left to the wrap case.
      reference: (x, y) => zip(x as Dense, y as Dense, f),
      dtypes: name === 'sub' ? ['i8', 'i32', 'i64'] : INTEGERS,
      bench: {
        operands: [
          { ...int, shape: MATRIX },
          { ...int, shape: MATRIX },
        ],
        ...(/floorDiv|mod/.test(name)
          ? { instructions: 'divided in f64, for processors have no division of vectors of integers' }
          : IN_I32),
      },
      order: 0,
    }),
  ),
  {
    name: 'u8 wraps',
    operands: [{ shape: [64], low: 0, high: 256, integers: true }],
    run: (x) => (x as Tensor).mul(3).add(250),
    reference: (x) => (x as Dense).map((v) => (((v * 3) % 256) + 250) % 256),
    dtypes: ['u8'],
    bench: { operands: [{ shape: [4 * ELEMENTS], low: 0, high: 256, integers: true }], ...IN_I32 },
    order: 0,
  },
  {
    name: 'where',
    operands: [{ shape: [3, 4], ...flag }, { shape: [4] }, { shape: [3, 1] }],
    run: (condition, a, b) => h.where(condition as Tensor, a as Tensor, b as Tensor),
    reference: (condition, a, b) =>
      Dense.from([3, 4], ([i, j]) =>
        condition?.at(i as number, j as number) ? (a?.at(j as number) as number) : (b?.at(i as number, 0) as number),
      ),
    bench: { operands: [{ ...flag, shape: MATRIX }, { shape: MATRIX }, { shape: MATRIX }] },
  },
  ...(['logicalAnd', 'logicalOr', 'logicalXor'] as const).map(
    (name): OpCase => ({
      name,
      operands: [
        { shape: [16], ...flag },
        { shape: [16], ...flag },
      ],
      run: (a, b) => h[name](a as Tensor, b as Tensor),
      reference: (a, b) =>
        zip(a as Dense, b as Dense, (x, y) => (name === 'logicalAnd' ? x & y : name === 'logicalOr' ? x | y : x ^ y)),
      dtypes: ['bool'],
      bench: {
        operands: [
          { ...flag, shape: [4 * ELEMENTS] },
          { ...flag, shape: [4 * ELEMENTS] },
        ],
        ...IN_I32,
      },
      order: 0,
    }),
  ),
  {
    name: 'logicalNot',
    operands: [{ shape: [9], ...flag }],
    run: (x) => h.logicalNot(x as Tensor),
    reference: (x) => (x as Dense).map((v) => 1 - v),
    bench: { operands: [{ ...flag, shape: [4 * ELEMENTS] }], ...IN_I32 },
    dtypes: ['bool'],
    order: 0,
  },
  {
    name: 'cast to i32 truncates',
    operands: [{ shape: [4, 7], low: -50, high: 50 }],
    run: (x) => h.cast(x as Tensor, 'i32'),
    reference: (x) => (x as Dense).map(Math.trunc),
    bench: { operands: [{ shape: MATRIX, low: -50, high: 50 }] },
    order: 0,
  },
  {
    name: 'a chain of ops is one program',
    operands: [{ shape: [6, 5] }, { shape: [5] }],
    run: (x, b) =>
      (x as Tensor)
        .add(b as Tensor)
        .tanh()
        .mul(x as Tensor)
        .sigmoid(),
    reference: (x, b) => zip(x as Dense, b as Dense, (v, w) => 1 / (1 + Math.exp(-Math.tanh(v + w) * v))),
    bench: { operands: [{ shape: MATRIX }, { shape: [4096] }], ...EXPONENTIALS },
    // Four roundings of f16 and bf16 in a row would be allowed; the program rounds once.
  },
  {
    name: 'numbers take the dtype of the tensor',
    operands: [{ shape: [5], ...int }],
    run: (x) => (x as Tensor).mul(2).add(1),
    reference: (x) => (x as Dense).map((v) => v * 2 + 1),
    bench: { operands: [{ ...int, shape: MATRIX }] },
    dtypes: ['i32', 'i64', 'f32'],
    order: 0,
  },
]

export const ERRORS: readonly ErrorCase[] = [
  {
    name: 'shapes that do not broadcast',
    call: () => h.tensor([1, 2, 3]).add(h.tensor([1, 2])),
    error: h.ShapeError,
    message: /add: shapes do not broadcast: \[3\] and \[2\]/,
  },
  {
    name: 'no tensor',
    call: () => h.add(1, 2),
    error: h.ArgumentError,
    message: /add: one of its operands must be a tensor/,
  },
  {
    name: 'not a tensor',
    call: () => h.exp('x' as never),
    error: h.ArgumentError,
    message: /exp: an operand is string/,
  },
  { name: 'null', call: () => h.exp(null as never), error: h.ArgumentError, message: /exp: an operand is null/ },
  {
    name: 'bool arithmetic',
    call: () => h.tensor([true]).add(h.tensor([false])),
    error: h.DTypeError,
    message: /add: it takes numbers, not bool/,
  },
  {
    name: 'a condition that is no bool',
    call: () => h.where(h.tensor([1]), 1, 0),
    error: h.DTypeError,
    message: /where: the condition is f32/,
  },
  {
    name: 'a disposed operand',
    call: () => {
      const x = h.tensor([1])
      x.dispose()
      return x.add(1)
    },
    error: h.DisposedError,
    message: /after dispose/,
  },
]
