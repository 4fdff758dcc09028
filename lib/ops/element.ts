// Elementwise ops: one instruction of a fused program each, with its gradient rule.
import { apply, constantLeaf, type Node, type Value } from '../graph/node.js'
import type { Op } from '../graph/op.js'
import { useMultiplication } from '../graph/passes/simplify.js'
import { ArgumentError, DTypeError, ShapeError } from '../runtime/errors.js'
import { type DType, isFloat, promote } from '../schema/dtype.js'
import type { Spec } from '../schema/op.js'
import type { Opcode } from '../schema/program.js'
import { broadcastShapes, formatShape, type Shape, sameShape } from '../schema/shape.js'
import { checkDType, Tensor } from '../tensor.js'
import { operand } from './define.js'
import { broadcastTo } from './view.js'

/** A tensor, or a number that takes the dtype of the tensor beside it. */
export type Operand = Tensor | number | boolean

type ElementGradient = (operands: readonly Tensor[], y: Tensor, dy: Tensor) => readonly (Tensor | undefined)[]

/** Which dtypes an elementwise op computes in, given what its operands promote to, and what it gives. */
type Domain = 'float' | 'number' | 'any' | 'comparison' | 'logic' | 'test'

function resultOf(domain: Domain, dtype: DType): DType {
  return domain === 'comparison' || domain === 'logic' || domain === 'test' ? 'bool' : dtype
}

function elementOp(name: Opcode, domain: Domain, grad: ElementGradient | undefined): Op {
  return {
    name,
    kind: 'element',
    opcode: name,
    params: {},
    infer: (specs) => {
      const first = specs.at(-1) as Spec
      return [{ dtype: resultOf(domain, first.dtype), shape: first.shape }]
    },
    gradient: grad && elementGradient(grad),
  }
}

const elementGradient =
  (grad: ElementGradient) =>
  (node: Node, [cotangent]: readonly (Value | undefined)[]): readonly (Value | undefined)[] =>
    grad(
      node.inputs.map((input) => new Tensor(input)),
      new Tensor(node.output),
      new Tensor(cotangent as Value),
    ).map((part) => part?.value)

/** The dtype an op of that domain computes in; floats where only floats make sense. */
function computeDType(name: string, domain: Domain, dtype: DType): DType {
  if ((domain === 'float' || domain === 'test') && !isFloat(dtype)) return 'f32'
  if (domain === 'number' && dtype === 'bool') {
    throw new DTypeError(`${name}: it takes numbers, not bool; cast it first`)
  }
  if (domain === 'logic' && dtype !== 'bool') {
    throw new DTypeError(`${name}: it takes bool, not ${dtype}; compare with 0 first`)
  }
  return dtype
}

const CAST: Op = {
  name: 'cast',
  kind: 'element',
  opcode: 'cast',
  params: { dtype: 'dtype' },
  infer: ([input], { dtype }) => [{ dtype: dtype as DType, shape: (input as Spec).shape }],
  gradient: (node, [dy]) => {
    const source = node.inputs[0] as Value
    return [isFloat(source.dtype) && dy ? castValue(dy, source.dtype) : undefined]
  },
}

const castValue = (value: Value, dtype: DType): Value =>
  value.dtype === dtype ? value : apply(CAST, { dtype }, [value]).output

/** `x` as another dtype. Floats become integers by truncation, saturating; anything but 0 becomes true. */
export function cast<D extends DType, S extends Shape>(x: Tensor<DType, S>, dtype: D): Tensor<D, S> {
  const value = operand('cast', x)
  checkDType('cast', dtype)
  return new Tensor(castValue(value, dtype))
}

/** A value of one shape and dtype that is the same number everywhere, for an op's own use: users' are `full`'s. */
export const constant = (value: number, { dtype, shape }: Spec): Tensor =>
  new Tensor(constantLeaf(dtype === 'f32' ? Math.fround(value) : value, { dtype, shape }, true))

/** The dtype a bare number joins a tensor in: the tensor's, unless a fraction meets integers. */
function dtypeOfNumber(value: number | boolean, beside: DType): DType {
  if (typeof value === 'boolean') return beside
  if (isFloat(beside)) return beside
  if (!Number.isInteger(value)) return 'f32'
  return beside === 'bool' ? 'i32' : beside
}

/** Brings operands to one dtype and one shape. Numbers follow the tensors; one of the operands must be a tensor. */
export function align(name: string, operands: readonly Operand[]): Tensor[] {
  const tensors = operands.filter((candidate) => typeof candidate !== 'number' && typeof candidate !== 'boolean')
  const values = tensors.map((tensor) => operand(name, tensor))
  if (values.length === 0) throw new ArgumentError(`${name}: one of its operands must be a tensor`)
  let dtype = values.map((value) => value.dtype).reduce(promote)
  for (const candidate of operands) {
    if (typeof candidate === 'number' || typeof candidate === 'boolean') {
      dtype = promote(dtype, dtypeOfNumber(candidate, dtype))
    }
  }
  const shape = values
    .map((value) => value.shape)
    .reduce((a, b) => {
      const joined = broadcastShapes(a, b)
      if (!joined) throw new ShapeError(`${name}: shapes do not broadcast: ${formatShape(a)} and ${formatShape(b)}`)
      return joined
    })
  return operands.map((candidate) => {
    if (typeof candidate === 'number' || typeof candidate === 'boolean')
      return constant(Number(candidate), { dtype, shape })
    const same = cast(candidate, dtype)
    return sameShape(same.shape, shape) ? same : broadcastTo(same, shape)
  })
}

type Unary = <D extends DType, S extends Shape>(x: Tensor<D, S>) => Tensor<D, S>
type Test = <S extends Shape>(x: Tensor<DType, S>) => Tensor<'bool', S>

function unary(name: Opcode, domain: Domain, grad?: (x: Tensor, y: Tensor, dy: Tensor) => Tensor | undefined): Unary {
  const op = elementOp(name, domain, grad && (([x], y, dy) => [grad(x as Tensor, y, dy)]))
  return (x) => {
    const value = operand(name, x)
    return new Tensor(apply(op, {}, [castValue(value, computeDType(name, domain, value.dtype))]).output) as never
  }
}

type Binary = (a: Operand, b: Operand) => Tensor
function binary(name: Opcode, domain: Domain, grad?: ElementGradient): Binary & { readonly op: Op } {
  const op = elementOp(name, domain, grad)
  const call = (a: Operand, b: Operand): Tensor => {
    const [x, y] = align(name, [a, b]) as [Tensor, Tensor]
    const dtype = computeDType(name, domain, x.dtype)
    return new Tensor(apply(op, {}, [castValue(x.value, dtype), castValue(y.value, dtype)]).output)
  }
  return Object.assign(call, { op })
}

const TWO_OVER_ROOT_PI = 2 / Math.sqrt(Math.PI)

// Arithmetic.
export const add = binary('add', 'number', (_, __, dy) => [dy, dy])
export const sub = binary('sub', 'number', (_, __, dy) => [dy, neg(dy)])
export const mul = binary('mul', 'number', ([a, b], _, dy) => [mul(dy, b as Tensor), mul(dy, a as Tensor)])
/** True division: integers give f32. */
export const div = binary('div', 'float', ([, b], y, dy) => {
  const part = div(dy, b as Tensor)
  return [part, neg(mul(part, y))]
})
/** Division rounded towards minus infinity; integers by zero give 0. */
export const floorDiv = binary('floorDiv', 'number')
/** The rest of `floorDiv`: it has the sign of the divisor. */
export const mod = binary('mod', 'number', ([a, b], _, dy) => [dy, neg(mul(dy, floor(div(a as Tensor, b as Tensor))))])
/** d/dx x^p = p x^(p-1); d/dp = x^p ln x, taken as 0 where x = 0. */
export const pow = binary('pow', 'number', ([x, p], y, dy) => {
  const base = x as Tensor
  const exponent = p as Tensor
  const zero = eq(base, 0)
  const log_ = where(zero, 0, log(where(zero, 1, base)))
  return [mul(dy, mul(exponent, pow(base, sub(exponent, 1)))), mul(dy, mul(y, log_))]
})
/** The larger; NaN wins. Where both are equal each gets half of the gradient. */
export const maximum = binary('max', 'any', ([a, b], _, dy) => shareBetween(a as Tensor, b as Tensor, dy, gt))
/** The smaller; NaN wins. Where both are equal each gets half of the gradient. */
export const minimum = binary('min', 'any', ([a, b], _, dy) => shareBetween(a as Tensor, b as Tensor, dy, lt))
export const atan2 = binary('atan2', 'float', ([y, x], _, dy) => {
  const norm = add(mul(y as Tensor, y as Tensor), mul(x as Tensor, x as Tensor))
  return [div(mul(dy, x as Tensor), norm), neg(div(mul(dy, y as Tensor), norm))]
})

function shareBetween(a: Tensor, b: Tensor, dy: Tensor, wins: Binary): readonly [Tensor, Tensor] {
  const first = where(eq(a, b), mul(dy, 0.5), where(wins(a, b), dy, 0))
  return [first, sub(dy, first)]
}

// Comparison and logic.
export const eq = binary('eq', 'comparison')
export const ne = binary('ne', 'comparison')
export const lt = binary('lt', 'comparison')
export const le = binary('le', 'comparison')
export const gt = binary('gt', 'comparison')
export const ge = binary('ge', 'comparison')
export const logicalAnd = binary('and', 'logic')
export const logicalOr = binary('or', 'logic')
export const logicalXor = binary('xor', 'logic')
export const logicalNot: Test = unary('not', 'logic') as Test
export const isNaN: Test = unary('isNaN', 'test') as Test
export const isFinite: Test = unary('isFinite', 'test') as Test

// Signs and rounding.
export const neg = unary('neg', 'number', (_, __, dy) => neg(dy))
/** |x|, its derivative at 0 taken as 0. */
export const abs = unary('abs', 'number', (x, _, dy) => mul(dy, sign(x)))
export const sign = unary('sign', 'number')
export const floor = unary('floor', 'float')
export const ceil = unary('ceil', 'float')
/** To the nearest integer, ties to even. */
export const round = unary('round', 'float')
export const trunc = unary('trunc', 'float')

// Powers, exponentials and logarithms.
export const sqrt = unary('sqrt', 'float', (_, y, dy) => div(mul(dy, 0.5), y))
export const rsqrt = unary('rsqrt', 'float', (_, y, dy) => mul(mul(dy, -0.5), mul(y, mul(y, y))))
export const reciprocal = unary('reciprocal', 'float', (_, y, dy) => neg(mul(dy, mul(y, y))))
export const exp = unary('exp', 'float', (_, y, dy) => mul(dy, y))
export const expm1 = unary('expm1', 'float', (_, y, dy) => mul(dy, add(y, 1)))
export const exp2 = unary('exp2', 'float', (_, y, dy) => mul(dy, mul(y, Math.LN2)))
export const log = unary('log', 'float', (x, _, dy) => div(dy, x))
export const log1p = unary('log1p', 'float', (x, _, dy) => div(dy, add(x, 1)))
export const log2 = unary('log2', 'float', (x, _, dy) => div(dy, mul(x, Math.LN2)))

// Trigonometry.
export const sin = unary('sin', 'float', (x, _, dy) => mul(dy, cos(x)))
export const cos = unary('cos', 'float', (x, _, dy) => neg(mul(dy, sin(x))))
export const tan = unary('tan', 'float', (_, y, dy) => mul(dy, add(mul(y, y), 1)))
export const asin = unary('asin', 'float', (x, _, dy) => mul(dy, rsqrt(sub(1, mul(x, x)))))
export const acos = unary('acos', 'float', (x, _, dy) => neg(mul(dy, rsqrt(sub(1, mul(x, x))))))
export const atan = unary('atan', 'float', (x, _, dy) => div(dy, add(mul(x, x), 1)))
export const sinh = unary('sinh', 'float', (x, _, dy) => mul(dy, cosh(x)))
export const cosh = unary('cosh', 'float', (x, _, dy) => mul(dy, sinh(x)))
export const tanh = unary('tanh', 'float', (_, y, dy) => mul(dy, sub(1, mul(y, y))))
export const asinh = unary('asinh', 'float', (x, _, dy) => mul(dy, rsqrt(add(mul(x, x), 1))))
export const acosh = unary('acosh', 'float', (x, _, dy) => mul(dy, rsqrt(sub(mul(x, x), 1))))
export const atanh = unary('atanh', 'float', (x, _, dy) => div(dy, sub(1, mul(x, x))))

// Special functions.
/** 1 / (1 + e^-x). */
export const sigmoid = unary('sigmoid', 'float', (_, y, dy) => mul(dy, mul(y, sub(1, y))))
/** The error function, 2/sqrt(pi) times the integral of e^-t^2 from 0 to x. */
export const erf = unary('erf', 'float', (x, _, dy) => mul(dy, mul(exp(neg(mul(x, x))), TWO_OVER_ROOT_PI)))
/** 1 - erf(x), without cancellation. */
export const erfc = unary('erfc', 'float', (x, _, dy) => mul(dy, mul(exp(neg(mul(x, x))), -TWO_OVER_ROOT_PI)))
export const erfinv = unary('erfinv', 'float', (_, y, dy) => mul(dy, mul(exp(mul(y, y)), 1 / TWO_OVER_ROOT_PI)))
/** The logarithm of |gamma(x)|. */
export const lgamma = unary('lgamma', 'float', (x, _, dy) => mul(dy, digamma(x)))
/** The derivative of `lgamma`; its own derivative is not provided. */
export const digamma = unary('digamma', 'float')

const WHERE: Op = {
  ...elementOp('where', 'any', ([condition], _, dy) => [
    undefined,
    where(condition as Tensor, dy, 0),
    where(condition as Tensor, 0, dy),
  ]),
  infer: (specs) => [specs[1] as Spec],
}

/** `a` where `condition` (bool) holds, else `b`, elementwise with broadcasting. */
export function where(condition: Tensor, a: Operand, b: Operand): Tensor {
  const test = operand('where', condition)
  if (test.dtype !== 'bool') throw new DTypeError(`where: the condition is ${test.dtype}, not bool; compare it first`)
  const bothNumbers = typeof a !== 'object' && typeof b !== 'object'
  const sides = bothNumbers
    ? [constant(Number(a), { dtype: 'f32', shape: [] }), constant(Number(b), { dtype: 'f32', shape: [] })]
    : align('where', [a, b])
  const [x, y] = sides as [Tensor, Tensor]
  const shape = broadcastShapes(test.shape, x.shape)
  if (!shape) {
    throw new ShapeError(
      `where: the condition ${formatShape(test.shape)} does not broadcast with ${formatShape(x.shape)}`,
    )
  }
  const operands = [condition, x, y].map((tensor) => broadcastTo(tensor, shape).value)
  return new Tensor(apply(WHERE, {}, operands).output)
}

const IOTA: Op = {
  name: 'iota',
  kind: 'element',
  opcode: 'iota',
  params: {},
  infer: (_, params) => [{ dtype: params['dtype'] as DType, shape: params['shape'] as Shape }],
  gradient: undefined,
}

/** `start + step * position` over the row-major positions of `shape`. */
export function iota(shape: Shape, dtype: DType, start = 0, step = 1): Tensor {
  if (isFloat(dtype)) return add(mul(cast(iota(shape, 'i32'), dtype), step), start)
  return new Tensor(apply(IOTA, { dtype, shape, start, step }, []).output)
}

useMultiplication(mul.op)
