// What all metrics share: sums in cells, added up on the device batch by batch, read once at the end.
import { assign, Cell } from '../../cell.js'
import { zeros } from '../../ops/create.js'
import { add, cast } from '../../ops/element.js'
import type { DType } from '../../schema/dtype.js'
import type { Shape } from '../../schema/shape.js'
import { loadInto, readState, type StateDict } from '../../state.js'
import type { Tensor } from '../../tensor.js'

/** Sums of a metric by name: f64 for numbers, i64 for counts. */
export type Sums = Readonly<Record<string, { readonly shape?: Shape; readonly dtype: 'f64' | 'i64' }>>

export abstract class Metric<R = number> {
  private readonly sums: Readonly<Record<string, Cell>>

  protected constructor(name: string, sums: Sums) {
    this.sums = Object.fromEntries(
      Object.entries(sums).map(([part, { shape = [], dtype }]) => [
        part,
        new Cell(zeros(shape, { dtype }), { name: `${name} ${part}` }),
      ]),
    )
  }

  /** Adds a batch's share, by name; inside a compiled function with the run, outside at once. */
  protected add(shares: Readonly<Record<string, Tensor>>): void {
    assign(
      Object.entries(shares).map(([part, share]) => {
        const cell = this.sums[part] as Cell
        return [cell, add(cell, cast(share, cell.dtype))] as const
      }),
    )
  }

  /** Forgets all batches. */
  reset(): void {
    assign(Object.values(this.sums).map((cell) => [cell, zeros(cell.shape, { dtype: cell.dtype as DType })] as const))
  }

  /** The sums so far, counts as numbers, once the device has delivered them. */
  protected async read(): Promise<Readonly<Record<string, readonly number[]>>> {
    const entries = await Promise.all(
      Object.entries(this.sums).map(async ([part, cell]) => {
        const data = (await cell.data()) as Float64Array | BigInt64Array
        return [part, Array.from(data as Float64Array, Number)] as const
      }),
    )
    return Object.fromEntries(entries)
  }

  /** The sums so far, for a checkpoint. */
  stateDict(): Promise<StateDict> {
    return readState(Object.entries(this.sums))
  }

  /** Goes on from there. Throws `StateDictError` before anything is changed. */
  loadStateDict(state: StateDict): void {
    loadInto(Object.entries(this.sums), state, true)
  }

  /** The metric over all batches since the last reset; NaN where there were none. */
  abstract result(): Promise<R>
}

/** The only number of a sum. */
export const only = (sum: readonly number[] | undefined): number => sum?.[0] as number
