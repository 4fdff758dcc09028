// The decoder of a model that goes from left to right: prompts are the beginnings of its rows.
import { type Compiled, compile } from '../compile.js'
import { reshape } from '../ops/view.js'
import { type Tensor, tensor } from '../tensor.js'
import type { CausalLanguageModel } from './causal.js'
import { Decoder, filledLength, rowsOf } from './decoder.js'

export class CausalDecoder extends Decoder {
  protected readonly next: Compiled<[Tensor, Tensor], Tensor>
  protected begun: readonly number[] = []
  private readonly prompts = new Map<number, Compiled<[Tensor, Tensor], Tensor>>()

  constructor(
    private readonly model: CausalLanguageModel,
    rows: number,
    length: number,
  ) {
    super(model, rows, length)
    const { cache } = this
    this.next = compile(
      (tokens: Tensor, positions: Tensor) =>
        reshape(model.forward(tokens, { cache, positions }), [rows, model.vocabSize]),
      { name: 'next token', priority: 'high' },
    )
  }

  async prompt(prompts: readonly ArrayLike<number>[]): Promise<Float32Array[]> {
    const { rows, cache, model } = this
    this.begun = prompts.map((prompt) => prompt.length)
    // What fills a row up is written to the cache too; it is overwritten before anything may look at it.
    const length = filledLength(Math.max(...this.begun), this.length)
    let run = this.prompts.get(length)
    if (!run) {
      run = compile((tokens: Tensor, at: Tensor) => model.forward(tokens, { cache, at }), {
        name: 'prompt',
        priority: 'high',
      })
      this.prompts.set(length, run)
    }
    using tokens = tensor(rowsOf(prompts, length), { shape: [rows, length] })
    using at = tensor(Int32Array.from(this.begun, (count) => count - 1))
    return this.read(await run(tokens, at))
  }
}
