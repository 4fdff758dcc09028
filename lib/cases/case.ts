// One case of an op: written once, it serves forward, gradient, every dtype, strides, compilation and `heddle bench`.
import type { DType, Shape, Tensor } from '../index.js'

/** A plain array of doubles with a shape: what references compute on. */
export class Dense {
  readonly data: Float64Array

  constructor(
    readonly shape: Shape,
    data?: ArrayLike<number>,
  ) {
    this.data = new Float64Array(shape.reduce((size, extent) => size * extent, 1))
    if (data) this.data.set(data)
  }

  /** Builds one from what `element` gives for each coordinate. */
  static from(shape: Shape, element: (index: readonly number[]) => number): Dense {
    const result = new Dense(shape)
    forEachIndex(shape, (index, position) => {
      result.data[position] = element(index)
    })
    return result
  }

  at(...index: readonly number[]): number {
    return this.data[
      index.reduce((position, coordinate, axis) => position * (this.shape[axis] as number) + coordinate, 0)
    ] as number
  }

  map(change: (element: number, position: number) => number): Dense {
    return new Dense(this.shape, this.data.map(change))
  }
}

export function forEachIndex(shape: Shape, visit: (index: readonly number[], position: number) => void): void {
  const size = shape.reduce((product, extent) => product * extent, 1)
  const index = shape.map(() => 0)
  for (let position = 0; position < size; position++) {
    visit(index, position)
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      index[axis] = (index[axis] as number) + 1
      if ((index[axis] as number) < (shape[axis] as number)) break
      index[axis] = 0
    }
  }
}

/** How an operand is drawn. */
export interface OperandSpec {
  readonly shape: Shape
  /** Uniform in [low, high); default [-2, 2). */
  readonly low?: number
  readonly high?: number
  /** Integers only, from `low` to `high - 1`. */
  readonly integers?: boolean
  /** Values at least this far apart and from 0, so that no tie or kink is near: a shuffled grid. */
  readonly apart?: number
  /** A dtype of its own instead of the one under test (indices, conditions). */
  readonly dtype?: DType
}

/** How a case is timed. */
export interface Benchmark {
  /** Operands large enough that what is timed is the kernel, not the call. */
  readonly operands: readonly OperandSpec[]
  /** Why it stays behind the machine's limits, where it does: shown beside its figures. */
  readonly reason?: string
  /** What it computes, shown where it stays behind with its operands in the cache too. */
  readonly instructions?: string
}

export interface OpCase {
  readonly name: string
  readonly operands: readonly OperandSpec[]
  readonly run: (...tensors: Tensor[]) => Tensor
  readonly reference: (...arrays: Dense[]) => Dense
  /** The dtypes tried; default f32, f64, bf16, f16. */
  readonly dtypes?: readonly DType[]
  /** Default: every float operand, to second order. `0` where there is no gradient, `1` for the first order only. */
  readonly order?: 0 | 1 | 2
  /** [rtol, atol] where the usual ones do not hold; the reason stands beside the case. */
  readonly tolerance?: Partial<Record<DType, readonly [number, number]>>
  /** The same on tensor cores, whose operands are rounded to 16 bits. */
  readonly tensorCoreTolerance?: Partial<Record<DType, readonly [number, number]>>
  /** Results must be exact. */
  readonly exact?: boolean
  /** Default: it is timed with the operands it is checked with. */
  readonly bench?: Benchmark
}

/** Bad input: what is called, and the error it must throw where the user's line is. */
export interface ErrorCase {
  readonly name: string
  readonly call: () => unknown
  readonly error: new (...args: never[]) => Error
  readonly message: RegExp
}

/** Operands drawn as `operands` are, in other shapes. */
export const atShapes = (operands: readonly OperandSpec[], ...shapes: readonly Shape[]): OperandSpec[] =>
  operands.map((operand, i) => ({ ...operand, shape: shapes[i] ?? operand.shape }))

/** What elementwise cases are timed with: 8,388,608 elements, beyond most caches. */
export const MATRIX: Shape = [2048, 4096]
/** As many, as other kernels want them. */
export const CUBE: Shape = [128, 256, 256]
export const IMAGES: Shape = [32, 64, 64, 64]
export const ELEMENTS = 2 ** 23

/** What is said of rows that are only a few vectors long. */
export const shortRows = (length: number): Pick<Benchmark, 'instructions'> =>
  length <= 72 ? { instructions: `rows of ${length}: what each costs beside its elements counts` } : {}

/** What is said of an exponential or a logarithm for each element. */
export const EXPONENTIALS: Pick<Benchmark, 'instructions'> = {
  instructions: 'exponentials and logarithms, of some twenty operations an element each',
}

/** What is said of bytes. */
export const IN_I32: Pick<Benchmark, 'instructions'> = {
  instructions: 'in i32: registers hold a quarter of the elements that memory moves',
}

/** What is said of convolutions and of products of bytes. */
export const ONEDNN: Pick<Benchmark, 'reason'> = { reason: "oneDNN's kernel, in the layout in which it is fastest" }

/** Rows of `length` that make up about as many elements. */
export const rowsOf = (length: number): number => Math.ceil(ELEMENTS / length)

export const FLOATS: readonly DType[] = ['f32', 'f64', 'bf16', 'f16']
export const INTEGERS: readonly DType[] = ['i8', 'u8', 'i32', 'i64']

/** rtol and atol against a float64 reference. */
export const TOLERANCE: Record<DType, readonly [number, number]> = {
  f64: [1e-7, 1e-7],
  f32: [1.3e-6, 1e-5],
  f16: [1e-3, 1e-5],
  bf16: [1.6e-2, 1e-5],
  i8: [0, 0],
  u8: [0, 0],
  i32: [0, 0],
  i64: [0, 0],
  bool: [0, 0],
}
