// A line search for the strong Wolfe conditions by cubic interpolation, over numbers; evaluation is asynchronous.

/** The objective at x + t d. `gradient` is handed through. */
export interface Point<G> {
  readonly t: number
  readonly loss: number
  /** The derivative by t. */
  readonly slope: number
  readonly gradient: G
}

export interface SearchOptions {
  /** The largest element of the direction, by magnitude. */
  readonly size: number
  /** A bracket that changes no element by more than this is narrow enough. */
  readonly toleranceChange: number
  /** Default 25. */
  readonly maxIterations?: number
}

/** Sufficient decrease and curvature, as Nocedal and Wright advise for quasi-Newton methods. */
const [C1, C2] = [1e-4, 0.9]

/** Where the cubic through two points with their slopes is least, within bounds; their middle where there is no minimum. */
function cubicMinimum<G>(a: Point<G>, b: Point<G>, low = Math.min(a.t, b.t), high = Math.max(a.t, b.t)): number {
  const d1 = a.slope + b.slope - (3 * (a.loss - b.loss)) / (a.t - b.t)
  const square = d1 * d1 - a.slope * b.slope
  if (!(square >= 0)) return (low + high) / 2
  const d2 = Math.sqrt(square)
  const [near, far] = a.t <= b.t ? [a, b] : [b, a]
  const t = far.t - (far.t - near.t) * ((far.slope + d2 - d1) / (far.slope - near.slope + 2 * d2))
  return Math.min(Math.max(t, low), high)
}

/** Keeps a trial off the ends of the bracket where the one before was near an end too; `near` says whether this one is. */
function offEnds(
  t: number,
  low: number,
  high: number,
  nearBefore: boolean,
): { readonly t: number; readonly near: boolean } {
  const margin = 0.1 * (high - low)
  if (Math.min(high - t, t - low) >= margin) return { t, near: false }
  if (!nearBefore && t < high && t > low) return { t, near: true }
  return { t: Math.abs(t - high) < Math.abs(t - low) ? high - margin : low + margin, near: false }
}

/**
 * A point that fulfils the strong Wolfe conditions, or the best that was found (Nocedal and Wright 2006, algorithms 3.5 and
 * 3.6, with the safeguards of Schmidt's minFunc, as PyTorch has them). `start` is the point at t = 0, `t` the first trial.
 */
export async function strongWolfe<G>(
  evaluate: (t: number) => Promise<Point<G>>,
  start: Point<G>,
  t: number,
  { size, toleranceChange, maxIterations = 25 }: SearchOptions,
): Promise<{ readonly point: Point<G>; readonly evaluations: number }> {
  const rises = (point: Point<G>): boolean => point.loss > start.loss + C1 * point.t * start.slope
  const flat = (point: Point<G>): boolean => Math.abs(point.slope) <= -C2 * start.slope

  let point = await evaluate(t)
  let previous = start
  let iterations = 0
  let found: readonly [Point<G>, Point<G>] | undefined
  for (; iterations < maxIterations; iterations++) {
    if (rises(point) || (iterations > 1 && point.loss >= previous.loss)) found = [previous, point]
    else if (flat(point)) return { point, evaluations: iterations + 1 }
    else if (point.slope >= 0) found = [previous, point]
    if (found) break
    const next = cubicMinimum(previous, point, point.t + 0.01 * (point.t - previous.t), point.t * 10)
    previous = point
    point = await evaluate(next)
  }
  const bracket: [Point<G>, Point<G>] = found ? [...found] : [start, point]
  const lower = (): 0 | 1 => (bracket[0].loss <= bracket[1].loss ? 0 : 1)
  let low = lower()

  let near = false
  while (iterations < maxIterations && Math.abs(bracket[1].t - bracket[0].t) * size >= toleranceChange) {
    const [left, right] = bracket[0].t <= bracket[1].t ? bracket : ([bracket[1], bracket[0]] as const)
    const trial = offEnds(cubicMinimum(left, right), left.t, right.t, near)
    near = trial.near
    point = await evaluate(trial.t)
    iterations++
    const high = low === 0 ? 1 : 0
    if (rises(point) || point.loss >= bracket[low].loss) {
      bracket[high] = point
      low = lower()
      continue
    }
    if (flat(point)) return { point, evaluations: iterations + 1 }
    if (point.slope * (bracket[high].t - bracket[low].t) >= 0) bracket[high] = bracket[low]
    bracket[low] = point
  }
  return { point: bracket[low], evaluations: iterations + 1 }
}
