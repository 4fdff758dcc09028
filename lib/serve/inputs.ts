// What requests hold: the fields a batcher takes, and one sample checked against them before it may wait in a queue.
import { oneOf } from '../ops/arguments.js'
import { ArgumentError, DTypeError, ShapeError } from '../runtime/errors.js'
import { describe } from '../schema/describe.js'
import { type DType, isDType, isFloat } from '../schema/dtype.js'
import { encode, flattenNested, type Nested, nestedShape, storageName } from '../schema/elements.js'
import { formatShape, type Shape, sizeOf } from '../schema/shape.js'
import type { TensorState } from '../state.js'
import type { Tensor } from '../tensor.js'
import { FieldMemory, type Storage } from './fieldMemory.js'

/** One field of a request. */
export interface InputSpec {
  /** The shape of one sample, without the batch; `null` stands for any extent from 1 up. */
  readonly shape: readonly (number | null)[]
  /** Default f32. */
  readonly dtype?: DType
  /** What becomes of a request with NaN or an infinity in it: it fails (default), or goes on. */
  readonly nonFinite?: 'reject' | 'allow'
}

/** The one thing a request holds, or several by name. */
export type Inputs = InputSpec | Readonly<Record<string, InputSpec>>

/** A field of one sample: numbers, alone or nested, a typed array, or what `stateDict` and a batcher's results hold. */
export type SampleData = Nested<number | bigint | boolean> | ArrayBufferView | TensorState

/** What a request holds, by what is declared. */
export type SampleOf<I extends Inputs> = I extends InputSpec ? SampleData : { readonly [K in keyof I]: SampleData }

/** What the model is given: the same with a batch axis in front. */
export type TensorsOf<I extends Inputs> = I extends InputSpec ? Tensor : { readonly [K in keyof I]: Tensor }

/** A field as it lies in a batch, elements in row-major order. */
export interface Field {
  readonly elements: Storage
  readonly shape: Shape
}

/** A request's sample, copied and checked. */
export interface Sample {
  /** Equal for samples that may be in one batch. */
  readonly key: string
  readonly fields: readonly Field[]
}

/** A declared field with its name; that of a request that holds one thing is empty. */
interface Declared extends Required<InputSpec> {
  readonly field: string
  readonly memory: FieldMemory
}

const isSpec = (inputs: Inputs): inputs is InputSpec => Array.isArray((inputs as InputSpec).shape)

/** The fields that a batcher was told of; checks samples against them and puts them into batches. */
export class InputFields {
  private readonly declared: readonly Declared[]
  private readonly single: boolean

  constructor(
    private readonly owner: string,
    inputs: Inputs,
    /** Samples whose memory is kept when their requests have ended. */
    private readonly kept: number,
  ) {
    if (inputs === null || typeof inputs !== 'object')
      throw new ArgumentError(`${owner}: inputs must be { shape, dtype } or several by name, not ${describe(inputs)}`)
    this.single = isSpec(inputs)
    const entries: (readonly [string, InputSpec])[] = isSpec(inputs) ? [['', inputs]] : Object.entries(inputs)
    if (entries.length === 0) throw new ArgumentError(`${owner}: inputs name no field`)
    this.declared = entries.map(([field, spec]) => this.declare(field, spec))
  }

  private declare(field: string, spec: InputSpec): Declared {
    const name = this.nameOf(field)
    if (spec === null || typeof spec !== 'object' || !Array.isArray(spec.shape))
      throw new ArgumentError(`${this.owner}: ${name} must be { shape, dtype }, not ${describe(spec)}`)
    const { shape, dtype = 'f32', nonFinite = 'reject' } = spec
    for (const extent of shape)
      if (extent !== null && !(Number.isSafeInteger(extent) && extent > 0))
        throw new ShapeError(
          `${this.owner}: ${name} has the extent ${describe(extent)}; it is an integer above 0 or null`,
        )
    if (!isDType(dtype)) throw new DTypeError(`${this.owner}: there is no dtype ${describe(dtype)}, as ${name} has it`)
    oneOf(this.owner, 'nonFinite', nonFinite, ['reject', 'allow'])
    const length = shape.includes(null) ? undefined : sizeOf(shape as Shape)
    return { field, shape, dtype, nonFinite, memory: new FieldMemory(length, this.kept) }
  }

  private nameOf(field: string): string {
    return field === '' ? 'the input' : `the input '${field}'`
  }

  /** Shapes of one sample where none of them varies: what can be run before the first request. */
  get fixedShapes(): readonly Shape[] | undefined {
    const shapes = this.declared.map(({ shape }) => shape)
    return shapes.some((shape) => shape.includes(null)) ? undefined : (shapes as Shape[])
  }

  /** A copy of what a request holds. Throws what is wrong with it: `ShapeError`, `DTypeError` or `ArgumentError`. */
  check(given: unknown): Sample {
    const fields = this.single
      ? [this.checkField(this.declared[0] as Declared, given)]
      : this.declared.map((declared) => this.checkField(declared, this.fieldOf(given, declared.field)))
    return { key: fields.map(({ shape }) => shape.join('x')).join(' '), fields }
  }

  /** Takes back the memory of a sample that nobody looks at any more. */
  release({ fields }: Sample): void {
    fields.forEach(({ elements }, position) => this.declared[position]?.memory.release(elements))
  }

  private fieldOf(given: unknown, field: string): unknown {
    if (given === null || typeof given !== 'object' || !Object.hasOwn(given, field)) {
      const names = this.declared.map((declared) => declared.field).join(', ')
      throw new ArgumentError(`${this.owner}: a request holds ${names}; this one has no '${field}'`)
    }
    return (given as Record<string, unknown>)[field]
  }

  private checkField(declared: Declared, given: unknown): Field {
    const { dtype } = declared
    const name = this.nameOf(declared.field)
    const fail = (message: string): ArgumentError => new ArgumentError(`${this.owner}: ${name}: ${message}`)
    const state = isState(given) ? given : undefined
    const data = state ? state.data : given
    if (data === null || data === undefined || (typeof data === 'object' && !Array.isArray(data) && !isTyped(data)))
      throw fail(`it takes numbers, nested lists of them or a typed array, not ${describe(data)}`)
    if (isTyped(data)) this.checkKind(declared, data, state?.dtype)
    const flat = isTyped(data) ? data : flattenNested(data, fail)
    const length = isTyped(data) ? data.length : flat.length
    const shape = this.shapeOf(
      declared,
      state
        ? state.shape
        : isTyped(data)
          ? undefined
          : nestedShape(data, (message) => new ShapeError(`${this.owner}: ${name}: ${message}`)),
      length,
    )
    const { bytes } = encode(flat, dtype, (message) => new DTypeError(`${this.owner}: ${name}: ${message}`))
    // What is passed through is the caller's own memory, who may use it again at once.
    const elements = bytes === data ? declared.memory.copy(bytes as Storage) : (bytes as Storage)
    if (declared.nonFinite === 'reject' && isFloat(dtype)) {
      const position = firstNonFinite(dtype, elements)
      if (position >= 0)
        throw fail(
          `element ${position} of ${length} is NaN or an infinity; nonFinite: 'allow' lets such requests go on`,
        )
    }
    return { elements, shape }
  }

  /** Floats may be converted to floats; any other typed array has to be memory of the dtype. */
  private checkKind({ field, dtype }: Declared, data: Storage, said: DType | undefined): void {
    const floats = data instanceof Float32Array || data instanceof Float64Array
    if (data.constructor.name === storageName(dtype) ? said === undefined || said === dtype || !isFloat(dtype) : false)
      return
    if (isFloat(dtype) && floats) return
    throw new DTypeError(
      `${this.owner}: ${this.nameOf(field)} takes ${dtype}, a ${storageName(dtype)}, not a ${data.constructor.name}${said ? ` of ${said}` : ''}`,
    )
  }

  /** The sample's shape; that of a typed array without one is the declared one, with at most one extent to be found. */
  private shapeOf({ field, shape }: Declared, given: Shape | undefined, length: number): Shape {
    const wrong = (what: string): ShapeError =>
      new ShapeError(
        `${this.owner}: ${this.nameOf(field)} takes one sample of shape [${shape.map((extent) => extent ?? 'any').join(',')}], not ${what}`,
      )
    if (given) {
      const fits =
        given.length === shape.length &&
        shape.every((extent, axis) => (extent === null ? (given[axis] as number) > 0 : extent === given[axis]))
      if (!fits) throw wrong(formatShape(given))
      if (sizeOf(given) !== length) throw wrong(`${length} elements`)
      return [...given]
    }
    const open = shape.filter((extent) => extent === null).length
    const known = shape.reduce<number>((product, extent) => product * (extent ?? 1), 1)
    const rest = length / known
    if (open > 1) throw wrong(`${length} elements without a shape; pass { data, shape, dtype }`)
    if (open === 0 ? rest !== 1 : !(Number.isInteger(rest) && rest > 0)) throw wrong(`${length} elements`)
    return shape.map((extent) => extent ?? rest)
  }

  /**
   * The samples as one array per field, in order, up to `size` rows: what is missing repeats the last sample, which is
   * as good as any to a model, and no index of it is out of range. Arrays of up to `stagedBytes` are good until the next call.
   */
  stack(
    samples: readonly Sample[],
    size: number,
    stagedBytes: number,
  ): { dtype: DType; shape: Shape; elements: Storage }[] {
    return this.declared.map(({ dtype, memory }, position) => {
      const rows = samples.map(({ fields }) => fields[position] as Field)
      const { elements: first, shape } = rows[0] as Field
      const { length } = first
      const elements = memory.batch(first, size * length, stagedBytes) as Float32Array
      for (let row = 0; row < size; row++)
        elements.set((rows[Math.min(row, rows.length - 1)] as Field).elements as Float32Array, row * length)
      return { dtype, shape: [size, ...shape], elements }
    })
  }

  /** A sample of zeros, to run a model before the first request. */
  zeros(shapes: readonly Shape[]): Sample {
    return this.check(
      this.assemble(
        this.declared.map(({ dtype }, position) => {
          const shape = shapes[position] as Shape
          const zeros = new Array(sizeOf(shape)).fill(dtype === 'i64' ? 0n : 0)
          return { data: encode(zeros, dtype, (message) => new ArgumentError(message)).bytes, shape, dtype }
        }),
      ),
    )
  }

  /** Values by position, as a request and a model have them. */
  assemble<T>(values: readonly T[]): T | Record<string, T> {
    if (this.single) return values[0] as T
    return Object.fromEntries(this.declared.map(({ field }, position) => [field, values[position] as T]))
  }
}

const isTyped = (data: unknown): data is Storage => ArrayBuffer.isView(data) && !(data instanceof DataView)

const isState = (given: unknown): given is TensorState =>
  given !== null &&
  typeof given === 'object' &&
  ArrayBuffer.isView((given as TensorState).data) &&
  Array.isArray((given as TensorState).shape)

/** Position of the first NaN or infinity, -1 where there is none. */
function firstNonFinite(dtype: DType, elements: Storage): number {
  if (elements instanceof Uint16Array) {
    const exponent = dtype === 'f16' ? 0x7c00 : 0x7f80
    return elements.findIndex((bits) => (bits & exponent) === exponent)
  }
  const floats = elements as Float32Array
  // A sum is NaN or infinite where one of its terms is, and much faster than a test of each; it may also overflow.
  let sum = 0
  for (let i = 0; i < floats.length; i++) sum += floats[i] as number
  return Number.isFinite(sum) ? -1 : floats.findIndex((value) => !Number.isFinite(value))
}
