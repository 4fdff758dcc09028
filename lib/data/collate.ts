// From samples to one batch on the host: numbers and arrays are stacked, everything else is listed.
import { DataError } from '../runtime/errors.js'
import { describe } from '../schema/describe.js'
import { bytesOf, type DType } from '../schema/dtype.js'
import { encode, flattenNested, nestedShape } from '../schema/elements.js'
import { formatShape, type Shape, sameShape, sizeOf } from '../schema/shape.js'
import { type HostArray, isFields, isHostArray, type NumericArray } from './sample.js'

/** How a field whose samples differ in shape is filled up to the largest of the batch. */
export interface PadField<M extends string = string> {
  /** What is filled in. Default 0. */
  readonly value?: number
  /** Extents are rounded up to a multiple of this, so that fewer shapes are compiled. Default 1. */
  readonly multipleOf?: number
  /** Extent of the first axis; longer samples are an error. Default: the longest of the batch. */
  readonly length?: number
  /** Fill before the elements rather than after them. Default false. */
  readonly left?: boolean
  /** Adds a field of this name, bool [batch, length]: true where the first axis holds elements of the sample. */
  readonly mask?: M
}

/** What a batch is made by; plain data, so that workers can be told. */
export interface CollateRules<M extends string = string> {
  /** By field name; nested fields with dots. */
  readonly pad?: Readonly<Record<string, PadField<M>>>
  /** The dtypes of fields of numbers (default f32), or that arrays are converted to. By field name, as `pad`. */
  readonly dtypes?: Readonly<Record<string, DType>>
}

/** A batch on the host: host arrays, lists and objects of them. */
export interface HostBatch {
  readonly [field: string]: HostArray | readonly unknown[] | HostBatch
}

/** Stacks the samples of a batch. `indices` name them in errors. Throws `DataError`. */
export function collate(samples: readonly unknown[], rules: CollateRules = {}, indices?: ArrayLike<number>): HostBatch {
  const name = (at: number): number => indices?.[at] ?? at
  samples.forEach((sample, at) => {
    if (isFields(sample)) return
    throw new DataError(
      `collate: sample ${name(at)} is ${describe(sample)}; a sample is a plain object of fields`,
      'collate',
      { sample: name(at) },
    )
  })
  return collateFields(samples as readonly Record<string, unknown>[], '', { rules, name })
}

interface Context {
  readonly rules: CollateRules
  name(at: number): number
}

function collateFields(samples: readonly Record<string, unknown>[], prefix: string, context: Context): HostBatch {
  const batch: Record<string, HostBatch[string]> = {}
  for (const key of Object.keys(samples[0] ?? {})) {
    const field = prefix + key
    if (key === '__proto__')
      throw failed(`a field is called '${field}', which no object can hold as others`, field, context, 0)
    const values = samples.map((sample, at) => {
      if (Object.hasOwn(sample, key)) return sample[key]
      throw failed(`sample ${context.name(at)} has no field '${field}', others of its batch have`, field, context, at)
    })
    batch[key] = collateField(values, field, context)
    const mask = context.rules.pad?.[field]?.mask
    if (mask !== undefined)
      batch[mask] = maskOf(values as readonly HostArray[], batch[key] as HostArray, field, context)
  }
  samples.forEach((sample, at) => {
    const extra = Object.keys(sample).find((key) => !Object.hasOwn(samples[0] as object, key))
    if (extra === undefined) return
    throw failed(
      `sample ${context.name(at)} has the field '${prefix}${extra}', others of its batch have not`,
      prefix + extra,
      context,
      at,
    )
  })
  return batch
}

const failed = (message: string, field: string, context: Context, at: number, cause?: unknown): DataError =>
  new DataError(`collate: ${message}`, 'collate', { field, sample: context.name(at) }, { cause })

const isNumber = (value: unknown): value is number | bigint | boolean =>
  typeof value === 'number' || typeof value === 'bigint' || typeof value === 'boolean'

function collateField(values: readonly unknown[], field: string, context: Context): HostBatch[string] {
  const { rules } = context
  if (values.some(isFields)) {
    const wrong = values.findIndex((value) => !isFields(value))
    if (wrong === -1) return collateFields(values as readonly Record<string, unknown>[], `${field}.`, context)
    throw failed(
      `'${field}' of sample ${context.name(wrong)} is ${describe(values[wrong])}, of others an object of fields`,
      field,
      context,
      wrong,
    )
  }
  const expected = rules.dtypes?.[field] !== undefined || rules.pad?.[field] !== undefined
  if (!values.some((value) => holdsNumbers(value)) && !(expected && values.length > 0)) return values
  return stack(
    values.map((value, at) => numeric(value, field, context, at)),
    field,
    context,
  )
}

/** A number, an array of elements, or nested lists whose first leaf is a number. */
function holdsNumbers(value: unknown): boolean {
  if (isNumber(value) || isHostArray(value) || (ArrayBuffer.isView(value) && !(value instanceof DataView))) return true
  return Array.isArray(value) && value.length > 0 && holdsNumbers(value[0])
}

/** One sample's value with its natural dtype, or that of the rules. */
function numeric(value: unknown, field: string, context: Context, at: number): HostArray {
  const wanted = context.rules.dtypes?.[field]
  const fail = (message: string): Error =>
    failed(`'${field}' of sample ${context.name(at)}: ${message}`, field, context, at)
  if (!(holdsNumbers(value) || (Array.isArray(value) && value.length === 0))) {
    throw fail(`it is ${describe(value)}, where numbers are expected; fill missing values before they are batched`)
  }
  const whole = isHostArray(value)
  const source = (
    whole ? value.data : isNumber(value) ? [value] : ArrayBuffer.isView(value) ? value : flattenNested(value, fail)
  ) as NumericArray
  const shape: Shape = whole
    ? value.shape
    : isNumber(value)
      ? []
      : ArrayBuffer.isView(value)
        ? [source.length]
        : nestedShape(value, fail)
  if (sizeOf(shape) !== source.length)
    throw fail(`${source.length} elements do not fill the shape ${formatShape(shape)}`)
  const { bytes, dtype } = encode(source, wanted ?? (whole ? value.dtype : undefined), fail)
  return { data: bytes as NumericArray, shape, dtype }
}

function stack(parts: readonly HostArray[], field: string, context: Context): HostArray {
  const first = parts[0] as HostArray
  const other = parts.findIndex(({ dtype }) => dtype !== first.dtype)
  if (other !== -1) {
    throw failed(
      `'${field}' is ${first.dtype} in sample ${context.name(0)} and ${parts[other]?.dtype} in sample ${context.name(other)}; give its dtype in dtypes`,
      field,
      context,
      other,
    )
  }
  const shape = context.rules.pad?.[field] ? paddedShape(parts, field, context) : first.shape
  const size = sizeOf(shape)
  const Elements = first.data.constructor as new (length: number) => NumericArray
  // A Node Buffer would come from a pool that is no batch's own.
  const data =
    first.data instanceof Uint8Array ? new Uint8Array(parts.length * size) : new Elements(parts.length * size)
  const { value = 0, left = false } = context.rules.pad?.[field] ?? {}
  if (value !== 0)
    fillWith(data, encode([value], first.dtype, (message) => failed(message, field, context, 0)).bytes as NumericArray)
  parts.forEach((part, at) => {
    if (sameShape(part.shape, shape)) (data as Float64Array).set(part.data as Float64Array, at * size)
    else if (context.rules.pad?.[field]) place(part, shape, data, at * size, left)
    else {
      throw failed(
        `'${field}' has shape ${formatShape(first.shape)} in sample ${context.name(0)} and ${formatShape(part.shape)} in sample ${context.name(at)}; pad it (pad: { '${field}': {} }) or bring it to one shape`,
        field,
        context,
        at,
      )
    }
  })
  return { data, shape: [parts.length, ...shape], dtype: first.dtype }
}

const fillWith = (data: NumericArray, [value]: NumericArray): void => void (data as Float64Array).fill(value as number)

function paddedShape(parts: readonly HostArray[], field: string, context: Context): Shape {
  const { multipleOf = 1, length }: PadField = context.rules.pad?.[field] ?? {}
  const rank = parts[0]?.shape.length as number
  const other = parts.findIndex(({ shape }) => shape.length !== rank)
  if (other !== -1)
    throw failed(
      `'${field}' has ${rank} axes in sample ${context.name(0)} and ${parts[other]?.shape.length} in sample ${context.name(other)}`,
      field,
      context,
      other,
    )
  return Array.from({ length: rank }, (_, axis) => {
    const extents = parts.map(({ shape }) => shape[axis] as number)
    const largest = extents.reduce((a, b) => Math.max(a, b), 0)
    if (axis > 0 || length === undefined) return axis > 0 ? largest : Math.ceil(largest / multipleOf) * multipleOf
    if (largest > length) {
      const at = extents.indexOf(largest)
      throw failed(
        `'${field}' of sample ${context.name(at)} is ${largest} long, and is padded to ${length}; cut it first`,
        field,
        context,
        at,
      )
    }
    return length
  })
}

/** Copies `part` into the corner of a larger array. */
function place(
  { data: source, shape: extents }: HostArray,
  shape: Shape,
  target: NumericArray,
  offset: number,
  left: boolean,
): void {
  if (source.length === 0) return
  const run = extents.at(-1) as number
  const rows = source.length / run
  for (let row = 0; row < rows; row++) {
    let position = 0
    let step = shape.at(-1) as number
    let rest = row
    for (let axis = shape.length - 2; axis >= 0; axis--) {
      const extent = extents[axis] as number
      const index = (rest % extent) + (left && axis === 0 ? (shape[0] as number) - extent : 0)
      rest = Math.floor(rest / extent)
      position += index * step
      step *= shape[axis] as number
    }
    if (left && shape.length === 1) position += (shape[0] as number) - run
    ;(target as Float64Array).set(source.subarray(row * run, (row + 1) * run) as Float64Array, offset + position)
  }
}

function maskOf(values: readonly unknown[], batch: HostArray, field: string, context: Context): HostArray {
  const [count, length] = batch.shape as [number, number]
  const data = new Uint8Array(count * length)
  const left = context.rules.pad?.[field]?.left ?? false
  values.forEach((value, at) => {
    const own = numeric(value, field, context, at).shape[0] as number
    const start = at * length + (left ? length - own : 0)
    data.fill(1, start, start + own)
  })
  return { data, shape: [count, length], dtype: 'bool' }
}

/** Bytes of all arrays of a batch. */
export function bytesOfBatch(batch: HostBatch): number {
  return Object.values(batch).reduce<number>((sum, value) => {
    if (isHostArray(value)) return sum + sizeOf(value.shape) * bytesOf(value.dtype)
    return sum + (isFields(value) ? bytesOfBatch(value as HostBatch) : 0)
  }, 0)
}
