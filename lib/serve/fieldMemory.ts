// Memory for a field of samples and of batches, used again: what every request left behind would keep the garbage collector's
// threads at work, on cores that the model needs.
import type { DType, StorageArrays } from '../schema/dtype.js'

export type Storage = StorageArrays[DType] | Uint16Array

type Constructor = new (memory: number | ArrayBuffer, offset?: number, length?: number) => Storage

export class FieldMemory {
  private readonly spare: Storage[] = []
  private staging = new ArrayBuffer(0)

  /** Of samples of `length` elements, where they all have as many; of at most `kept` of them. */
  constructor(
    private readonly length: number | undefined,
    private readonly kept: number,
  ) {}

  /** A copy that is the caller's until it is released. */
  copy(elements: Storage): Storage {
    const copy = this.spare.pop() as Float32Array | undefined
    if (!copy) return elements.slice()
    // Both are of the field's dtype, whichever that is.
    copy.set(elements as Float32Array)
    return copy
  }

  release(elements: Storage): void {
    if (elements.length === this.length && this.spare.length < this.kept) this.spare.push(elements)
  }

  /** An array like `sample` of so many elements; one of up to `stagedBytes` is the same memory each time. */
  batch(sample: Storage, elements: number, stagedBytes: number): Storage {
    const Elements = sample.constructor as Constructor
    const bytes = elements * sample.BYTES_PER_ELEMENT
    if (bytes > stagedBytes) return new Elements(elements)
    if (this.staging.byteLength < bytes) this.staging = new ArrayBuffer(bytes)
    return new Elements(this.staging, 0, elements)
  }
}
