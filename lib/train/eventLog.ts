// A log that TensorBoard shows while it grows.
import { hostname } from 'node:os'
import { join } from 'node:path'
import { AppendedFile } from './appendedFile.js'
import { firstRecord, restartRecord, scalarsRecord, textRecord } from './eventFile.js'
import { checkNote, checkStep, checkValues, type Log, type LogValues } from './log.js'

let opened = 0

/**
 * Scalars as TensorBoard's event file, a new one in `folder` for each log: `tensorboard --logdir` of a folder above shows
 * all of a job's, also those of its runs before it was resumed. Values are stored as f32, names with slashes are groups,
 * notes are the text `notes`.
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

  note(step: number, text: string): void {
    checkNote('EventLog', step, text)
    this.file.append(textRecord(Date.now() / 1000, step, 'notes', text))
  }

  /** Tells TensorBoard to forget later steps; the files of earlier runs stay as they are. */
  async rewind(step: number): Promise<void> {
    checkStep('EventLog', step)
    // Some versions forget at every restart, others take the first one they see for the start of the job.
    for (let time = 0; time < 2; time++) this.file.append(restartRecord(Date.now() / 1000, step + 1))
    await this.file.flush()
  }

  flush(): Promise<void> {
    return this.file.flush()
  }

  close(): Promise<void> {
    return this.file.close()
  }
}
