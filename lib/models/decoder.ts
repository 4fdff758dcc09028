// A language model at work token by token: its cache and the compiled functions that fill it and go on from it.
import { type Compiled, compile } from '../compile.js'
import { type Tensor, tensor } from '../tensor.js'
import { type CacheShape, KeyValueCache } from './cache.js'

/** Prompts are filled up to multiples of this, so that few lengths are compiled. */
const PROMPT_STEP = 16

/** What a decoder needs to know of its model. */
export interface DecoderShape {
  readonly cacheShape: CacheShape
  readonly vocabSize: number
}

export abstract class Decoder {
  protected readonly cache: KeyValueCache
  private readonly vocabSize: number
  private readonly move: Compiled<[Tensor], void>

  constructor(
    { cacheShape, vocabSize }: DecoderShape,
    readonly rows: number,
    /** Slots of its cache. */
    readonly length: number,
  ) {
    const cache = new KeyValueCache(cacheShape, rows, length)
    this.cache = cache
    this.vocabSize = vocabSize
    this.move = compile((from: Tensor) => cache.reorder(from), { name: 'reorder beams', priority: 'high' })
  }

  /** One token of each row at its position: logits [rows,vocabulary]. */
  protected abstract readonly next: Compiled<[Tensor, Tensor], Tensor>
  /** Positions that each row had before the first token was made. */
  protected abstract readonly begun: readonly number[]

  /** Logits [rows][vocabulary] behind each prompt. */
  abstract prompt(prompts: readonly ArrayLike<number>[]): Promise<Float32Array[]>

  /** Logits behind one more token of each row; `made` tokens stand behind the prompts then. */
  async step(tokens: ArrayLike<number>, made: number): Promise<Float32Array[]> {
    const shape = [this.rows, 1]
    using ids = tensor(Int32Array.from(tokens), { shape })
    using places = tensor(
      Int32Array.from(this.begun, (count) => count + made - 1),
      { shape },
    )
    return this.read(await this.next(ids, places))
  }

  /** Row b goes on from row `from[b]`. */
  async reorder(from: ArrayLike<number>): Promise<void> {
    using rows = tensor(Int32Array.from(from))
    await this.move(rows)
  }

  protected async read(logits: Tensor): Promise<Float32Array[]> {
    using held = logits
    const data = (await held.data()) as Float32Array
    const { vocabSize } = this
    return Array.from({ length: this.rows }, (_, row) => data.subarray(row * vocabSize, (row + 1) * vocabSize))
  }

  dispose(): void {
    this.cache.dispose()
  }
}

/** The extent that prompts are filled up to, at most `most`. */
export const filledLength = (longest: number, most: number): number =>
  Math.min(Math.ceil(longest / PROMPT_STEP) * PROMPT_STEP, most)

/** Prompts one below the other, 0 behind their ends: `length` of each. */
export function rowsOf(prompts: readonly ArrayLike<number>[], length: number): Int32Array {
  const ids = new Int32Array(prompts.length * length)
  for (const [row, prompt] of prompts.entries()) ids.set(Array.from(prompt), row * length)
  return ids
}
