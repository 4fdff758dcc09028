// The fused program: the contract between the fusion pass and the backends that run it. Typed SSA over loop axes.
import { DTYPES, type DType } from './dtype.js'

/**
 * Opcodes with one operand. Float-only unless the list below says otherwise; results have the instruction's dtype.
 * `neg abs sign` also take integers, `not` takes bool, `isNaN isFinite` give bool, `cast` converts any dtype
 * (float to integer truncates and saturates, NaN gives 0; anything to bool is `!= 0`).
 */
export const UNARY = [
  'neg',
  'abs',
  'sign',
  'floor',
  'ceil',
  'round',
  'trunc',
  'sqrt',
  'rsqrt',
  'reciprocal',
  'exp',
  'expm1',
  'exp2',
  'log',
  'log1p',
  'log2',
  'sin',
  'cos',
  'tan',
  'asin',
  'acos',
  'atan',
  'sinh',
  'cosh',
  'tanh',
  'asinh',
  'acosh',
  'atanh',
  'erf',
  'erfc',
  'erfinv',
  'lgamma',
  'digamma',
  'sigmoid',
  'not',
  'isNaN',
  'isFinite',
  'cast',
] as const

/**
 * Opcodes with two operands of one dtype. Comparisons and logic give bool; `max`, `min` propagate NaN; `div` of integers
 * is not an instruction (lowering casts to float first), `floorDiv` and `mod` follow Python (the sign of the divisor;
 * integers by zero give 0).
 */
export const BINARY = [
  'add',
  'sub',
  'mul',
  'div',
  'floorDiv',
  'mod',
  'pow',
  'max',
  'min',
  'atan2',
  'eq',
  'ne',
  'lt',
  'le',
  'gt',
  'ge',
  'and',
  'or',
  'xor',
] as const

/** `where(condition: bool, a, b)`. */
export const TERNARY = ['where'] as const

/**
 * Philox4x32-10 draws (Salmon et al. 2011). Operands: `state0` and `state1`, the two i64 words of a generator's cell
 * (seed, counter), and `index`, the i64 row-major position of the element in the draw. `offset` (an immediate) is the
 * draw's static distance from the counter, in 128-bit blocks.
 * Key = the seed's low and high 32 bits; counter words = low and high 32 bits of (counter + offset + floor(index / 4)),
 * 0, 0; element index % 4 of the block's four 32-bit words is used.
 * - `uniform`, f32: (word >>> 8) * 2^-24; f64: 52 bits from two words, (hi >>> 6 * 2^26 + lo >>> 6) * 2^-52, where an
 *   element takes words 2 * (index % 2) and 2 * (index % 2) + 1 of block floor(index / 2). Always in [0, 1).
 * - `normal`: Box-Muller on the uniforms of the element's pair: elements 2p and 2p+1 share u1 = 1 - uniform(2p),
 *   u2 = uniform(2p + 1); element 2p is sqrt(-2 ln u1) cos(2 pi u2), element 2p+1 the same with sin.
 */
export const RANDOM = ['uniform', 'normal'] as const

/** How a reduction combines; `sum` and `prod` of f16 and bf16 accumulate in f32; `any` and `all` are max and min of bool. */
export const REDUCTIONS = ['sum', 'prod', 'max', 'min'] as const

export type Unary = (typeof UNARY)[number]
export type Binary = (typeof BINARY)[number]
export type Ternary = (typeof TERNARY)[number]
export type Random = (typeof RANDOM)[number]
export type Reduction = (typeof REDUCTIONS)[number]

/** Every opcode, in the order of the native enumeration. */
export const OPCODES = ['load', 'iota', 'constant', 'reduce', ...UNARY, ...BINARY, ...TERNARY, ...RANDOM] as const
export type Opcode = (typeof OPCODES)[number]

/**
 * One instruction; its result is the value whose number is the instruction's position.
 * f16 and bf16 values live in registers as f32 and are rounded where they are stored or cast; i8 and u8 wrap after
 * every instruction.
 */
export type Instruction =
  /** Reads operand `input` at the current coordinates: element `sum(strides[axis] * coordinate[axis])`. */
  | { readonly op: 'load'; readonly dtype: DType; readonly input: number; readonly strides: readonly number[] }
  /** The integer `start + sum(strides[axis] * coordinate[axis])`. */
  | { readonly op: 'iota'; readonly dtype: DType; readonly start: number; readonly strides: readonly number[] }
  | { readonly op: 'constant'; readonly dtype: DType; readonly value: number }
  /** Combines `args[0]` over every reduced axis. At most one per program; what uses it runs once per kept coordinate. */
  | { readonly op: 'reduce'; readonly dtype: DType; readonly kind: Reduction; readonly args: readonly [number] }
  | { readonly op: Unary | Binary | Ternary; readonly dtype: DType; readonly args: readonly number[] }
  | {
      readonly op: Random
      readonly dtype: 'f32' | 'f64'
      readonly offset: number
      readonly args: readonly [number, number, number]
    }

/** A value written to operand `output` of the kernel (outputs are numbered by position), at the given strides. */
export interface Store {
  readonly value: number
  readonly dtype: DType
  readonly strides: readonly number[]
}

/**
 * A loop nest over `extents` (outermost first; order carries no meaning, a backend may reorder and merge axes), the
 * instructions evaluated at each coordinate, and what is stored.
 * Without a `reduce`, every coordinate is evaluated once. With one, `reduced` marks the axes it runs over: instructions
 * that depend on the `reduce` and their loads have stride 0 on these axes; a store of such a value happens once per kept
 * coordinate. A store of a value from before the reduction happens at every coordinate.
 * Distinct stores never overlap, and no store overlaps an operand that is read, except element for element at equal
 * strides (in place), so a backend may evaluate coordinates in any order and in parallel.
 */
export interface Program {
  readonly extents: readonly number[]
  readonly reduced: readonly boolean[]
  readonly instructions: readonly Instruction[]
  readonly stores: readonly Store[]
}

/**
 * A program as words: axis count, extents, reduced flags; instruction count, then per instruction
 * [opcode, dtype, ...]: load [input, strides], iota [start, strides], constant [value], reduce [kind, arg],
 * random [offset, 3 args], others [argument count, args]; store count, then per store [value, dtype, strides].
 */
export function encodeProgram(program: Program): number[] {
  const words: number[] = [program.extents.length, ...program.extents, ...program.reduced.map(Number)]
  words.push(program.instructions.length)
  for (const instruction of program.instructions) {
    words.push(OPCODES.indexOf(instruction.op), DTYPES.indexOf(instruction.dtype))
    switch (instruction.op) {
      case 'load':
        words.push(instruction.input, ...instruction.strides)
        break
      case 'iota':
        words.push(instruction.start, ...instruction.strides)
        break
      case 'constant':
        words.push(instruction.value)
        break
      case 'reduce':
        words.push(REDUCTIONS.indexOf(instruction.kind), instruction.args[0])
        break
      case 'uniform':
      case 'normal':
        words.push(instruction.offset, ...instruction.args)
        break
      default:
        words.push(instruction.args.length, ...instruction.args)
    }
  }
  words.push(program.stores.length)
  for (const store of program.stores) words.push(store.value, DTYPES.indexOf(store.dtype), ...store.strides)
  return words
}
