// The trace: what a compiled function read, assigned and relied on while it was recorded.
import type { CellState } from './cell.js'
import type { Value } from './node.js'

/** A fact of the outside world that the trace relied on; when it changes, the function is traced again. */
export interface Fact {
  readonly owner: object
  readonly key: string
  readonly value: unknown
  read(): unknown
}

export class Trace {
  /** A pass's trace only borrows what it rewrites: its nodes keep no data waiting. */
  constructor(readonly borrows = false) {}

  /** The value each cell has at this point of the function. */
  readonly cells = new Map<CellState, Value>()
  /** The leaf that stands for what each cell held when the run began. */
  readonly reads = new Map<CellState, Value>()
  readonly assigned = new Set<CellState>()
  /** What is made of no other values and the same wherever it is made, by what it is. */
  readonly shared = new Map<string, Value>()
  private readonly facts = new Map<object, Map<string, Fact>>()

  relyOn(owner: object, key: string, value: unknown, read: () => unknown): void {
    let known = this.facts.get(owner)
    if (!known) this.facts.set(owner, (known = new Map()))
    if (!known.has(key)) known.set(key, { owner, key, value, read })
  }

  get allFacts(): Fact[] {
    return [...this.facts.values()].flatMap((facts) => [...facts.values()])
  }
}

let current: Trace | undefined

/** The trace being recorded, if any. */
export const currentTrace = (): Trace | undefined => current

/** Records `fn`. Whatever it does, the previous state is back afterwards. */
export function recording<T>(trace: Trace | undefined, fn: () => T): T {
  const outer = current
  current = trace
  try {
    return fn()
  } finally {
    current = outer
  }
}
