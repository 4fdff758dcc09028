// Beam search: the most likely sequences so far are all gone on with (Graves 2012), as transformers scores them.
import type { Decoder } from './decoder.js'

export interface BeamSettings {
  readonly beams: number
  readonly maxTokens: number
  readonly lengthPenalty: number
  readonly stop: ReadonlySet<number>
  readonly signal: AbortSignal | undefined
}

interface Beam {
  readonly tokens: readonly number[]
  /** The sum of the tokens' log-probabilities. */
  readonly score: number
}

/** A prompt's beams that go on, and those that have ended, best first. */
interface Search {
  running: Beam[]
  ended: Beam[]
  done: boolean
}

interface Candidate {
  readonly row: number
  readonly token: number
  readonly score: number
}

/** Log-probabilities are logits less this. */
function normalizer(logits: Float32Array): number {
  let most = Number.NEGATIVE_INFINITY
  for (const logit of logits) most = Math.max(most, logit)
  let total = 0
  for (const logit of logits) total += Math.exp(logit - most)
  return most + Math.log(total)
}

/** The `count` best continuations of the beams, best first. */
function bestOf(running: readonly Beam[], logits: readonly Float32Array[], count: number): Candidate[] {
  const best: Candidate[] = []
  running.forEach((beam, row) => {
    const values = logits[row] as Float32Array
    const shift = beam.score - normalizer(values)
    for (let token = 0; token < values.length; token++) {
      const score = (values[token] as number) + shift
      if (best.length === count && score <= (best[count - 1] as Candidate).score) continue
      let place = Math.min(best.length, count - 1)
      for (; place > 0 && (best[place - 1] as Candidate).score < score; place--)
        best[place] = best[place - 1] as Candidate
      best[place] = { row, token, score }
    }
  })
  return best
}

/** One step of one prompt's search; gives for each beam that goes on the row it comes from. */
function advance(search: Search, logits: readonly Float32Array[], length: number, settings: BeamSettings): number[] {
  const { beams, lengthPenalty, stop } = settings
  const candidates = bestOf(search.running, logits, Math.max(2, 1 + stop.size) * beams)
  const next: Beam[] = []
  const rows: number[] = []
  for (const [rank, { row, token, score }] of candidates.entries()) {
    const before = (search.running[row] as Beam).tokens
    if (stop.has(token)) {
      if (rank < beams) search.ended.push({ tokens: before, score: score / length ** lengthPenalty })
    } else if (next.length < beams) {
      next.push({ tokens: [...before, token], score })
      rows.push(row)
    }
  }
  search.ended = search.ended.sort((a, b) => b.score - a.score).slice(0, beams)
  // No running beam can still become better than the worst that has ended.
  const attainable = (candidates[0]?.score ?? 0) / length ** lengthPenalty
  search.done = search.ended.length === beams && (search.ended.at(-1) as Beam).score >= attainable
  search.running = next
  return rows
}

/** The best sequence of each prompt, without the token that ended it. */
export async function beamSearch(
  decoder: Decoder,
  prompts: readonly ArrayLike<number>[],
  settings: BeamSettings,
): Promise<Int32Array[]> {
  const { beams, maxTokens, lengthPenalty, signal } = settings
  const searches = prompts.map((): Search => ({ running: [{ tokens: [], score: 0 }], ended: [], done: false }))
  let logits = await decoder.prompt(prompts.flatMap((prompt) => Array.from({ length: beams }, () => prompt)))
  for (let length = 1; length <= maxTokens; length++) {
    signal?.throwIfAborted()
    const from = Array.from({ length: decoder.rows }, (_, row) => row)
    for (const [i, search] of searches.entries()) {
      if (search.done) continue
      const first = i * beams
      advance(search, logits.slice(first, first + beams), length, settings).forEach((row, beam) => {
        from[first + beam] = first + row
      })
    }
    if (length === maxTokens || searches.every(({ done }) => done)) break
    await decoder.reorder(from)
    const tokens = searches.flatMap(({ running }) =>
      Array.from({ length: beams }, (_, beam) => running[beam]?.tokens.at(-1) ?? 0),
    )
    logits = await decoder.step(tokens, length)
  }
  return searches.map(({ running, ended, done }) => {
    const cut = done
      ? []
      : running.map(({ tokens, score }) => ({ tokens, score: score / tokens.length ** lengthPenalty }))
    const best = [...ended, ...cut].sort((a, b) => b.score - a.score)[0]
    return Int32Array.from(best?.tokens ?? [])
  })
}
