// The choice of the next token from its logits: the most likely, or drawn from those that top-k and top-p leave.
import type { Random } from '../data/philox.js'
import { HeddleError } from '../runtime/errors.js'

export interface SamplingOptions {
  /** Logits are divided by it before one is drawn; 0 (default) takes the most likely. */
  readonly temperature?: number
  /** Only this many of the most likely may be drawn (Fan et al. 2018). Default: all. */
  readonly topK?: number
  /** Only the most likely whose probabilities together reach this may be drawn (Holtzman et al. 2020). Default 1: all. */
  readonly topP?: number
}

/** The place of the largest; the first of equal ones. Throws where there is none, which is a model that has diverged. */
export function mostLikely(logits: Float32Array): number {
  let best = 0
  for (let i = 0; i < logits.length; i++) {
    if (Number.isNaN(logits[i]))
      throw new HeddleError(`generate: logit ${i} is NaN; the model's weights are not usable`)
    if ((logits[i] as number) > (logits[best] as number)) best = i
  }
  return best
}

/** The `count`-th largest value. */
function largest(values: Float32Array, count: number): number {
  // The largest so far, descending.
  const top = new Float32Array(count).fill(Number.NEGATIVE_INFINITY)
  for (const value of values) {
    if (value <= (top[count - 1] as number)) continue
    let place = count - 1
    for (; place > 0 && (top[place - 1] as number) < value; place--) top[place] = top[place - 1] as number
    top[place] = value
  }
  return top[count - 1] as number
}

/** The next token. */
export function sampleToken(logits: Float32Array, options: Required<SamplingOptions>, random: Random): number {
  const { temperature, topK, topP } = options
  const best = mostLikely(logits)
  if (temperature === 0) return best
  const most = logits[best] as number
  const least = topK < logits.length ? largest(logits, topK) : Number.NEGATIVE_INFINITY
  const weights = Float64Array.from(logits, (logit) => (logit >= least ? Math.exp((logit - most) / temperature) : 0))
  const total = weights.reduce((sum, weight) => sum + weight, 0)
  const kept = topP < 1 ? nucleus(weights, total, topP) : undefined
  const sum = kept ? kept.reduce((part, token) => part + (weights[token] as number), 0) : total
  let left = random.uniform() * sum
  const count = kept ? kept.length : weights.length
  let last = best
  for (let i = 0; i < count; i++) {
    const token = kept ? (kept[i] as number) : i
    const weight = weights[token] as number
    if (weight === 0) continue
    last = token
    left -= weight
    if (left < 0) return token
  }
  // Rounding has left a remainder behind the last one.
  return last
}

/** The tokens that are needed, most likely first, to reach `share` of the total. */
function nucleus(weights: Float64Array, total: number, share: number): number[] {
  // All tokens below this have less than the rest of the total together, so none of them is needed.
  const least = ((1 - share) * total) / weights.length
  const candidates: number[] = []
  for (let i = 0; i < weights.length; i++) if ((weights[i] as number) >= least) candidates.push(i)
  candidates.sort((a, b) => (weights[b] as number) - (weights[a] as number) || a - b)
  let before = 0
  const end = candidates.findIndex((token) => {
    if (before >= share * total) return true
    before += weights[token] as number
    return false
  })
  return end < 0 ? candidates : candidates.slice(0, Math.max(1, end))
}
