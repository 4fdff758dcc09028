// What an op with a kernel is: its name, its operands, its parameters and how parameters travel to native code.
import { DTYPES, type DType } from './dtype.js'
import type { Program } from './program.js'
import { encodeProgram } from './program.js'
import type { Shape } from './shape.js'

/** What is known of a tensor without its data. */
export interface Spec<D extends DType = DType> {
  readonly shape: Shape
  readonly dtype: D
}

/**
 * The kinds a parameter may have; each becomes a field of the op's generated C++ struct.
 * `i64` is any safe integer, `i64[]` a list of them, a tuple of strings an enumeration.
 */
export type ParamKind = 'i64' | 'f64' | 'bool' | 'dtype' | 'i64[]' | 'program' | readonly string[]
export type ParamSchema = Readonly<Record<string, ParamKind>>

type ParamValue<K extends ParamKind> = K extends 'i64' | 'f64'
  ? number
  : K extends 'bool'
    ? boolean
    : K extends 'dtype'
      ? DType
      : K extends 'i64[]'
        ? readonly number[]
        : K extends 'program'
          ? Program
          : K extends readonly (infer Name)[]
            ? Name
            : never

/** The TypeScript type of a parameter schema's values. */
export type Params<P extends ParamSchema> = { readonly [Key in keyof P]: ParamValue<P[Key]> }

/**
 * Which strides a kernel takes for an operand; lowering copies what it cannot take.
 * - `contiguous`: row-major without gaps (the default).
 * - `matrix`: the last two axes are a row-major or transposed matrix (one of them has stride 1, no stride is zero or
 *   negative); the batch axes before them are free.
 * - `lastAxis`: the last axis has stride 1, the others are free.
 * - `dense`: a permutation of gapless memory (channels-last, for example).
 * - `any`: everything, broadcast (0) and negative strides included.
 */
export type Strides = 'contiguous' | 'matrix' | 'lastAxis' | 'dense' | 'any'

/** The part of an op that native code and the code generator need: data only. */
export interface OpSchema<P extends ParamSchema = ParamSchema> {
  readonly name: string
  readonly params: P
}

/** Parameters as the words of a plan: numbers in schema order, lists and programs behind their length. */
export function encodeParams(schema: ParamSchema, values: Readonly<Record<string, unknown>>): number[] {
  const words: number[] = []
  for (const [name, kind] of Object.entries(schema)) {
    const value = values[name]
    if (kind === 'i64' || kind === 'f64') words.push(value as number)
    else if (kind === 'bool') words.push(value ? 1 : 0)
    else if (kind === 'dtype') words.push(DTYPES.indexOf(value as DType))
    else if (kind === 'i64[]') words.push((value as number[]).length, ...(value as number[]))
    else if (kind === 'program') {
      const program = encodeProgram(value as Program)
      words.push(program.length)
      for (const word of program) words.push(word)
    } else words.push(kind.indexOf(value as string))
  }
  return words
}
