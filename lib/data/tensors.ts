// From a batch on the host to tensors, whose memory it becomes.

import type { Device } from '../runtime/device.js'
import { DataError } from '../runtime/errors.js'
import { Tensor, tensor } from '../tensor.js'
import type { HostBatch } from './collate.js'
import { type HostArray, isFields, isHostArray } from './sample.js'

type BatchField<V> = V extends number | bigint | boolean | ArrayBufferView | HostArray | readonly number[]
  ? Tensor
  : V extends string
    ? string[]
    : V extends readonly unknown[]
      ? V[]
      : V extends object
        ? Batch<V>
        : V[]

/** What samples of type T become: tensors of numbers and arrays, lists of everything else, under the same keys; and masks. */
export type Batch<T, M extends string = never> = { readonly [K in keyof T]: BatchField<T[K]> } & {
  readonly [K in M]: Tensor<'bool'>
}

/** Tensors of the batch's arrays; memory that an array has to itself is transferred. */
export function tensorsOf(batch: HostBatch, device?: Device | string): Record<string, unknown> {
  const made: Tensor[] = []
  try {
    return fieldsOf(batch, made, device)
  } catch (error) {
    for (const one of made) one.dispose()
    throw error
  }
}

function fieldsOf(batch: HostBatch, made: Tensor[], device: Device | string | undefined): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(batch).map(([field, value]) => {
      if (isFields(value)) return [field, fieldsOf(value as HostBatch, made, device)]
      if (!isHostArray(value)) return [field, value]
      const one = tensorOf(value, field, device)
      made.push(one)
      return [field, one]
    }),
  )
}

function tensorOf({ data, shape, dtype }: HostArray, field: string, device: Device | string | undefined): Tensor {
  // Bytes are u8 to `tensor`, so that bool is converted; half-precision floats are as well.
  const memory = dtype === 'bool' ? data instanceof Uint8Array : data instanceof Float32Array && dtype !== 'f32'
  const own = data.buffer instanceof ArrayBuffer && data.byteLength === data.buffer.byteLength && data.length > 0
  try {
    return tensor(data, { dtype, shape, transfer: own && !memory, ...(device === undefined ? {} : { device }) })
  } catch (cause) {
    throw new DataError(
      `loader: the field '${field}' of the batch is no tensor: ${(cause as Error).message}`,
      'collate',
      { field },
      { cause },
    )
  }
}

/** Disposes every tensor in a batch. */
export function disposeBatch(batch: unknown): void {
  if (batch instanceof Tensor) batch.dispose()
  else if (isFields(batch)) for (const value of Object.values(batch)) disposeBatch(value)
}
