// What the programs of a stage have in common: their options, the time they may take, and cases one after the other.
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { Results, type Row } from './results.js'

/** How a program of a stage ends: all done, something failed, or time was up with cases left. */
export const EXIT = { complete: 0, failed: 1, unfinished: 75 } as const

export interface Stage {
  /** The device under test. */
  readonly device: string
  /** Tiny sizes and short timings: shows that the program works, measures nothing. */
  readonly quick: boolean
  /** Only cases whose names contain it. */
  readonly only: string
  /** Flags and values of the program's own. */
  readonly own: Readonly<Record<string, string | boolean | undefined>>
  secondsLeft(): number
  /** The rows kept in `<results>/<name>.json`. */
  results<R extends Row>(name: string): Results<R>
}

type OwnOptions = Record<string, { readonly type: 'string' | 'boolean'; readonly default?: string }>

/** The options every program takes, and those of its own. */
export function stageOf(argv: readonly string[], own: OwnOptions = {}): Stage {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      device: { type: 'string', default: 'cuda' },
      quick: { type: 'boolean', default: false },
      only: { type: 'string', default: '' },
      results: { type: 'string', default: 'results' },
      // Seconds since 1970 after which no case is begun.
      until: { type: 'string' },
      build: { type: 'string', default: 'unknown' },
      session: { type: 'string', default: new Date().toISOString() },
      ...own,
    },
  })
  const given = values as Record<string, string | boolean | undefined>
  const text = (name: string): string => String(given[name])
  const until = given['until'] === undefined ? Number.POSITIVE_INFINITY : Number(given['until'])
  return {
    device: text('device'),
    quick: given['quick'] === true,
    only: text('only'),
    own: given,
    secondsLeft: () => until - Date.now() / 1000,
    results: (name) => {
      const suffix = given['quick'] === true ? '.quick' : ''
      return new Results(join(text('results'), `${name}${suffix}.json`), text('build'), text('session'))
    },
  }
}

export interface CaseRun<C, R extends Row> {
  /** What a case needs at least, in seconds: with less left it is not begun. */
  readonly seconds: number
  /** Measured although there are rows of it already. Default false. */
  readonly again?: boolean
  measure(subject: C): Promise<Omit<R, 'case' | 'session'>>
  /** What is printed of a row. */
  told(row: Omit<R, 'case' | 'session'>): string
}

/**
 * Measures the cases that have no row yet, within the time that is left. An error becomes the row of its case. Gives the
 * exit code.
 */
export async function runCases<C extends { readonly case: string }, R extends Row>(
  stage: Pick<Stage, 'only' | 'secondsLeft'>,
  results: Results<R>,
  cases: readonly C[],
  { seconds, again = false, measure, told }: CaseRun<C, R>,
): Promise<number> {
  const wanted = cases.filter(({ case: name }) => name.includes(stage.only))
  const left = again ? wanted : wanted.filter(({ case: name }) => !results.has(name))
  for (const [position, subject] of left.entries()) {
    const { case: name } = subject
    if (stage.secondsLeft() < seconds) {
      console.log(`time is up: ${left.length - position} of ${wanted.length} cases are left`)
      return EXIT.unfinished
    }
    try {
      const row = await measure(subject)
      results.add({ ...row, case: name } as R)
      console.log(`${name}: ${told(row)}`)
    } catch (error) {
      results.add({ case: name, error: (error as Error).message } as R)
      console.log(`${name}: failed: ${(error as Error).message}`)
    }
  }
  const failed = wanted.some(({ case: name }) => !results.has(name))
  return failed ? EXIT.failed : EXIT.complete
}

/** The named facts of a row in one line. */
export function told<R extends object>(row: R, names: readonly (keyof R & string)[]): string {
  const text = (value: unknown): string =>
    typeof value === 'number' && !Number.isInteger(value) ? value.toPrecision(4) : String(value)
  return names.flatMap((name) => (row[name] === undefined ? [] : [`${name} ${text(row[name])}`])).join(', ')
}
