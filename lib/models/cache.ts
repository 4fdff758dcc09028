// The key-value cache: keys and values of tokens seen so far, in memory of a fixed size, so that a step is one compiled run.
import { Cell } from '../cell.js'
import { integerFrom } from '../ops/arguments.js'
import { scaledDotProductAttention } from '../ops/attention.js'
import { arange, zeros } from '../ops/create.js'
import { cast, eq, le, where } from '../ops/element.js'
import { take } from '../ops/gather.js'
import { matmul } from '../ops/matmul.js'
import { any } from '../ops/reduce.js'
import { reshape, unsqueeze } from '../ops/view.js'
import type { FloatDType } from '../schema/dtype.js'
import type { Tensor } from '../tensor.js'

/** What a model needs a cache of. */
export interface CacheShape {
  readonly layers: number
  /** Heads of keys and values. */
  readonly heads: number
  /** Of a head. */
  readonly width: number
  readonly dtype: FloatDType
}

/** Keys and values [B,heads,length,width] of each layer; slot p holds those of the token at position p. */
export class KeyValueCache {
  readonly keys: readonly Cell[]
  readonly values: readonly Cell[]

  constructor(
    { layers, heads, width, dtype }: CacheShape,
    readonly batch: number,
    /** The longest sequence it holds. */
    readonly length: number,
  ) {
    for (const [name, value] of Object.entries({ batch, length })) integerFrom('KeyValueCache', name, value, 1)
    const shape = [batch, heads, length, width]
    const cells = (name: string): Cell[] =>
      Array.from({ length: layers }, (_, i) => new Cell(zeros(shape, { dtype }), { name: `${name} of layer ${i}` }))
    this.keys = cells('cached keys')
    this.values = cells('cached values')
  }

  /**
   * Attention of new tokens on all up to each: q [B,H,T,D] and the new keys and values [B,heads,T,D], which are written to
   * the slots `positions` [B,T] of a layer first; a position that the cache does not have fails the run. Its cost depends on the length of the cache, not on the positions.
   */
  attend(layer: number, q: Tensor, k: Tensor, v: Tensor, positions: Tensor, scale?: number): Tensor {
    const [batch, length] = positions.shape as readonly [number, number]
    const slots = arange(this.length)
    // Looked up, because an index out of range fails the run; compared alone, such a token would be lost without a word.
    const places = take(slots, positions)
    // [B,1,slots,T]: which new token a slot takes.
    const taken = eq(reshape(places, [batch, 1, 1, length]), unsqueeze(slots, 1))
    const keys = written(this.keys[layer] as Cell, k, taken)
    const values = written(this.values[layer] as Cell, v, taken)
    const mask = le(slots, reshape(places, [batch, 1, length, 1]))
    return scaledDotProductAttention(q, keys, values, { mask, ...(scale === undefined ? {} : { scale }) })
  }

  /** Row b goes on from what row `rows[b]` (i32, [B]) holds. */
  reorder(rows: Tensor): void {
    for (const cell of [...this.keys, ...this.values]) cell.assign(take(cell, rows))
  }

  /** Gives the memory back. */
  dispose(): void {
    for (const cell of [...this.keys, ...this.values]) cell.dispose()
  }
}

/** The cell's next contents: new rows [B,H,T,D] in the slots that take one, [B,1,slots,T]. */
function written(cell: Cell, rows: Tensor, taken: Tensor): Tensor {
  // A sum with one term that is not 0: exact.
  const placed = rows.shape[2] === 1 ? rows : matmul(cast(taken, rows.dtype), rows)
  const next = where(any(taken, { axes: -1, keepDims: true }), placed, cell)
  cell.assign(next)
  return next
}
