// All of a run that a checkpoint holds, and how it is read back: what JSON keeps beside the tensors, checked field by field.

import type { Checkpoint } from '../io/checkpoint.js'
import type { Json } from '../io/checkpointManifest.js'
import { CheckpointError } from '../runtime/errors.js'
import { describe } from '../schema/describe.js'
import type { EarlyStoppingState } from './earlyStopping.js'
import type { JournalSums } from './journal.js'
import type { LogValues } from './log.js'
import type { DataState, HistoryEntry } from './options.js'

const VERSION = 1

/** Where a run is, beside its tensors. */
export interface RunState {
  readonly step: number
  /** Epochs done. */
  readonly epoch: number
  /** Whether an epoch has begun whose end was not reached. */
  readonly open: boolean
  readonly data: DataState | undefined
  readonly sums: JournalSums
  readonly figures: LogValues
  readonly history: readonly HistoryEntry[]
  readonly microBatch: number | undefined
  readonly earlyStopping: EarlyStoppingState | undefined
  readonly validatedAt: number
  readonly seconds: number
  /** Algorithms that timing chose, so that another process computes the same bits. */
  readonly algorithms: Readonly<Record<string, string>>
  readonly callbacks: Readonly<Record<string, Json>>
}

/** JSON has no NaN: figures that are not finite are kept as words. */
const figuresToJson = (figures: LogValues): Json =>
  Object.fromEntries(
    Object.entries(figures).map(([name, value]) => [name, Number.isFinite(value) ? value : String(value)]),
  )

const finiteOrNull = (value: number | null): number | null => (value !== null && Number.isFinite(value) ? value : null)

export function runStateToJson({ figures, history, sums, ...state }: RunState): Json {
  const { epoch, recent } = sums
  return {
    version: VERSION,
    ...state,
    sums: {
      epoch: { ...epoch },
      recent: { ...recent, loss: finiteOrNull(recent.loss), norm: finiteOrNull(recent.norm) },
    },
    data: state.data as Json | undefined,
    earlyStopping: state.earlyStopping as Json | undefined,
    figures: figuresToJson(figures),
    history: history.map((entry) => ({ ...entry, figures: figuresToJson(entry.figures) })),
  } as Json
}

type Fields = Readonly<Record<string, unknown>>

const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Reads fields of a checkpoint's JSON; each failure says which. */
class Reader {
  constructor(
    private readonly path: string,
    private readonly fields: Fields,
  ) {}

  fail(name: string, expected: string): never {
    throw new CheckpointError(
      `${this.path}: it is no checkpoint of a training: '${name}' is ${describe(this.fields[name])}, not ${expected}`,
    )
  }

  count(name: string): number {
    const value = this.fields[name]
    return Number.isSafeInteger(value) && (value as number) >= 0
      ? (value as number)
      : this.fail(name, 'an integer from 0 up')
  }

  number(name: string): number {
    const value = this.fields[name]
    return typeof value === 'number' ? value : this.fail(name, 'a number')
  }

  numberOrNull(name: string): number | null {
    return this.fields[name] === null ? null : this.number(name)
  }

  truth(name: string): boolean {
    const value = this.fields[name]
    return typeof value === 'boolean' ? value : this.fail(name, 'true or false')
  }

  object(name: string): Fields {
    const value = this.fields[name]
    return isFields(value) ? value : this.fail(name, 'an object')
  }

  optional<T>(name: string, read: () => T): T | undefined {
    return this.fields[name] === undefined ? undefined : read()
  }

  /** Numbers by name, words standing for those that are not finite. */
  figures(name: string): LogValues {
    const entries = Object.entries(this.object(name)).map(([key, value]) => [key, Number(value)] as const)
    return Object.fromEntries(entries)
  }

  words(name: string): Readonly<Record<string, string>> {
    const found = this.object(name)
    return Object.values(found).every((value) => typeof value === 'string')
      ? (found as Readonly<Record<string, string>>)
      : this.fail(name, 'an object of words')
  }

  list(name: string): readonly Reader[] {
    const value = this.fields[name]
    if (!Array.isArray(value) || !value.every(isFields)) return this.fail(name, 'a list of objects')
    return value.map((fields) => new Reader(this.path, fields))
  }

  inner(name: string): Reader {
    return new Reader(this.path, this.object(name))
  }
}

function sumsOf(reader: Reader): JournalSums {
  const [epoch, recent] = [reader.inner('epoch'), reader.inner('recent')]
  return {
    epoch: { loss: epoch.number('loss'), samples: epoch.count('samples') },
    recent: {
      steps: recent.count('steps'),
      // A sum that is not finite stays so.
      loss: recent.numberOrNull('loss') ?? Number.NaN,
      norm: recent.numberOrNull('norm'),
    },
  }
}

/** The reverse of `runStateToJson`. Throws `CheckpointError` for a checkpoint of something else. */
export function runStateOf({ path, json }: Checkpoint): RunState {
  if (!isFields(json) || json['version'] !== VERSION) {
    throw new CheckpointError(`${path}: it is no checkpoint of a training that this version can go on with`)
  }
  const reader = new Reader(path, json)
  const stopping = (inner: Reader): EarlyStoppingState => ({
    best: isFields(json['earlyStopping']) && json['earlyStopping']['best'] === null ? null : inner.number('best'),
    bestStep: inner.count('bestStep'),
    bad: inner.count('bad'),
  })
  const data = reader.optional('data', () => {
    reader.inner('data').count('epoch')
    return reader.object('data') as unknown as DataState
  })
  return {
    step: reader.count('step'),
    epoch: reader.count('epoch'),
    open: reader.truth('open'),
    data,
    sums: sumsOf(reader.inner('sums')),
    figures: reader.figures('figures'),
    history: reader.list('history').map((entry) => ({
      step: entry.count('step'),
      epoch: entry.count('epoch'),
      figures: entry.figures('figures'),
    })),
    microBatch: reader.optional('microBatch', () => reader.count('microBatch')),
    earlyStopping: reader.optional('earlyStopping', () => stopping(reader.inner('earlyStopping'))),
    validatedAt: reader.count('validatedAt'),
    seconds: reader.number('seconds'),
    algorithms: reader.words('algorithms'),
    callbacks: reader.object('callbacks') as Readonly<Record<string, Json>>,
  }
}
