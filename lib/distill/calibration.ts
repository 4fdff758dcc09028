// Calibration: the temperature by which logits become probabilities that hold, and how sure they are.
import { ArgumentError } from '../runtime/errors.js'

/** Logits of samples on the host, a row each. */
export interface LogitRows {
  readonly data: ArrayLike<number>
  readonly classes: number
}

export type ConfidenceKind = 'probability' | 'margin' | 'entropy'

/** softmax(logits / temperature) of a row. */
export function probabilitiesOf({ data, classes }: LogitRows, row: number, temperature: number): Float64Array {
  const found = new Float64Array(classes)
  let most = Number.NEGATIVE_INFINITY
  for (let i = 0; i < classes; i++) most = Math.max(most, data[row * classes + i] as number)
  let total = 0
  for (let i = 0; i < classes; i++) {
    const value = Math.exp(((data[row * classes + i] as number) - most) / temperature)
    found[i] = value
    total += value
  }
  for (let i = 0; i < classes; i++) found[i] = (found[i] as number) / total
  return found
}

/** The place of the largest. */
export function argmaxOf(values: ArrayLike<number>): number {
  let best = 0
  for (let i = 1; i < values.length; i++) if ((values[i] as number) > (values[best] as number)) best = i
  return best
}

/** The most probable class's probability; its lead over the second; or 1 - entropy / log(classes). From 0 to 1. */
export function confidenceOf(probabilities: Float64Array, kind: ConfidenceKind): number {
  if (kind === 'entropy') {
    const entropy = probabilities.reduce((sum, p) => (p > 0 ? sum - p * Math.log(p) : sum), 0)
    return 1 - entropy / Math.log(probabilities.length)
  }
  const best = argmaxOf(probabilities)
  const most = probabilities[best] as number
  if (kind === 'probability') return most
  return most - Math.max(0, ...probabilities.filter((_, i) => i !== best))
}

/** The mean negative logarithm of the labels' probabilities. */
export function negativeLogLikelihood(rows: LogitRows, labels: ArrayLike<number>, temperature: number): number {
  let total = 0
  for (let row = 0; row < labels.length; row++)
    total -= Math.log(Math.max(probabilitiesOf(rows, row, temperature)[labels[row] as number] as number, 1e-300))
  return total / labels.length
}

/** Temperatures that are tried. */
const [COLDEST, HOTTEST] = [0.01, 100]
const GOLDEN = (Math.sqrt(5) - 1) / 2

/**
 * The temperature at which labels are most likely (Guo et al. 2017, "On Calibration of Modern Neural Networks"), by golden
 * section over its logarithm: the likelihood has one maximum. Throws `ArgumentError` where there is no sample.
 */
export function fitTemperature(rows: LogitRows, labels: ArrayLike<number>): number {
  if (labels.length === 0) throw new ArgumentError('fitTemperature: there is no sample to fit a temperature on')
  const loss = (x: number): number => negativeLogLikelihood(rows, labels, Math.exp(x))
  let [low, high] = [Math.log(COLDEST), Math.log(HOTTEST)]
  let [a, b] = [high - GOLDEN * (high - low), low + GOLDEN * (high - low)]
  let [atA, atB] = [loss(a), loss(b)]
  while (high - low > 1e-4) {
    if (atA < atB) {
      high = b
      ;[b, atB] = [a, atA]
      a = high - GOLDEN * (high - low)
      atA = loss(a)
    } else {
      low = a
      ;[a, atA] = [b, atB]
      b = low + GOLDEN * (high - low)
      atB = loss(b)
    }
  }
  return Math.exp((low + high) / 2)
}

/** The lower end of Wilson's interval (1927) for a share, one-sided: `level` 0.95 is z = 1.645. */
export function lowerBound(hits: number, count: number, level: number): number {
  const z = normalQuantile(level)
  const share = hits / count
  const spread = z * Math.sqrt((share * (1 - share)) / count + (z * z) / (4 * count * count))
  return (share + (z * z) / (2 * count) - spread) / (1 + (z * z) / count)
}

/** The x below which a standard normal lies with probability p. */
function normalQuantile(p: number): number {
  let [low, high] = [-10, 10]
  while (high - low > 1e-10) {
    const middle = (low + high) / 2
    if (normalBelow(middle) < p) low = middle
    else high = middle
  }
  return (low + high) / 2
}

/** Phi(x) = 1/2 + phi(x) (x + x^3/3 + x^5/15 + ...) (Marsaglia 2004). */
function normalBelow(x: number): number {
  if (Math.abs(x) > 8) return x < 0 ? 0 : 1
  let [term, sum] = [x, x]
  for (let i = 3; sum + term !== sum; i += 2) sum += term *= (x * x) / i
  return 0.5 + (sum * Math.exp((-x * x) / 2)) / Math.sqrt(2 * Math.PI)
}
