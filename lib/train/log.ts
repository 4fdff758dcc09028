// What a job writes of itself while it runs: numbers by step, appended to files without holding up the loop.
import { type FileHandle, mkdir, open } from 'node:fs/promises'
import { dirname } from 'node:path'
import { ArgumentError, LogError } from '../runtime/errors.js'

/** Numbers of one step by name, such as `train/loss`. */
export type LogValues = Readonly<Record<string, number>>

/** Where numbers of a run go. */
export interface Log {
  /**
   * Notes the values of a step; they are on their way to the file when it returns. Throws `ArgumentError` for a step
   * that is no integer from 0 up and for values that are no numbers; NaN and infinities are numbers.
   */
  write(step: number, values: LogValues): void
  /** Settles when all that was noted is in the file. Rejects with `LogError` where some could not be written. */
  flush(): Promise<void>
  /** `flush`, and lets go of the file. */
  close(): Promise<void>
}

/** Throws `ArgumentError` unless a log can take it. */
export function checkValues(log: string, step: number, values: LogValues): void {
  if (!Number.isSafeInteger(step) || step < 0)
    throw new ArgumentError(`${log}: a step is an integer from 0 up, not ${step}`)
  for (const [name, value] of Object.entries(values)) {
    if (typeof value !== 'number')
      throw new ArgumentError(`${log}: '${name}' of step ${step} is a ${typeof value}, not a number`)
  }
}

/** A file that grows at its end; what is appended while it is being written goes along with the next write. */
export class AppendedFile {
  private pending: Uint8Array[] = []
  private writing: Promise<void> | undefined
  private file: FileHandle | undefined
  private failure: LogError | undefined

  constructor(readonly path: string) {}

  append(bytes: Uint8Array): void {
    this.pending.push(bytes)
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
      const bytes = Buffer.concat(this.pending)
      this.pending = []
      try {
        if (!this.file) {
          await mkdir(dirname(this.path), { recursive: true })
          this.file = await open(this.path, 'a')
        }
        await this.file.appendFile(bytes)
      } catch (cause) {
        this.failure ??= new LogError(`${this.path}: it can not be written: ${(cause as Error).message}`, { cause })
      }
    }
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
      const { file } = this
      this.file = undefined
      await file?.close()
    }
  }
}
