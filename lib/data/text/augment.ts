// Augmentation of text: words deleted, swapped, replaced or masked, and tokens masked for a model to find again.
import { integerFrom, numberIn } from '../../ops/arguments.js'
import { ArgumentError } from '../../runtime/errors.js'
import type { Random } from '../philox.js'

/** A change of a text whose randomness comes from `random` alone. Words are what stands between spaces. */
export type TextTransform = (text: string, random: Random) => string

const wordsOf = (text: string): string[] => text.split(/\s+/u).filter((word) => word !== '')

/** Leaves out each word with a probability (default 0.1); one word stays (Wei and Zou 2019). */
export function deleteWords({ probability = 0.1 }: { readonly probability?: number } = {}): TextTransform {
  numberIn('deleteWords', 'probability', probability, 0, 1)
  return (text, random) => {
    const words = wordsOf(text)
    const kept = words.filter(() => !random.bernoulli(probability))
    if (kept.length === 0 && words.length > 0) kept.push(words[random.integer(words.length)] as string)
    return kept.join(' ')
  }
}

/** Swaps two words at random, `swaps` times (default 1). */
export function swapWords({ swaps = 1 }: { readonly swaps?: number } = {}): TextTransform {
  integerFrom('swapWords', 'swaps', swaps, 0)
  return (text, random) => {
    const words = wordsOf(text)
    for (let i = 0; i < swaps && words.length > 1; i++) {
      const a = random.integer(words.length)
      // Of the others.
      const b = (a + 1 + random.integer(words.length - 1)) % words.length
      const moved = words[a] as string
      words[a] = words[b] as string
      words[b] = moved
    }
    return words.join(' ')
  }
}

/**
 * Replaces each word with a probability (default 0.1) by one of those that `by` has for it (in lower case), or by one of
 * `by` where that is a list. Words it has none for stay.
 */
export function replaceWords({
  probability = 0.1,
  by,
}: {
  readonly probability?: number
  readonly by: readonly string[] | Readonly<Record<string, readonly string[]>>
}): TextTransform {
  numberIn('replaceWords', 'probability', probability, 0, 1)
  if (typeof by !== 'object' || by === null)
    throw new ArgumentError('replaceWords: by must be a list of words, or lists of words by word')
  const choices = (word: string): readonly string[] => {
    if (Array.isArray(by)) return by
    const key = word.toLowerCase()
    return Object.hasOwn(by, key) ? ((by as Readonly<Record<string, readonly string[]>>)[key] as readonly string[]) : []
  }
  return (text, random) =>
    wordsOf(text)
      .map((word) => {
        const others = choices(word)
        if (others.length === 0 || !random.bernoulli(probability)) return word
        return others[random.integer(others.length)] as string
      })
      .join(' ')
}

/** Writes `mask` (default '[MASK]') for each word with a probability (default 0.15). */
export function maskWords({
  probability = 0.15,
  mask = '[MASK]',
}: {
  readonly probability?: number
  readonly mask?: string
} = {}): TextTransform {
  numberIn('maskWords', 'probability', probability, 0, 1)
  return (text, random) =>
    wordsOf(text)
      .map((word) => (random.bernoulli(probability) ? mask : word))
      .join(' ')
}

export interface MaskTokensOptions {
  /** Id of the mask token. */
  readonly mask: number
  /** Number of tokens, to draw random ones from. */
  readonly vocabSize: number
  /** Share of tokens to be found again. Default 0.15. */
  readonly probability?: number
  /** Ids that are never chosen, nor put in: beginning, end, padding. Default none. */
  readonly special?: Iterable<number>
  /** The label of tokens that are not to be found; `crossEntropy` leaves it out. Default -100. */
  readonly ignore?: number
}

/**
 * Tokens for masked language modelling (Devlin et al. 2019): of those chosen, 80 % become the mask, 10 % a random token and
 * 10 % stay; labels hold the chosen ones. Throws `ArgumentError`.
 */
export function maskTokens(
  options: MaskTokensOptions,
): (tokens: ArrayLike<number>, random: Random) => { readonly tokens: Int32Array; readonly labels: Int32Array } {
  const { mask, vocabSize, probability = 0.15, ignore = -100 } = options
  integerFrom('maskTokens', 'mask', mask, 0)
  integerFrom('maskTokens', 'vocabSize', vocabSize, 1)
  numberIn('maskTokens', 'probability', probability, 0, 1)
  const special = new Set(options.special ?? [])
  const ordinary = Int32Array.from({ length: vocabSize }, (_, id) => id).filter((id) => !special.has(id) && id !== mask)
  if (ordinary.length === 0) throw new ArgumentError('maskTokens: there are no tokens but special ones')
  return (source, random) => {
    const tokens = Int32Array.from(source)
    const labels = new Int32Array(tokens.length).fill(ignore)
    for (let i = 0; i < tokens.length; i++) {
      const token = tokens[i] as number
      if (special.has(token) || !random.bernoulli(probability)) continue
      labels[i] = token
      const fate = random.uniform()
      if (fate < 0.8) tokens[i] = mask
      else if (fate < 0.9) tokens[i] = ordinary[random.integer(ordinary.length)] as number
    }
    return { tokens, labels }
  }
}
