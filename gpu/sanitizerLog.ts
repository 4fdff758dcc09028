// What compute-sanitizer's log says: how many errors, and the first of them.

export interface SanitizerFindings {
  readonly errors: number
  /** Of racecheck: hazards it calls warnings. */
  readonly warnings: number
  /** The first lines that name something. */
  readonly first: readonly string[]
}

const SUMMARY = /ERROR SUMMARY: (\d+) errors?/g
const RACES = /RACECHECK SUMMARY: \d+ hazards? displayed \((\d+) errors?, (\d+) warnings?\)/g
/** What begins a finding: a line of the tool's own that is not indented and no heading. */
const FINDING = /^========= (?! |COMPUTE-SANITIZER|RACECHECK SUMMARY|ERROR SUMMARY|LEAK SUMMARY|$)(.+)$/gm
const FINDINGS_KEPT = 5

/** Sums over every summary in the log. Throws where there is none: the tool did not come to its end. */
export function findingsOf(log: string): SanitizerFindings {
  const first = [...log.matchAll(FINDING)].map(([, text]) => text as string).slice(0, FINDINGS_KEPT)
  const sum = (matches: readonly RegExpMatchArray[], group: number): number =>
    matches.reduce((total, match) => total + Number(match[group]), 0)
  const summaries = [...log.matchAll(SUMMARY)]
  const races = [...log.matchAll(RACES)]
  if (summaries.length + races.length === 0) {
    throw new Error(
      `compute-sanitizer's log has no summary: ${first.join('; ') || log.trim().slice(-300) || '(empty)'}`,
    )
  }
  return { errors: sum(summaries, 1) + sum(races, 1), warnings: sum(races, 2), first }
}
