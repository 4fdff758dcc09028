// What came of each check: told as it comes, counted at the end, written as JSON.
import { writeFileSync } from 'node:fs'

export interface Result {
  readonly group: string
  readonly name: string
  /** `stated`: it does not work, which is known and said, with the reason. */
  readonly state: 'passed' | 'failed' | 'stated' | 'skipped'
  /** Why, where it has not passed. */
  readonly reason: string
  readonly seconds: number
  readonly figures: object
}

/** Thrown where a check can not be made on this machine. */
export class Skipped extends Error {}

export class Results {
  private readonly results: Result[] = []

  constructor(private readonly only: RegExp | undefined) {}

  /** Makes one check: `check` gives its figures or throws. What is `known` not to work must go on not working. */
  async check(
    group: string,
    name: string,
    check: () => Promise<object | undefined> | object | undefined,
    known?: string,
  ): Promise<void> {
    if (this.only && !this.only.test(`${group}: ${name}`)) return
    const start = performance.now()
    let state: Result['state'] = 'passed'
    let reason = ''
    let figures: object = {}
    try {
      figures = (await check()) ?? {}
      if (known) [state, reason] = ['failed', `it works, though it is stated that it does not: ${known}`]
    } catch (error) {
      const said = error instanceof Error ? error.message : String(error)
      if (error instanceof Skipped) [state, reason] = ['skipped', said]
      else [state, reason] = known ? ['stated', `${known} (${said})`] : ['failed', said]
    }
    const seconds = (performance.now() - start) / 1000
    this.results.push({ group, name, state, reason, seconds, figures })
    const shown = Object.keys(figures).length > 0 ? ` ${JSON.stringify(figures)}` : ''
    console.error(`${state.padEnd(8)}${seconds.toFixed(1).padStart(6)} s  ${group}: ${name}${shown}`)
    if (reason) console.error(`          ${reason.trim().replaceAll('\n', '\n          ')}`)
  }

  count(state: Result['state']): number {
    return this.results.filter((result) => result.state === state).length
  }

  write(file: string, figures: object): void {
    writeFileSync(file, `${JSON.stringify({ ...figures, results: this.results }, null, 2)}\n`)
  }
}
