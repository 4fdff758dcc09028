// What ops ask of their arguments beyond shapes: floats, integers and numbers in range, said in sentences.
import type { Value } from '../graph/node.js'
import { ArgumentError, DTypeError, ShapeError } from '../runtime/errors.js'
import { describe } from '../schema/describe.js'
import { isFloat } from '../schema/dtype.js'
import { formatShape } from '../schema/shape.js'
import type { Tensor } from '../tensor.js'
import { operand } from './define.js'

/** The value behind a tensor of floats. Throws `DTypeError` for other dtypes. */
export function floatOperand(op: string, candidate: Tensor): Value {
  const value = operand(op, candidate)
  if (!isFloat(value.dtype)) throw new DTypeError(`${op}: it takes floats, not ${value.dtype}; cast it first`)
  return value
}

/** The value behind a tensor of i32 or i64 indices. Throws `DTypeError` for other dtypes. */
export function indexOperand(op: string, candidate: Tensor): Value {
  const value = operand(op, candidate)
  if (value.dtype !== 'i32' && value.dtype !== 'i64') {
    throw new DTypeError(`${op}: indices are i32 or i64, not ${value.dtype}; cast them first`)
  }
  return value
}

/** Throws unless all operands have the dtype of the first. */
export function sameDType(op: string, names: readonly string[], values: readonly Value[]): void {
  const [first, ...rest] = values
  rest.forEach((value, i) => {
    if (value.dtype === first?.dtype) return
    throw new DTypeError(
      `${op}: ${names[0]} is ${first?.dtype}, ${names[i + 1]} is ${value.dtype}; cast them to one dtype first`,
    )
  })
}

/** Throws `ShapeError` unless `value` has `shape`. */
export function expectShape(op: string, name: string, value: Value, shape: readonly number[]): void {
  if (value.shape.length === shape.length && shape.every((extent, axis) => extent === value.shape[axis])) return
  throw new ShapeError(`${op}: ${name} must have shape ${formatShape(shape)}, not ${formatShape(value.shape)}`)
}

/** Throws `ArgumentError` unless `value` is a finite number in [low, high]. */
export function numberIn(
  op: string,
  name: string,
  value: number,
  low: number,
  high = Number.POSITIVE_INFINITY,
): number {
  if (typeof value === 'number' && value >= low && value <= high && Number.isFinite(value)) return value
  const range = Number.isFinite(high) ? `from ${low} to ${high}` : Number.isFinite(low) ? `from ${low} up` : 'finite'
  throw new ArgumentError(`${op}: ${name} must be a number ${range}, not ${plain(value)}`)
}

/** Throws `ArgumentError` unless `value` is an integer of at least `low`. */
export function integerFrom(op: string, name: string, value: number, low: number): number {
  if (Number.isSafeInteger(value) && value >= low) return value
  throw new ArgumentError(`${op}: ${name} must be an integer from ${low} up, not ${plain(value)}`)
}

/** Throws `ArgumentError` unless `value` is one of `names`. */
export function oneOf<N extends string>(op: string, name: string, value: N, names: readonly N[]): N {
  if (names.includes(value)) return value
  throw new ArgumentError(
    `${op}: ${name} must be one of ${names.map((known) => `'${known}'`).join(', ')}, not ${typeof value === 'string' ? `'${value}'` : describe(value)}`,
  )
}

/** What stands for the options: those given, or none. Throws `ArgumentError` for anything but an object. */
export function optionsOf<O extends object>(op: string, options: O | undefined): O {
  if (options === undefined) return {} as O
  if (typeof options === 'object' && options !== null && !Array.isArray(options)) return options
  throw new ArgumentError(`${op}: the options must be an object, not ${describe(options)}`)
}

/** Throws `ArgumentError` unless `value` is an array. */
export function listOf<T>(op: string, name: string, value: readonly T[]): readonly T[] {
  if (Array.isArray(value)) return value
  throw new ArgumentError(`${op}: ${name} must be a list, not ${describe(value)}`)
}

const plain = (value: unknown): string => (typeof value === 'number' ? String(value) : describe(value))
