// The threshold of a cascade: how sure the small model must be to answer, chosen on held-out samples.
import { ArgumentError } from '../runtime/errors.js'
import { lowerBound } from './calibration.js'

/** A held-out sample: how sure the small model is, and who is right. */
export interface Judged {
  readonly confidence: number
  readonly smallRight: boolean
  readonly largeRight: boolean
}

/** What a cascade is to reach: exactly one of them. */
export type CascadeTarget =
  /** At least this accuracy. */
  | { readonly accuracy: number }
  /** At most so much below the large model's accuracy: 0.002 are 0.2 points. */
  | { readonly below: number }
  /** At most this share of samples for the large model. */
  | { readonly largeShare: number }

export interface ChosenThreshold {
  /** The small model answers where it is at least so sure. */
  readonly threshold: number
  /** On the held-out samples. */
  readonly accuracy: number
  /** Below which the accuracy does not lie, at the level that was asked for; equal to it where none was. */
  readonly accuracyAtLeast: number
  readonly largeShare: number
  readonly smallAccuracy: number
  readonly largeAccuracy: number
}

interface Point {
  readonly threshold: number
  readonly hits: number
  readonly large: number
}

/** What comes of every threshold that makes a difference: from all for the large model to all for the small one. */
function pointsOf(samples: readonly Judged[]): Point[] {
  const order = [...samples].sort((a, b) => b.confidence - a.confidence)
  let hits = order.filter(({ largeRight }) => largeRight).length
  const points: Point[] = [{ threshold: Number.POSITIVE_INFINITY, hits, large: order.length }]
  order.forEach(({ confidence, smallRight, largeRight }, i) => {
    hits += Number(smallRight) - Number(largeRight)
    // Samples of which the small model is equally sure go the same way.
    if (order[i + 1]?.confidence === confidence) return
    const next = order[i + 1]?.confidence
    // Between two samples, so that rounding does not decide.
    const threshold = next === undefined ? 0 : (confidence + next) / 2
    points.push({ threshold, hits, large: order.length - i - 1 })
  })
  return points
}

/**
 * The threshold that sends as few samples as possible to the large model and still reaches the target; of a share, the one of
 * best accuracy. With a `level`, an accuracy has to hold with that confidence: Wilson's lower bound must reach it at this
 * threshold and at every one that asks the large model more often, which makes one test of many (fixed-sequence testing,
 * Angelopoulos et al. 2021). Throws `ArgumentError`, with what can be reached, where no threshold does.
 */
export function chooseThreshold(
  op: string,
  samples: readonly Judged[],
  target: CascadeTarget,
  level: number | undefined,
): ChosenThreshold {
  const count = samples.length
  if (count === 0) throw new ArgumentError(`${op}: there is no held-out sample to choose a threshold on`)
  const points = pointsOf(samples)
  const largeAccuracy = (points[0] as Point).hits / count
  const smallAccuracy = (points.at(-1) as Point).hits / count
  const atLeast = ({ hits }: Point): number => (level === undefined ? hits / count : lowerBound(hits, count, level))
  const result = (point: Point): ChosenThreshold => ({
    threshold: point.threshold,
    accuracy: point.hits / count,
    accuracyAtLeast: atLeast(point),
    largeShare: point.large / count,
    smallAccuracy,
    largeAccuracy,
  })
  if ('largeShare' in target) {
    const affordable = points.filter(({ large }) => large <= target.largeShare * count)
    // Of equal accuracy the one that asks the large model least.
    const best = affordable.reduceRight<Point | undefined>(
      (found, point) => (found === undefined || point.hits > found.hits ? point : found),
      undefined,
    )
    return result(best ?? (points.at(-1) as Point))
  }
  const wanted = 'accuracy' in target ? target.accuracy : largeAccuracy - target.below
  let chosen: Point | undefined
  for (const point of points) {
    if (atLeast(point) >= wanted - 1e-12) chosen = point
    // Without a level every threshold may be looked at; with one the first that fails is the end.
    else if (level !== undefined) break
  }
  if (chosen) return result(chosen)
  const best = points.reduce((a, b) => (atLeast(b) > atLeast(a) ? b : a))
  throw new ArgumentError(
    `${op}: no threshold reaches an accuracy of ${wanted.toFixed(4)}${level === undefined ? '' : ` with confidence ${level}`} on ${count} held-out samples; the best is ${atLeast(best).toFixed(4)}, with ${((100 * best.large) / count).toFixed(1)} % for the large model; ask for less, or give more samples`,
  )
}
