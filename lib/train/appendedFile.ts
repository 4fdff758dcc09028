// A file that grows at its end without holding up the loop, and that can be rewritten with lines left out.
import { constants, createReadStream } from 'node:fs'
import { access, type FileHandle, mkdir, open } from 'node:fs/promises'
import { dirname } from 'node:path'
import { replaceFile } from '../io/durable.js'
import { LogError } from '../runtime/errors.js'

/** What becomes of a file's bytes when it is rewritten. */
export type Rewrite = (chunks: AsyncIterable<Uint8Array>) => AsyncIterable<Uint8Array>

interface Rewriting {
  readonly rewrite: Rewrite
  readonly resolve: () => void
  readonly reject: (error: LogError) => void
}

const NEWLINE = 10

/** The lines of bytes, each with its end; what stands behind the last end is a line that was not written whole, and is left out. */
export async function* wholeLines(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let begun: Uint8Array[] = []
  for await (const chunk of chunks) {
    let from = 0
    for (let end = chunk.indexOf(NEWLINE); end !== -1; end = chunk.indexOf(NEWLINE, from)) {
      const rest = chunk.subarray(from, end + 1)
      yield begun.length > 0 ? Buffer.concat([...begun, rest]) : rest
      begun = []
      from = end + 1
    }
    if (from < chunk.length) begun.push(chunk.subarray(from))
  }
}

/** What is appended while the file is being written goes along with the next write. */
export class AppendedFile {
  private pending: (Uint8Array | Rewriting)[] = []
  private writing: Promise<void> | undefined
  private file: FileHandle | undefined
  private failure: LogError | undefined

  constructor(readonly path: string) {}

  append(bytes: Uint8Array): void {
    this.add(bytes)
  }

  /**
   * Rewrites what was appended until now, and what the file had before, by way of another file that is renamed: whenever
   * the process stops, the file is the old or the new one. Rejects with `LogError`; the file is then as it was.
   */
  rewrite(rewrite: Rewrite): Promise<void> {
    return new Promise((resolve, reject) => this.add({ rewrite, resolve, reject }))
  }

  private add(what: Uint8Array | Rewriting): void {
    this.pending.push(what)
    if (!this.writing) this.start()
  }

  /** Failures are kept for `flush`, so that nobody has to listen here. */
  private start(): void {
    this.writing = this.drain().finally(() => {
      this.writing = undefined
      if (this.pending.length > 0) this.start()
    })
  }

  private async drain(): Promise<void> {
    // A later turn of the loop, so that one write takes what is noted together.
    await undefined
    while (this.pending.length > 0) {
      const at = this.pending.findIndex((what) => !(what instanceof Uint8Array))
      if (at === 0) await this.replace(this.pending.shift() as Rewriting)
      else await this.write(this.pending.splice(0, at === -1 ? this.pending.length : at) as Uint8Array[])
    }
  }

  private async write(parts: Uint8Array[]): Promise<void> {
    try {
      if (!this.file) {
        await mkdir(dirname(this.path), { recursive: true })
        this.file = await open(this.path, 'a')
      }
      await this.file.appendFile(Buffer.concat(parts))
    } catch (cause) {
      this.failure ??= this.failed(cause)
    }
  }

  private async replace({ rewrite, resolve, reject }: Rewriting): Promise<void> {
    try {
      await this.release()
      if (await exists(this.path)) await replaceFile(this.path, rewrite(createReadStream(this.path)))
      resolve()
    } catch (cause) {
      reject(cause instanceof LogError ? cause : this.failed(cause))
    }
  }

  private failed(cause: unknown): LogError {
    return new LogError(`${this.path}: it can not be written: ${(cause as Error).message}`, { cause })
  }

  private async release(): Promise<void> {
    const { file } = this
    this.file = undefined
    await file?.close()
  }

  async flush(): Promise<void> {
    while (this.writing) await this.writing
    const { failure } = this
    this.failure = undefined
    if (failure) throw failure
  }

  async close(): Promise<void> {
    try {
      await this.flush()
    } finally {
      await this.release()
    }
  }
}

const exists = (path: string): Promise<boolean> =>
  access(path, constants.F_OK).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return false
      throw error
    },
  )
