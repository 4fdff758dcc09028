// A buffer: device memory with one owner on the JavaScript side, freed by hand and, as a net, by the collector.
import { type Device, library, settled } from './device.js'
import { ArgumentError, native } from './errors.js'
import { enter, leave } from './ledger.js'

/** Results up to this size move to JavaScript's heap once they are there, so nobody has to free a loss. */
const SMALL_BYTES = 256

/** What the collector leaves: memory to free, and its entry in the ledger. */
interface Remains {
  readonly handle: number
  readonly entry: number
}

const abandoned = new FinalizationRegistry<Remains>(({ handle, entry }) => {
  leave(entry)
  library().free(handle, true)
})
let finalizers = true

/** Switches the net off (or on), to show that a loop does not need it. */
export function useFinalizers(on: boolean): void {
  finalizers = on
}

export class Buffer {
  /** The bytes on JavaScript's side: of a small result that has been fetched, or of data that was transferred here. */
  private host: Uint8Array | undefined
  private fetched: Promise<void> | undefined
  private freed = false
  /** Its number in the ledger while it has device memory; 0: it has none. */
  private entry = 0

  private constructor(
    readonly device: Device,
    readonly bytes: number,
    private native: number,
    readonly label: string,
  ) {
    if (native !== 0) this.book()
  }

  /** Memory with undefined contents. Throws `OutOfMemoryError`. */
  static allocate(device: Device, bytes: number, label: string): Buffer {
    return new Buffer(
      device,
      bytes,
      native(() => library().alloc(device.index, bytes, label)),
      label,
    )
  }

  /** Takes over a handle that a run allocated; a small one is fetched as soon as `run` has settled. */
  static adopt(device: Device, bytes: number, handle: number, label: string): Buffer {
    const buffer = new Buffer(device, bytes, handle, label)
    if (bytes <= SMALL_BYTES) buffer.fetch()
    return buffer
  }

  /** Memory holding a copy of `data`. */
  static from(device: Device, data: ArrayBufferView, label: string): Buffer {
    if (isDetached(data))
      throw new ArgumentError(`tensor: the data's ArrayBuffer is detached (it was transferred away)`)
    const buffer = Buffer.allocate(device, data.byteLength, label)
    buffer.write(data)
    return buffer
  }

  /**
   * The memory of `data` itself, which is taken away from its holder; the device's thread copies it when work there
   * first needs it. Throws `ArgumentError`, and takes nothing, where it can not be taken away or is more than `data`.
   */
  static transfer(device: Device, data: ArrayBufferView, label: string): Buffer {
    const buffer = new Buffer(device, data.byteLength, 0, label)
    buffer.host = new Uint8Array(takenAway(data))
    return buffer
  }

  /** The native handle, for a run that is enqueued now. */
  get handle(): number {
    if (this.native === 0) {
      if (this.freed || !this.host) throw new ArgumentError(`${this.label}: its memory was freed`)
      this.native = native(() => library().alloc(this.device.index, this.bytes, this.label))
      this.book()
      const { host } = this
      const large = this.bytes > SMALL_BYTES
      native(() => library().write(this.native, 0, host, large))
      // The device reads what is large on its own thread; nobody else has it, and it is not kept twice.
      if (large) this.host = undefined
    }
    return this.native
  }

  /** Overwrites the contents, after all work enqueued so far. */
  write(data: ArrayBufferView): void {
    const handle = this.handleToWrite
    native(() => library().write(handle, 0, data))
  }

  /** The native handle, for work enqueued now that changes the contents: what was fetched of them is void. */
  get handleToWrite(): number {
    const handle = this.handle
    this.host = undefined
    this.fetched = undefined
    return handle
  }

  /** The contents as they are after all work enqueued so far. */
  async read(): Promise<ArrayBuffer> {
    if (this.fetched) await this.fetched
    if (this.host) return this.host.slice().buffer
    const target = new Uint8Array(this.bytes)
    await settled(
      native(() => library().read(this.handle, 0, target)),
      new Error(),
    )
    return target.buffer
  }

  /** Gives the memory back; queued work that needs it still gets it. */
  free(): void {
    this.freed = true
    this.host = undefined
    this.dropNative()
  }

  private fetch(): void {
    const target = new Uint8Array(this.bytes)
    const handle = this.native
    const fetched = settled(
      native(() => library().read(handle, 0, target)),
      new Error(),
    ).then(() => {
      if (this.freed || this.fetched !== fetched) return
      this.host = target
      this.dropNative()
    })
    this.fetched = fetched
    // A failed run must not become an unhandled rejection when nobody reads its result.
    fetched.catch(() => undefined)
  }

  /** Notes that it has device memory, for the ledger and for the collector. */
  private book(): void {
    this.entry = enter(this.device.name, this.bytes, this.label)
    if (finalizers) abandoned.register(this, { handle: this.native, entry: this.entry }, this)
  }

  private dropNative(): void {
    if (this.native === 0) return
    abandoned.unregister(this)
    leave(this.entry)
    library().free(this.native)
    this.native = 0
  }
}

/** ArrayBuffer.prototype.detached is younger than Node 20; no view can be made of a detached one. */
function isDetached(view: ArrayBufferView): boolean {
  if (view.byteLength > 0 || view.buffer.byteLength > 0) return false
  try {
    new Uint8Array(view.buffer)
    return false
  } catch {
    return true
  }
}

/** The ArrayBuffer of a view that spans all of it, detached from whoever held it. */
function takenAway(view: ArrayBufferView): ArrayBuffer {
  const { buffer, byteOffset, byteLength } = view
  if (buffer instanceof SharedArrayBuffer) {
    throw new ArgumentError(
      'tensor: transfer can not take a SharedArrayBuffer away from the threads that share it; leave transfer out',
    )
  }
  if (isDetached(view)) throw new ArgumentError(`tensor: the data's ArrayBuffer is detached (it was transferred away)`)
  if (byteLength !== buffer.byteLength) {
    throw new ArgumentError(
      `tensor: transfer takes a whole ArrayBuffer, and the data is bytes ${byteOffset} to ${byteOffset + byteLength} of ${buffer.byteLength}; pass all of it, or leave transfer out`,
    )
  }
  const kept = (cause?: unknown): ArgumentError =>
    new ArgumentError(`tensor: the data's ArrayBuffer can not be taken from its holder; leave transfer out`, { cause })
  let taken: ArrayBuffer
  try {
    // ArrayBuffer.prototype.transfer is younger than Node 20.
    taken = structuredClone(buffer, { transfer: [buffer] })
  } catch (error) {
    throw kept(error)
  }
  // Before Node 21 what is marked as untransferable was copied without a word.
  if (view.byteLength !== 0) throw kept()
  return taken
}
