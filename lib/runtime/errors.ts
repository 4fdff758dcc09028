// Every error heddle throws on purpose: one class per thing a program may want to catch.

export class HeddleError extends Error {
  override readonly name: string = 'HeddleError'
}

/** Shapes, ranks or extents that do not fit the op. */
export class ShapeError extends HeddleError {
  override readonly name = 'ShapeError'
}

/** An element type the op does not take. */
export class DTypeError extends HeddleError {
  override readonly name = 'DTypeError'
}

/** Any other argument that is wrong: an index out of range, a value that is no tensor, a detached buffer. */
export class ArgumentError extends HeddleError {
  override readonly name = 'ArgumentError'
}

/** A tensor used after `dispose()`. */
export class DisposedError extends HeddleError {
  override readonly name = 'DisposedError'
}

/** Something that can not be done while tracing, or only then. */
export class TraceError extends HeddleError {
  override readonly name = 'TraceError'
}

/** A gradient that does not exist: an unknown or frozen parameter, an op without one, a history that was released. */
export class GradientError extends HeddleError {
  override readonly name = 'GradientError'
}

/** Values of different devices in one op, or a device that does not exist. */
export class DeviceError extends HeddleError {
  override readonly name = 'DeviceError'
}

/** Device memory is exhausted. Nothing was written; freeing something and trying again is legal. */
export class OutOfMemoryError extends HeddleError {
  override readonly name = 'OutOfMemoryError'
}

/** A failed run had already written to this state; load a `stateDict` to go on. */
export class StateLostError extends HeddleError {
  override readonly name = 'StateLostError'
}

/** A state dict whose names or shapes do not fit. Nothing was loaded. */
export class StateDictError extends HeddleError {
  override readonly name = 'StateDictError'
}

/** A folder of a pretrained model that can not be used: its config, its architecture, or what it lacks. Nothing was loaded. */
export class PretrainedError extends HeddleError {
  override readonly name = 'PretrainedError'
}

/** A student that can not be made of its teacher: layers, widths or shapes that do not fit. Nothing was changed. */
export class StudentError extends HeddleError {
  override readonly name = 'StudentError'
}

/** Outputs of a teacher on disk that are those of another teacher, of other data, or damaged. Nothing was changed. */
export class TeacherCacheError extends HeddleError {
  override readonly name = 'TeacherCacheError'
}

/** A file whose contents are not what they should be: damaged, truncated, hostile or of another format. */
export class FormatError extends HeddleError {
  override readonly name = 'FormatError'

  /** `position` is a byte offset in the file, or the name of a tensor or an entry. */
  constructor(
    message: string,
    readonly file: string,
    readonly position?: number | string,
    options?: ErrorOptions,
  ) {
    super(message, options)
  }
}

/** A checkpoint that could not be saved, or that is damaged; `cause` is why. What was there before still is. */
export class CheckpointError extends HeddleError {
  override readonly name = 'CheckpointError'
}

/** A log of a run that can not be written; `cause` is why. The run itself is as it was. */
export class LogError extends HeddleError {
  override readonly name = 'LogError'
}

/** Where in the data something went wrong; what is known of it. */
export interface DataPlace {
  /** A path or URL. */
  readonly file?: string
  /** Line of the file, from 1. */
  readonly line?: number
  /** Record of the file, from 1, header not counted. */
  readonly row?: number
  /** Name of the column or field; nested fields with dots. */
  readonly field?: string
  /** Index of the sample in its dataset, from 0. */
  readonly sample?: number
}

/** What is wrong with data, by kind. */
export type DataErrorCode =
  | 'malformed'
  | 'tooLarge'
  | 'unreadable'
  | 'sampleFailed'
  | 'workerDied'
  | 'collate'
  | 'value'

/** Data that can not be read, parsed or put into a batch; says where it is. */
export class DataError extends HeddleError {
  override readonly name = 'DataError'
  readonly file: string | undefined
  readonly line: number | undefined
  readonly row: number | undefined
  readonly field: string | undefined
  readonly sample: number | undefined

  constructor(
    message: string,
    readonly code: DataErrorCode,
    place: DataPlace = {},
    options?: ErrorOptions,
  ) {
    super(message, options)
    this.file = place.file
    this.line = place.line
    this.row = place.row
    this.field = place.field
    this.sample = place.sample
  }
}

/** A queue that is full: the request was turned away before anything was done for it. */
export class OverloadedError extends HeddleError {
  override readonly name = 'OverloadedError'

  /** `retryAfterMs`: about how long the queue takes to get through what waits in it now. */
  constructor(
    message: string,
    readonly retryAfterMs: number,
    options?: ErrorOptions,
  ) {
    super(message, options)
  }
}

/** A request whose time was up before its result was there. */
export class DeadlineError extends HeddleError {
  override readonly name = 'DeadlineError'
}

/** Something that was closed, or that ends: it takes no more requests. */
export class ClosedError extends HeddleError {
  override readonly name = 'ClosedError'
}

/** The device can not be used any more. */
export class DeviceLostError extends HeddleError {
  override readonly name = 'DeviceLostError'
}

/** A defect of heddle itself. */
export class InternalError extends HeddleError {
  override readonly name = 'InternalError'
}

const BY_CODE: Record<string, new (message: string, options?: ErrorOptions) => HeddleError> = {
  invalidArgument: ArgumentError,
  outOfMemory: OutOfMemoryError,
  unsupported: DTypeError,
  deviceLost: DeviceLostError,
  stateLost: StateLostError,
}

/** The typed error for a code of the native library. */
export function errorOfCode(code: string, message: string): HeddleError {
  return new (BY_CODE[code] ?? InternalError)(message)
}

/** Runs a call into the native library and rethrows what it throws as a typed error. */
export function native<T>(call: () => T): T {
  try {
    return call()
  } catch (error) {
    if (error instanceof Error && 'code' in error && typeof error.code === 'string') {
      throw errorOfCode(error.code, error.message)
    }
    throw error
  }
}
