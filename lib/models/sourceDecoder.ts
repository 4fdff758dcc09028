// The decoder of a model with an encoder: prompts are sources, which are read once; what it sees of them stays.
import { Cell } from '../cell.js'
import { type Compiled, compile } from '../compile.js'
import { full, zeros } from '../ops/create.js'
import { ne } from '../ops/element.js'
import { reshape } from '../ops/view.js'
import { type Tensor, tensor } from '../tensor.js'
import { KeyValueCache } from './cache.js'
import { Decoder, rowsOf } from './decoder.js'
import type { EncoderDecoderModel } from './encoderDecoder.js'

export class SourceDecoder extends Decoder {
  protected readonly next: Compiled<[Tensor, Tensor], Tensor>
  protected readonly begun: readonly number[]
  /** Keys and values of the sources, by layer. */
  private readonly sources: KeyValueCache
  private readonly mask: Cell
  private readonly first: Compiled<[Tensor, Tensor], Tensor>

  constructor(
    model: EncoderDecoderModel,
    rows: number,
    length: number,
    /** The longest source it takes. */
    readonly sourceLength: number,
  ) {
    super(model, rows, length)
    const { cache } = this
    const sources = new KeyValueCache(model.cacheShape, rows, sourceLength)
    const mask: Cell = new Cell(zeros([rows, sourceLength], { dtype: 'bool' }), { name: 'mask of sources' })
    const logits = (tokens: Tensor, positions: Tensor): Tensor =>
      reshape(model.write(tokens, { keys: sources.keys, values: sources.values, mask }, cache, positions), [
        rows,
        model.vocabSize,
      ])
    this.sources = sources
    this.mask = mask
    // Each row begins with the start token.
    this.begun = Array.from({ length: rows }, () => 1)
    this.next = compile(logits, { name: 'next token', priority: 'high' })
    this.first = compile(
      (tokens: Tensor, real: Tensor) => {
        const seen = ne(real, 0)
        const { keys, values } = model.read(tokens, seen)
        mask.assign(seen)
        for (const [i, cell] of sources.keys.entries()) cell.assign(keys[i] as Tensor)
        for (const [i, cell] of sources.values.entries()) cell.assign(values[i] as Tensor)
        return logits(full([rows, 1], model.startToken, { dtype: 'i32' }), zeros([rows, 1], { dtype: 'i32' }))
      },
      { name: 'source' },
    )
  }

  async prompt(prompts: readonly ArrayLike<number>[]): Promise<Float32Array[]> {
    const shape = [this.rows, this.sourceLength]
    const real = prompts.map((prompt) => new Uint8Array(prompt.length).fill(1))
    using tokens = tensor(rowsOf(prompts, this.sourceLength), { shape })
    using mask = tensor(rowsOf(real, this.sourceLength), { shape })
    return this.read(await this.first(tokens, mask))
  }

  override dispose(): void {
    super.dispose()
    this.sources.dispose()
    this.mask.dispose()
  }
}
