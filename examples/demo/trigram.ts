// The demo's yardstick: a trigram model of bytes, smoothed by interpolation (Jelinek and Mercer 1980).

const VOCABULARY = 256

/** Weights of the trigram, bigram, unigram and uniform estimates; chosen by `fit` on the training text's last tenth. */
type Weights = readonly [number, number, number, number]

const CANDIDATES: readonly Weights[] = [0.5, 0.6, 0.7, 0.8, 0.9, 0.95].flatMap((tri) =>
  [0.5, 0.7, 0.9].map(
    (share): Weights => [tri, (1 - tri) * share, (1 - tri) * (1 - share) * 0.99, (1 - tri) * (1 - share) * 0.01],
  ),
)

class Counts {
  readonly tri = new Map<number, number>()
  readonly pair = new Float64Array(VOCABULARY ** 2)
  readonly single = new Float64Array(VOCABULARY)
  /** How often each context was followed by something. */
  readonly afterPair = new Float64Array(VOCABULARY ** 2)
  readonly afterSingle = new Float64Array(VOCABULARY)

  constructor(readonly text: Uint8Array) {
    text.forEach((c, i) => {
      this.single[c] = (this.single[c] as number) + 1
      if (i < 1) return
      const b = text[i - 1] as number
      this.pair[b * VOCABULARY + c] = (this.pair[b * VOCABULARY + c] as number) + 1
      this.afterSingle[b] = (this.afterSingle[b] as number) + 1
      if (i < 2) return
      const context = (text[i - 2] as number) * VOCABULARY + b
      this.tri.set(context * VOCABULARY + c, (this.tri.get(context * VOCABULARY + c) ?? 0) + 1)
      this.afterPair[context] = (this.afterPair[context] as number) + 1
    })
  }

  probability(a: number, b: number, c: number, [w3, w2, w1, w0]: Weights): number {
    const context = a * VOCABULARY + b
    const tri = this.afterPair[context]
      ? (this.tri.get(context * VOCABULARY + c) ?? 0) / (this.afterPair[context] as number)
      : 0
    const bi = this.afterSingle[b] ? (this.pair[b * VOCABULARY + c] as number) / (this.afterSingle[b] as number) : 0
    return w3 * tri + w2 * bi + (w1 * (this.single[c] as number)) / this.text.length + w0 / VOCABULARY
  }
}

function lossOf(counts: Counts, text: Uint8Array, weights: Weights): number {
  let sum = 0
  for (let i = 2; i < text.length; i++) {
    sum -= Math.log(counts.probability(text[i - 2] as number, text[i - 1] as number, text[i] as number, weights))
  }
  return sum / (text.length - 2)
}

/** The trigram model's mean negative log-likelihood of `validation`, in nats per byte, after `train`. */
export function trigramLoss(train: Uint8Array, validation: Uint8Array): number {
  const cut = Math.floor(train.length * 0.9)
  const part = new Counts(train.subarray(0, cut))
  const held = train.subarray(cut, cut + 100_000)
  const best = CANDIDATES.map((weights) => ({ weights, loss: lossOf(part, held, weights) })).reduce((a, b) =>
    b.loss < a.loss ? b : a,
  )
  return lossOf(new Counts(train), validation, best.weights)
}
