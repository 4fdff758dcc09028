// Philox4x32-10 on the host (Salmon et al. 2011): random numbers that depend on a seed and a place, never on who draws first.
import { ArgumentError } from '../runtime/errors.js'

/** The upper 32 bits of a product of two 32-bit words. */
function mulHigh(a: number, b: number): number {
  const [a0, a1, b0, b1] = [a & 0xffff, a >>> 16, b & 0xffff, b >>> 16]
  const middle = a1 * b0 + ((a0 * b0) >>> 16)
  const crossed = a0 * b1 + (middle & 0xffff)
  return (a1 * b1 + (middle >>> 16) + (crossed >>> 16)) >>> 0
}

/** One block into `out`: four words from a counter of four words and a key of two. */
export function philox(counter: ArrayLike<number>, key: ArrayLike<number>, out: Uint32Array): void {
  let x0 = counter[0] as number
  let x1 = counter[1] as number
  let x2 = counter[2] as number
  let x3 = counter[3] as number
  let k0 = key[0] as number
  let k1 = key[1] as number
  for (let round = 0; round < 10; round++) {
    const high0 = mulHigh(0xd2511f53, x0)
    const low0 = Math.imul(0xd2511f53, x0)
    const high1 = mulHigh(0xcd9e8d57, x2)
    const low1 = Math.imul(0xcd9e8d57, x2)
    x0 = (high1 ^ x1 ^ k0) >>> 0
    x1 = low1 >>> 0
    x2 = (high0 ^ x3 ^ k1) >>> 0
    x3 = low0 >>> 0
    k0 = (k0 + 0x9e3779b9) >>> 0
    k1 = (k1 + 0xbb67ae85) >>> 0
  }
  out[0] = x0
  out[1] = x1
  out[2] = x2
  out[3] = x3
}

/** What a stream of numbers is for: streams for different purposes share nothing, whatever their seeds and indices. */
const PURPOSES = { sample: 0, order: 1, batch: 2, dataset: 3 } as const

export interface RandomPlace {
  /** Default 0. */
  readonly epoch?: number
  /** Of the sample or the batch, below 2^48; default 0. */
  readonly index?: number
  /** How often the sample was drawn before in this epoch; default 0. */
  readonly repeat?: number
}

/** Throws `ArgumentError` unless `seed` is an integer from 0 to 2^53 - 1. */
export function checkSeed(op: string, seed: unknown): number {
  if (typeof seed === 'number' && Number.isSafeInteger(seed) && seed >= 0) return seed
  throw new ArgumentError(`${op}: the seed must be an integer from 0 to 2^53 - 1, not ${String(seed)}`)
}

/** The random numbers of one place: those of (seed, purpose, epoch, index) and of no other place. */
export class Random {
  private readonly counter = new Uint32Array(4)
  private readonly key: Uint32Array
  private readonly words = new Uint32Array(4)
  private used = 4

  /** Throws `ArgumentError` for a seed that is no integer from 0 to 2^53 - 1. */
  constructor(seed: number, purpose: keyof typeof PURPOSES = 'dataset', place: RandomPlace = {}) {
    checkSeed('Random', seed)
    const { epoch = 0, index = 0, repeat = 0 } = place
    this.key = Uint32Array.of(seed, Math.floor(seed / 2 ** 32))
    this.counter[1] = index
    this.counter[2] = epoch
    // 16 bits of the index, 14 of the repeats, 2 of the purpose.
    this.counter[3] =
      ((Math.floor(index / 2 ** 32) & 0xffff) | ((repeat & 0x3fff) << 16) | (PURPOSES[purpose] << 30)) >>> 0
  }

  /** 32 random bits. */
  uint32(): number {
    if (this.used === 4) {
      philox(this.counter, this.key, this.words)
      this.counter[0] = (this.counter[0] as number) + 1
      this.used = 0
    }
    return this.words[this.used++] as number
  }

  /** A number in [low, high), of 53 random bits. */
  uniform(low = 0, high = 1): number {
    const upper = this.uint32() >>> 5
    const unit = (upper * 2 ** 26 + (this.uint32() >>> 6)) * 2 ** -53
    return low + (high - low) * unit
  }

  /** True with probability `p`. */
  bernoulli(p: number): boolean {
    return this.uniform() < p
  }

  /** An integer in [0, count), every one equally likely: draws that would favour some are drawn again. Below 2^32. */
  integer(count: number): number {
    if (!(Number.isInteger(count) && count > 0 && count <= 2 ** 32)) {
      throw new ArgumentError(`Random.integer: the count must be an integer from 1 to 2^32, not ${count}`)
    }
    const limit = 2 ** 32 - (2 ** 32 % count)
    for (;;) {
      const word = this.uint32()
      if (word < limit) return word % count
    }
  }

  /** A normally distributed number (Box and Muller 1958). */
  normal(mean = 0, std = 1): number {
    const radius = Math.sqrt(-2 * Math.log(1 - this.uniform()))
    return mean + std * radius * Math.cos(2 * Math.PI * this.uniform())
  }

  /** A Gamma(shape, 1) number (Marsaglia and Tsang 2000). */
  gamma(shape: number): number {
    if (shape < 1) return this.gamma(shape + 1) * (1 - this.uniform()) ** (1 / shape)
    const d = shape - 1 / 3
    const c = 1 / Math.sqrt(9 * d)
    for (;;) {
      const x = this.normal()
      const v = (1 + c * x) ** 3
      if (v > 0 && Math.log(1 - this.uniform()) < 0.5 * x * x + d - d * v + d * Math.log(v)) return d * v
    }
  }

  /** A Beta(a, b) number. */
  beta(a: number, b: number): number {
    const x = this.gamma(a)
    const y = this.gamma(b)
    return x + y === 0 ? 0.5 : x / (x + y)
  }

  /** The integers from 0 to count - 1 in random order (Fisher and Yates). */
  permutation(count: number): Uint32Array {
    const order = Uint32Array.from({ length: count }, (_, i) => i)
    for (let i = count - 1; i > 0; i--) {
      const j = this.integer(i + 1)
      const moved = order[i] as number
      order[i] = order[j] as number
      order[j] = moved
    }
    return order
  }
}
