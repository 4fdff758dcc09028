// New weights for a model that answers requests: brought beside the old ones first, then put in place in one run.
import { assign, type Cell } from '../cell.js'
import { compile } from '../compile.js'
import { Module, namesOfCells } from '../nn/module.js'
import { full } from '../ops/create.js'
import { StateDictError } from '../runtime/errors.js'
import { formatShape, sameShape } from '../schema/shape.js'
import { memoryFor, type Problems, type StateDict, type TensorState, tableOf } from '../state.js'
import { type Tensor, tensor } from '../tensor.js'

/** Bytes that are copied at a time before the event loop turns. */
const PIECE_BYTES = 4 << 20

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** Loads weights into a model between two of its runs. */
export class WeightSwap {
  private last: Promise<void> = Promise.resolve()
  private readonly cells: readonly Cell[]
  /** By cell, all its names: a tied one has several. */
  private readonly names: ReadonlyMap<Cell, readonly string[]>
  private readonly put: (weights: Tensor[]) => Promise<Tensor>
  /** What reads another model's weights, compiled once for each such model. */
  private readonly readers = new WeakMap<Module, () => Promise<{ weights: Tensor[]; done: Tensor }>>()

  constructor(
    private readonly owner: string,
    model: Module,
  ) {
    const names = new Map<Cell, string[]>()
    for (const [name, cell] of namesOfCells(model)) names.set(cell, [...(names.get(cell) ?? []), name])
    this.names = names
    this.cells = [...names.keys()]
    this.put = compile(
      (weights: Tensor[]) => {
        assign(this.cells.map((cell, i) => [cell, weights[i] as Tensor] as const))
        return full([], 1)
      },
      { name: `${owner}: new weights`, priority: 'high' },
    )
  }

  /** One after the other; each waits until its weights are in place, or rejects and leaves those that were. */
  load(source: StateDict | Module): Promise<void> {
    const loaded = this.last.then(() => this.replace(source))
    this.last = loaded.catch(() => undefined)
    return loaded
  }

  private async replace(source: StateDict | Module): Promise<void> {
    const weights = source instanceof Module ? await this.fromModule(source) : await this.fromState(source)
    try {
      // A run that failed half-way has left them undefined; only an assignment from outside makes them whole again.
      if (this.cells.some(({ state }) => state.lost))
        assign(this.cells.map((cell, i) => [cell, weights[i] as Tensor] as const))
      else {
        using done = await this.put(weights)
        await done.item()
      }
    } finally {
      for (const weight of weights) weight.dispose()
    }
  }

  private async fromModule(source: Module): Promise<Tensor[]> {
    const theirs = new Map(namesOfCells(source))
    const found = this.match(
      (name) => theirs.get(name),
      [...theirs.keys()],
      (cell, their) =>
        their.dtype === cell.dtype && sameShape(their.shape, cell.shape)
          ? their
          : `${their.dtype}${formatShape(their.shape)}, expected ${cell.dtype}${formatShape(cell.shape)}`,
    )
    let read = this.readers.get(source)
    if (!read) {
      read = compile(() => ({ weights: found as Tensor[], done: full([], 1) }), {
        name: `${this.owner}: weights to come`,
      })
      this.readers.set(source, read)
    }
    // Behind the steps that are queued; only when they have run are the weights put in place, so that no request waits.
    const { weights, done } = await read()
    try {
      await done.item()
      return weights
    } catch (error) {
      for (const weight of weights) weight.dispose()
      throw error
    } finally {
      done.dispose()
    }
  }

  private async fromState(source: StateDict): Promise<Tensor[]> {
    const memory = this.match(
      (name) => (Object.hasOwn(source ?? {}, name) ? source[name] : undefined),
      Object.keys(source ?? {}),
      (cell, state: TensorState) => memoryFor(cell, state),
    )
    const weights: Tensor[] = []
    try {
      for (const [i, cell] of this.cells.entries()) {
        const from = memory[i] as ArrayBufferView
        const elements = new (from.constructor as Uint8ArrayConstructor)(await copyInPieces(from))
        weights.push(tensor(elements, { dtype: cell.dtype, shape: cell.shape, device: cell.device, transfer: true }))
      }
      return weights
    } catch (error) {
      for (const weight of weights) weight.dispose()
      throw error
    }
  }

  /** What `find` gives for each cell. Throws `StateDictError` with a table of what is missing, unexpected or does not fit. */
  private match<S, T extends object>(
    find: (name: string) => S | undefined,
    names: readonly string[],
    fit: (cell: Cell, found: S) => T | string,
  ): T[] {
    const known = new Set([...this.names.values()].flat())
    const problems: Problems = { missing: [], unexpected: names.filter((name) => !known.has(name)), misfits: [] }
    const fitting: T[] = []
    for (const [cell, aliases] of this.names) {
      const name = aliases.find((alias) => find(alias) !== undefined)
      if (name === undefined) problems.missing.push(aliases[0] as string)
      else {
        const fits = fit(cell, find(name) as S)
        if (typeof fits === 'string') problems.misfits.push(`${name}: ${fits}`)
        else fitting.push(fits)
      }
    }
    const table = tableOf(problems)
    if (table) throw new StateDictError(`${this.owner}: the new weights do not fit; the old ones stay\n${table}`)
    return fitting
  }
}

/** A copy, made without keeping the event loop for long. */
async function copyInPieces(source: ArrayBufferView): Promise<ArrayBuffer> {
  const bytes = new Uint8Array(source.buffer, source.byteOffset, source.byteLength)
  const copy = new Uint8Array(bytes.length)
  for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
    copy.set(bytes.subarray(at, at + PIECE_BYTES), at)
    await turn()
  }
  return copy.buffer
}
