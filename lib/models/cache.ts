// The key-value cache: keys and values of tokens seen so far, in memory of a fixed size, so that a step is one compiled run.
import { Cell } from '../cell.js'
import { integerFrom } from '../ops/arguments.js'
import { scaledDotProductAttention } from '../ops/attention.js'
import { arange, zeros } from '../ops/create.js'
import { add, cast, le, mul } from '../ops/element.js'
import { indexCopy, take } from '../ops/gather.js'
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

/** Where new tokens stand among those seen before: what layers attend through. */
export interface Slots {
  /** Attention of new tokens on all up to each: q [B,H,T,D], new keys and values [B,heads,T,D]; [B,H,T,D]. */
  attend(layer: number, q: Tensor, k: Tensor, v: Tensor, scale?: number): Tensor
}

/** Tokens seen before, as a model takes them. */
export interface Cache {
  readonly batch: number
  /** The longest sequence it holds. */
  readonly length: number
  /** The slots of new tokens at `positions` [B,T]; asked for once and given to all layers. */
  at(positions: Tensor): Slots
}

/** Keys and values [B,heads,length,D] of a layer. */
export interface KeysAndValues {
  readonly keys: Tensor
  readonly values: Tensor
}

/** Keys and values [B,heads,length,width] of each layer; slot p holds those of the token at position p. */
export class KeyValueCache implements Cache {
  readonly keys: readonly Cell[]
  readonly values: readonly Cell[]
  private readonly heads: number

  constructor(
    { layers, heads, width, dtype }: CacheShape,
    readonly batch: number,
    /** The longest sequence it holds. */
    readonly length: number,
  ) {
    for (const [name, value] of Object.entries({ batch, length })) integerFrom('KeyValueCache', name, value, 1)
    this.heads = heads
    const shape = [batch, heads, length, width]
    const cells = (name: string): Cell[] =>
      Array.from({ length: layers }, (_, i) => new Cell(zeros(shape, { dtype }), { name: `${name} of layer ${i}` }))
    this.keys = cells('cached keys')
    this.values = cells('cached values')
  }

  /**
   * The slots of new tokens at `positions` [B,T]. A position that the cache does not have fails the run. Asked for once and
   * given to all layers: indices that the first one has checked can be wrong in no later one.
   */
  at(positions: Tensor): CacheSlots {
    const { batch, length, heads } = this
    // Looked up, because an index out of range fails the run; a position beyond its row would be another row's.
    const places = cast(take(arange(length), positions), 'i64')
    const starts = mul(arange(0, batch * heads, 1, { dtype: 'i64' }), length)
    const rows = add(reshape(starts, [batch, heads, 1]), unsqueeze(places, 1))
    const mask = le(arange(length), unsqueeze(unsqueeze(positions, 1), -1))
    return new CacheSlots(this, rows, mask)
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

/** Where new tokens stand in a cache. */
export class CacheSlots implements Slots {
  /** @internal */
  constructor(
    private readonly cache: KeyValueCache,
    /** Rows of a cell, seen as [B heads length,width], that the tokens take: [B,heads,T]. */
    private readonly rows: Tensor,
    /** [B,1,T,length]: slots up to each token's own. */
    private readonly mask: Tensor,
  ) {}

  /**
   * Writes the new keys and values first. Only new rows are written; what attention costs depends on the length of the
   * cache, not on the positions.
   */
  attend(layer: number, q: Tensor, k: Tensor, v: Tensor, scale?: number): Tensor {
    const { keys, values } = this.write(layer, k, v)
    const { mask } = this
    return scaledDotProductAttention(q, keys, values, { mask, ...(scale === undefined ? {} : { scale }) })
  }

  /** Puts new keys and values [B,heads,T,D] into a layer of the cache: what it holds then. */
  write(layer: number, k: Tensor, v: Tensor): KeysAndValues {
    const { keys, values } = this.cache
    return { keys: written(keys[layer] as Cell, k, this.rows), values: written(values[layer] as Cell, v, this.rows) }
  }
}

/** The cell's next contents, [B,H,length,D]: new values [B,H,T,D] in the rows [B,H,T]. */
function written(cell: Cell, values: Tensor, rows: Tensor): Tensor {
  const flat = reshape(cell, [-1, cell.shape.at(-1) as number])
  const next = reshape(indexCopy(flat, rows, cast(values, cell.dtype)), cell.shape)
  cell.assign(next)
  return next
}
