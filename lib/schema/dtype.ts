// The element types: their names, sizes and promotion. Imports nothing.

/** Element types in the order of the native enumeration (`schema.gen.h` is generated from this list). */
export const DTYPES = ['f32', 'f64', 'bf16', 'f16', 'i8', 'u8', 'i32', 'i64', 'bool'] as const

export type DType = (typeof DTYPES)[number]
export type FloatDType = 'f32' | 'f64' | 'bf16' | 'f16'
export type IntDType = 'i8' | 'u8' | 'i32' | 'i64'

const BYTES: Record<DType, number> = { f32: 4, f64: 8, bf16: 2, f16: 2, i8: 1, u8: 1, i32: 4, i64: 8, bool: 1 }

/** Bytes of one element. */
export const bytesOf = (dtype: DType): number => BYTES[dtype]

export const isFloat = (dtype: DType): dtype is FloatDType =>
  dtype === 'f32' || dtype === 'f64' || dtype === 'bf16' || dtype === 'f16'

export const isInteger = (dtype: DType): dtype is IntDType =>
  dtype === 'i8' || dtype === 'u8' || dtype === 'i32' || dtype === 'i64'

export const isDType = (name: unknown): name is DType => (DTYPES as readonly unknown[]).includes(name)

const INTEGER_ORDER: readonly DType[] = ['bool', 'u8', 'i8', 'i32', 'i64']

/**
 * The dtype two operands compute in. NumPy's rules with two differences that keep f64 away unless somebody asks for it:
 * an integer with a float gives that float, and f16 with bf16 gives f32.
 */
export function promote(a: DType, b: DType): DType {
  if (a === b) return a
  const floatA = isFloat(a)
  const floatB = isFloat(b)
  if (floatA && floatB) return a === 'f64' || b === 'f64' ? 'f64' : 'f32'
  if (floatA) return a
  if (floatB) return b
  if ((a === 'u8' && b === 'i8') || (a === 'i8' && b === 'u8')) return 'i32'
  return INTEGER_ORDER[Math.max(INTEGER_ORDER.indexOf(a), INTEGER_ORDER.indexOf(b))] as DType
}

/** The typed array class that carries a dtype between JavaScript and a buffer; bf16 and f16 travel as Uint16 bits. */
export interface StorageArrays {
  f32: Float32Array
  f64: Float64Array
  bf16: Uint16Array
  f16: Uint16Array
  i8: Int8Array
  u8: Uint8Array
  i32: Int32Array
  i64: BigInt64Array
  bool: Uint8Array
}
