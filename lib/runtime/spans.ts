// Spans of JavaScript's own work, for traces: told to whoever listens, and to nobody otherwise.

/** Something that took a while. */
export interface Span {
  readonly name: string
  /** What kind of work it is: `serve`, `train`. */
  readonly category: string
  /** Spans of one lane stand in one row of a trace. */
  readonly lane: string
  /** Milliseconds on the clock of `performance.now()`. */
  readonly start: number
  readonly end: number
}

const listeners = new Set<(span: Span) => void>()

/** Tells a span that has ended. Costs nothing to speak of where nobody listens. */
export function recordSpan(span: Span): void {
  for (const listener of listeners) listener(span)
}

/** Calls back with every span from now on; gives what ends that. */
export function listenToSpans(listener: (span: Span) => void): () => void {
  listeners.add(listener)
  return () => listeners.delete(listener)
}
