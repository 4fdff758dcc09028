// What a case of conformance is: something of ours beside a call of PyTorch's or optax's that must give the same numbers.

/** The peers, and the calls in Python that stand for them; where several are given the first one installed answers. */
export interface Calls {
  readonly torch?: string
  readonly optax?: string
}

/** A list of numbers per step: everything that is compared. */
export type Path = readonly (readonly number[])[]

export interface Case {
  readonly case: string
  readonly calls: Calls
  /** What the peer is told beside its call. */
  readonly request: Readonly<Record<string, unknown>>
  /** The peer's answer as a path. */
  readonly theirs: (answer: unknown) => Path
  readonly ours: () => Promise<Path>
  /** How many steps are compared; 1 where there are none. */
  readonly steps: number
  /** Steps whose numbers are kept for tests without a peer, from 1; all where left out. */
  readonly kept?: readonly number[]
}

/** The largest difference that passes. */
export const TOLERANCE = 1e-10

/** The largest |a - b| / max(1, |b|); infinite where the lengths differ or one of them is no number. */
export function difference(ours: Path, theirs: Path): number {
  if (ours.length !== theirs.length) return Number.POSITIVE_INFINITY
  let largest = 0
  ours.forEach((row, i) => {
    const wanted = theirs[i] as readonly number[]
    if (row.length !== wanted.length) largest = Number.POSITIVE_INFINITY
    row.forEach((a, j) => {
      const b = wanted[j] as number
      const apart = Math.abs(a - b) / Math.max(1, Math.abs(b))
      largest = Math.max(largest, Number.isNaN(apart) ? Number.POSITIVE_INFINITY : apart)
    })
  })
  return largest
}

/** Numbers that are the same in every language: Park and Miller's generator (1988), exact in doubles, uniform in (0, 1). */
export function drawer(seed: number): () => number {
  let state = seed
  return () => {
    state = (state * 16807) % 2147483647
    return state / 2147483647
  }
}

export const numbers = async (x: { data(): Promise<unknown> }): Promise<number[]> =>
  Array.from((await x.data()) as ArrayLike<number>, Number)
