// The parts of yauzl and yazl that are used here; neither brings types.
declare module 'yauzl' {
  import type { Readable } from 'node:stream'

  export interface Entry {
    readonly fileName: string
    readonly compressionMethod: number
    readonly compressedSize: number
    readonly uncompressedSize: number
    readonly crc32: number
  }
  export interface ZipFile {
    readonly fileSize: number
    eachEntry(): AsyncIterable<Entry>
    openReadStreamPromise(entry: Entry): Promise<Readable>
    close(): void
  }
  const yauzl: {
    openPromise(
      path: string,
      options: { readonly autoClose: boolean; readonly strictFileNames: boolean },
    ): Promise<ZipFile>
  }
  export default yauzl
}

declare module 'yazl' {
  import type { Readable } from 'node:stream'

  interface EntryOptions {
    readonly mtime: Date
    readonly forceDosTimestamp: boolean
    readonly compress: boolean
    readonly size: number
  }
  class ZipFile {
    readonly outputStream: Readable
    addReadStreamLazy(
      name: string,
      options: EntryOptions,
      open: (give: (error: Error | null, stream: Readable) => void) => void,
    ): void
    on(event: 'error', listener: (error: Error) => void): void
    end(): void
  }
  const yazl: { readonly ZipFile: typeof ZipFile }
  export default yazl
}
