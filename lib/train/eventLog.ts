// A log that TensorBoard shows while it grows.
import { hostname } from 'node:os'
import { join } from 'node:path'
import { firstRecord, scalarsRecord } from './eventFile.js'
import { AppendedFile, checkValues, type Log, type LogValues } from './log.js'

let opened = 0

/**
 * Scalars as TensorBoard's event file, a new one in `folder` for each log: `tensorboard --logdir` of a folder above shows
 * all of a job's, also those of its runs before it was resumed. Values are stored as f32, names with slashes are groups.
 */
export class EventLog implements Log {
  private readonly file: AppendedFile

  constructor(folder: string) {
    const seconds = Date.now() / 1000
    const name = `events.out.tfevents.${Math.floor(seconds)}.${hostname()}.${process.pid}.${opened++}`
    this.file = new AppendedFile(join(folder, name))
    this.file.append(firstRecord(seconds))
  }

  /** The event file. */
  get path(): string {
    return this.file.path
  }

  write(step: number, values: LogValues): void {
    checkValues('EventLog', step, values)
    this.file.append(scalarsRecord(Date.now() / 1000, step, values))
  }

  flush(): Promise<void> {
    return this.file.flush()
  }

  close(): Promise<void> {
    return this.file.close()
  }
}
