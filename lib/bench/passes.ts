// Times cases one after the other, and again at the end those that stay behind and nobody knows why.
import { type FailedRow, isUnexplained, type Row } from './result.js'
import type { Subject } from './subject.js'

export interface PassOptions {
  readonly onRow?: ((row: Row) => void) | undefined
  /** Before cases are timed again; their rows follow where their share is larger. */
  readonly onAgain?: ((count: number) => void) | undefined
  readonly onFailure?: ((failed: FailedRow) => void) | undefined
}

/** Neighbours on a shared machine come and go within minutes. */
const PASSES_AGAIN = 2

/** The rows of all subjects that `time` could time, of those timed again the one with the larger share; what fails is told, and the others go on. */
export async function timeAll(
  subjects: readonly Subject[],
  time: (subject: Subject) => Promise<Row>,
  { onRow, onAgain, onFailure }: PassOptions,
): Promise<{ rows: Row[]; failed: FailedRow[] }> {
  const rows = new Map<Subject, Row>()
  const failed: FailedRow[] = []
  const attempt = async (subject: Subject, before?: Row): Promise<void> => {
    try {
      const row = await time(subject)
      if (before && row.roofline <= before.roofline) return
      rows.set(subject, row)
      onRow?.(row)
    } catch (error) {
      const failure = { case: subject.name, error: (error as Error).message }
      failed.push(failure)
      onFailure?.(failure)
    }
  }
  for (const subject of subjects) await attempt(subject)
  for (let pass = 0; pass < PASSES_AGAIN; pass++) {
    const behind = [...rows].filter(([, row]) => isUnexplained(row))
    if (behind.length > 0) onAgain?.(behind.length)
    for (const [subject, before] of behind) await attempt(subject, before)
  }
  return { rows: [...rows.values()], failed }
}
