// What a sample is made of, and what random numbers and names it comes with on its way into a batch.
import type { DType } from '../schema/dtype.js'
import { Random } from './philox.js'

export type NumericArray =
  | Float32Array
  | Float64Array
  | Int8Array
  | Uint8Array
  | Uint16Array
  | Int32Array
  | BigInt64Array

/** An array on the host: elements in row-major order; f16 and bf16 as Uint16 bits or as Float32Array. */
export interface HostArray {
  readonly data: NumericArray
  readonly shape: readonly number[]
  readonly dtype: DType
}

export function isHostArray(value: unknown): value is HostArray {
  if (value === null || typeof value !== 'object') return false
  const { data, shape, dtype } = value as Partial<HostArray>
  return ArrayBuffer.isView(data) && Array.isArray(shape) && typeof dtype === 'string'
}

/** Whether `value` is an object of fields, and not an array or anything that holds numbers. */
export function isFields(value: unknown): value is Record<string, unknown> {
  if (value === null || typeof value !== 'object' || Array.isArray(value) || ArrayBuffer.isView(value)) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return (prototype === Object.prototype || prototype === null) && !isHostArray(value)
}

/** Which sample of which epoch this is, and the random numbers that belong to it, whoever makes it. */
export interface SampleContext {
  /** In the dataset that the loader was given, or in the stream. */
  readonly index: number
  readonly epoch: number
  /** The stream of (seed, epoch, index): transforms that draw from it are the same for any number of workers. */
  readonly random: Random
}

/** @internal The context of a sample; its random numbers are made when first asked for. */
export class SamplePlace implements SampleContext {
  private drawn: Random | undefined

  constructor(
    readonly seed: number,
    readonly epoch: number,
    readonly index: number,
    readonly repeat = 0,
  ) {}

  get random(): Random {
    this.drawn ??= new Random(this.seed, 'sample', this)
    return this.drawn
  }
}

/** @internal The seed and the epoch that contexts are made from. */
export interface EpochPlace {
  readonly seed: number
  readonly epoch: number
}
