// Elements between JavaScript and memory: typed arrays, half-precision bits, nested arrays.
import { describe } from './describe.js'
import type { DType, StorageArrays } from './dtype.js'

/** What reading a tensor of dtype D gives. */
export type Elements<D extends DType> = {
  [K in DType]: K extends 'bf16' | 'f16' ? Float32Array : StorageArrays[K]
}[D]

/** Elements as they lie in memory: bf16 and f16 as the 16 bits of each. */
export type Stored<D extends DType> = StorageArrays[D]

/** What one element of dtype D is in JavaScript. */
export type Scalar<D extends DType> = {
  [K in DType]: K extends 'i64' ? bigint : K extends 'bool' ? boolean : number
}[D]

export type Nested<T> = T | readonly Nested<T>[]

const float = new Float32Array(1)
const bits = new Uint32Array(float.buffer)

/** The nearest bf16, ties to even, as its bits. */
export function toBf16(x: number): number {
  float[0] = x
  const word = bits[0] as number
  if (Number.isNaN(x)) return 0x7fc0
  return ((word + 0x7fff + ((word >>> 16) & 1)) >>> 16) & 0xffff
}

export function fromBf16(half: number): number {
  bits[0] = half << 16
  return float[0] as number
}

/** The nearest f16, ties to even, as its bits. */
export function toF16(x: number): number {
  float[0] = x
  const word = bits[0] as number
  const sign = (word >>> 16) & 0x8000
  const magnitude = word & 0x7fffffff
  if (magnitude > 0x7f800000) return sign | 0x7e00
  if (magnitude >= 0x477ff000) return sign | 0x7c00
  if (magnitude < 0x38800000) {
    // Subnormal: a multiple of 2^-24; scaling by 2^24 is exact, and rounding to an integer is ties-to-even by hand.
    const scaled = Math.abs(float[0] as number) * 2 ** 24
    const down = Math.floor(scaled)
    const rest = scaled - down
    return sign | (down + (rest > 0.5 || (rest === 0.5 && down % 2 === 1) ? 1 : 0))
  }
  const rounded = magnitude + 0xfff + ((magnitude >>> 13) & 1)
  return sign | ((rounded - 0x38000000) >>> 13)
}

export function fromF16(half: number): number {
  const sign = half & 0x8000 ? -1 : 1
  const exponent = (half >>> 10) & 0x1f
  const fraction = half & 0x3ff
  if (exponent === 0) return sign * fraction * 2 ** -24
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15)
}

type TypedArray = StorageArrays[DType] | Uint16Array

const NATURAL = new Map<unknown, DType>([
  [Float32Array, 'f32'],
  [Float64Array, 'f64'],
  [Int8Array, 'i8'],
  [Uint8Array, 'u8'],
  [Int32Array, 'i32'],
  [BigInt64Array, 'i64'],
])

const ARRAYS = {
  f32: Float32Array,
  f64: Float64Array,
  bf16: Uint16Array,
  f16: Uint16Array,
  i8: Int8Array,
  u8: Uint8Array,
  i32: Int32Array,
  i64: BigInt64Array,
  bool: Uint8Array,
} as const

/** Whether `data` may be memory of `dtype`: its typed array (bf16 and f16 as Uint16 bits), or raw bytes. */
export const holds = (dtype: DType, data: unknown): boolean =>
  data instanceof ARRAYS[dtype] || data instanceof Uint8Array || data instanceof DataView

/** The typed array that carries `dtype`. */
export const storageName = (dtype: DType): string => ARRAYS[dtype].name

type Fail = (message: string) => Error

/** Encodes elements as memory of `dtype`; a typed array of that very type is passed through. */
export function encode(
  source: ArrayBufferView | readonly (number | bigint | boolean)[],
  wanted: DType | undefined,
  fail: Fail,
): { bytes: ArrayBufferView; dtype: DType; length: number } {
  const natural = ArrayBuffer.isView(source) ? NATURAL.get(source.constructor) : guess(source)
  const dtype = wanted ?? natural
  if (!dtype) throw fail(`a ${source.constructor.name} has no dtype of its own here; give one`)
  const elements = source as readonly (number | bigint | boolean)[]
  if (ArrayBuffer.isView(source)) {
    if (source instanceof DataView) throw fail('a DataView has no elements; pass a typed array')
    const passes = natural === dtype || (source instanceof Uint16Array && ARRAYS[dtype] === Uint16Array)
    if (passes) return { bytes: source, dtype, length: elements.length }
  }
  return { bytes: convert(elements, dtype, fail), dtype, length: elements.length }
}

function guess(elements: readonly (number | bigint | boolean)[]): DType {
  if (elements.length > 0 && elements.every((element) => typeof element === 'boolean')) return 'bool'
  if (elements.length > 0 && elements.every((element) => typeof element === 'bigint')) return 'i64'
  return 'f32'
}

const RANGES: Partial<Record<DType, readonly [number, number]>> = {
  i8: [-128, 127],
  u8: [0, 255],
  i32: [-(2 ** 31), 2 ** 31 - 1],
}

function convert(elements: readonly (number | bigint | boolean)[], dtype: DType, fail: Fail): TypedArray {
  const target = new ARRAYS[dtype](elements.length) as TypedArray
  const range = RANGES[dtype]
  for (let i = 0; i < elements.length; i++) {
    const element = elements[i] as number | bigint | boolean
    if (dtype === 'i64') {
      if (typeof element === 'number' && !Number.isInteger(element)) throw fail(`${element} at position ${i} is no i64`)
      const whole = BigInt(element)
      if (BigInt.asIntN(64, whole) !== whole) throw fail(`${element} at position ${i} does not fit i64`)
      ;(target as BigInt64Array)[i] = whole
      continue
    }
    const number = Number(element)
    if (range && !(Number.isInteger(number) && number >= range[0] && number <= range[1])) {
      throw fail(`${number} at position ${i} does not fit ${dtype}`)
    }
    ;(target as Float64Array)[i] =
      dtype === 'bf16'
        ? toBf16(number)
        : dtype === 'f16'
          ? toF16(number)
          : dtype === 'bool'
            ? Number(number !== 0)
            : number
  }
  return target
}

/** Memory of `dtype` as its typed array: bf16 and f16 as their bits. */
export const stored = <D extends DType>(dtype: D, memory: ArrayBuffer): Stored<D> =>
  new ARRAYS[dtype](memory) as Stored<D>

/** The values of bf16 or f16 bits. */
export function widen(dtype: 'bf16' | 'f16', halves: Uint16Array): Float32Array {
  const words = new Uint32Array(halves.length)
  const floats = new Float32Array(words.buffer)
  // A bf16 is the upper half of an f32.
  if (dtype === 'bf16') for (let i = 0; i < halves.length; i++) words[i] = (halves[i] as number) << 16
  else for (let i = 0; i < halves.length; i++) floats[i] = fromF16(halves[i] as number)
  return floats
}

/** Memory of `dtype` as the array people read. */
export function decode(dtype: DType, memory: ArrayBuffer): Elements<DType> {
  if (dtype === 'bf16' || dtype === 'f16') return widen(dtype, new Uint16Array(memory))
  return stored(dtype, memory) as Elements<DType>
}

/** The extents of nested arrays; ragged nesting is an error. */
export function nestedShape(data: unknown, fail: Fail): number[] {
  if (!Array.isArray(data)) return []
  const shapes = data.map((part) => nestedShape(part, fail))
  const first = shapes[0] ?? []
  for (const shape of shapes) {
    if (shape.length !== first.length || shape.some((extent, axis) => extent !== first[axis])) {
      throw fail(`the nested arrays are ragged: one part has shape [${first}], another [${shape}]`)
    }
  }
  return [data.length, ...first]
}

export function flattenNested(data: unknown, fail: Fail): (number | bigint | boolean)[] {
  const flat: (number | bigint | boolean)[] = []
  const visit = (part: unknown): void => {
    if (Array.isArray(part)) for (const inner of part) visit(inner)
    else if (typeof part === 'number' || typeof part === 'bigint' || typeof part === 'boolean') flat.push(part)
    else throw fail(`${describe(part)} is no number, boolean or bigint`)
  }
  visit(data)
  return flat
}
