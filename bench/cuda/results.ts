// The rows of a stage, written to disk one by one: what is killed keeps what it had, and goes on there next time.
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'

/** One measurement or check. A row with an `error` has nothing else to say, and is tried again. */
export interface Row {
  readonly case: string
  /** Whose measurement it is, where several measure one case. */
  readonly peer?: string
  readonly error?: string
  /** The run of the stage it is from: rows of one session met the same machine. */
  readonly session?: string
}

/** What a results file holds. */
export interface ResultsFile<R extends Row = Row> {
  /** What was measured: rows of another build are not gone on with. */
  readonly build: string
  readonly rows: readonly R[]
}

const keyOf = ({ case: name, peer = '' }: Row): string => `${name}\n${peer}`

export function readResults<R extends Row>(path: string): ResultsFile<R> | undefined {
  return existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as ResultsFile<R>) : undefined
}

export class Results<R extends Row> {
  private readonly byKey: Map<string, R>

  /**
   * Goes on with the file at `path` if it is of this `build`. One of another build is put aside as `.old`. Throws where
   * the file is no JSON.
   */
  constructor(
    private readonly path: string,
    private readonly build: string,
    private readonly session: string,
  ) {
    mkdirSync(dirname(path), { recursive: true })
    const found = readResults<R>(path)
    if (found && found.build !== build) renameSync(path, `${path}.old`)
    const rows = found?.build === build ? found.rows : []
    this.byKey = new Map(rows.map((row) => [keyOf(row), row]))
  }

  /** Whether a case has been measured; one that failed with an error has not. */
  has(name: string, peer?: string): boolean {
    const row = this.byKey.get(keyOf({ case: name, ...(peer !== undefined && { peer }) }))
    return row !== undefined && row.error === undefined
  }

  /** Adds a row in the place of the one its case had, and writes the file anew: whole, or not at all. */
  add(row: R): void {
    this.byKey.set(keyOf(row), { ...row, session: this.session })
    const file: ResultsFile<R> = { build: this.build, rows: this.rows }
    writeFileSync(`${this.path}.part`, `${JSON.stringify(file, null, 1)}\n`)
    renameSync(`${this.path}.part`, this.path)
  }

  get rows(): readonly R[] {
    return [...this.byKey.values()]
  }
}
