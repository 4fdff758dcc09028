// A language model at work token by token: its cache and the compiled functions that fill it and go on from it.
import { type Compiled, compile } from '../compile.js'
import { reshape } from '../ops/view.js'
import { type Tensor, tensor } from '../tensor.js'
import { KeyValueCache } from './cache.js'
import type { CausalLanguageModel } from './causal.js'

/** Prompts are filled up to multiples of this, so that few lengths are compiled. */
const PROMPT_STEP = 16
/** Caches have a multiple of this many slots, so that they can be used again. */
const CACHE_STEP = 64
/** Decoders of one model that are kept for the next generation. */
const MOST_IDLE = 2

export class Decoder {
  private readonly cache: KeyValueCache
  private readonly prompts = new Map<number, Compiled<[Tensor, Tensor], Tensor>>()
  /** One token of each row at its position. */
  readonly next: Compiled<[Tensor, Tensor], Tensor>
  private readonly move: Compiled<[Tensor], void>

  constructor(
    private readonly model: CausalLanguageModel,
    readonly rows: number,
    readonly length: number,
  ) {
    const cache = new KeyValueCache(model.cacheShape, rows, length)
    this.cache = cache
    this.next = compile(
      (tokens: Tensor, positions: Tensor) =>
        reshape(model.forward(tokens, { cache, positions }), [rows, model.vocabSize]),
      { name: 'next token' },
    )
    this.move = compile((from: Tensor) => cache.reorder(from), { name: 'reorder beams' })
  }

  /** Logits [rows][vocabulary] behind each prompt, which begins its row. */
  async prompt(prompts: readonly ArrayLike<number>[]): Promise<Float32Array[]> {
    const { rows, cache } = this
    const longest = Math.max(...prompts.map(({ length }) => length))
    const length = Math.min(Math.ceil(longest / PROMPT_STEP) * PROMPT_STEP, this.length)
    const ids = new Int32Array(rows * length)
    // What fills a row up is written to the cache too; it is overwritten before anything may look at it.
    for (const [row, prompt] of prompts.entries()) ids.set(Array.from(prompt), row * length)
    let run = this.prompts.get(length)
    if (!run) {
      run = compile((tokens: Tensor, at: Tensor) => this.model.forward(tokens, { cache, at }), { name: 'prompt' })
      this.prompts.set(length, run)
    }
    using tokens = tensor(ids, { shape: [rows, length] })
    using at = tensor(Int32Array.from(prompts, (prompt) => prompt.length - 1))
    return this.read(await run(tokens, at))
  }

  /** Logits behind one more token of each row. */
  async step(tokens: ArrayLike<number>, positions: ArrayLike<number>): Promise<Float32Array[]> {
    const shape = [this.rows, 1]
    using ids = tensor(Int32Array.from(tokens), { shape })
    using places = tensor(Int32Array.from(positions), { shape })
    return this.read(await this.next(ids, places))
  }

  /** Row b goes on from row `from[b]`. */
  async reorder(from: ArrayLike<number>): Promise<void> {
    using rows = tensor(Int32Array.from(from))
    await this.move(rows)
  }

  private async read(logits: Tensor): Promise<Float32Array[]> {
    using held = logits
    const data = (await held.data()) as Float32Array
    const { vocabSize } = this.model
    return Array.from({ length: this.rows }, (_, row) => data.subarray(row * vocabSize, (row + 1) * vocabSize))
  }

  dispose(): void {
    this.cache.dispose()
  }
}

const idle = new WeakMap<CausalLanguageModel, Decoder[]>()

/** A decoder for `rows` sequences of up to `length` tokens: one that is idle, or a new one. Give it back. */
export function borrowDecoder(model: CausalLanguageModel, rows: number, length: number): Decoder {
  const wanted = Math.min(Math.ceil(length / CACHE_STEP) * CACHE_STEP, model.maxTokens)
  const free = idle.get(model) ?? []
  const found = free.findIndex((decoder) => decoder.rows === rows && decoder.length === wanted)
  return found >= 0 ? (free.splice(found, 1)[0] as Decoder) : new Decoder(model, rows, wanted)
}

/** Keeps a decoder for the next generation; the one that was idle for longest goes. */
export function giveBackDecoder(model: CausalLanguageModel, decoder: Decoder): void {
  const free = idle.get(model) ?? []
  idle.set(model, free)
  free.push(decoder)
  if (free.length > MOST_IDLE) free.shift()?.dispose()
}
