// State dicts: the contents of named cells as typed arrays, read and written as a whole.
import type { Cell } from './cell.js'
import { currentTrace } from './graph/trace.js'
import { ArgumentError, StateDictError, TraceError } from './runtime/errors.js'
import { type DType, isDType, isFloat } from './schema/dtype.js'
import { type Elements, encode, type Stored, widen } from './schema/elements.js'
import { formatShape, type Shape, sameShape } from './schema/shape.js'

/** One tensor outside a device: its elements in row-major order, f16 and bf16 as Float32Array or as bits in a Uint16Array. */
export interface TensorState {
  readonly data: Elements<DType> | Stored<DType>
  readonly shape: Shape
  readonly dtype: DType
}

/** Tensors by name. */
export type StateDict = Readonly<Record<string, TensorState>>

type Named = readonly (readonly [string, Cell])[]

export interface StateOptions {
  /** Gives f16 and bf16 as they are kept, 16 bits each in a Uint16Array, instead of as Float32Array. Default false. */
  readonly bits?: boolean
}

/** The contents of the cells, all as of now, once the device has delivered them. */
export async function readState(
  cells: Named,
  { bits = false }: StateOptions = {},
): Promise<Record<string, TensorState>> {
  if (currentTrace())
    throw new TraceError('stateDict: state can not be read inside a compiled function; read it after the call')
  const entries = await Promise.all(
    cells.map(
      async ([name, cell]) =>
        [name, { data: await (bits ? cell.bits() : cell.data()), shape: [...cell.shape], dtype: cell.dtype }] as const,
    ),
  )
  return Object.fromEntries(entries)
}

/** @internal What is wrong with a state dict, by kind. */
export interface Problems {
  readonly missing: string[]
  readonly unexpected: string[]
  readonly misfits: string[]
}

/** @internal The problems as a table; nothing where there are none. */
export function tableOf({ missing, unexpected, misfits }: Problems): string {
  const section = (title: string, names: readonly string[]): string[] =>
    names.length === 0
      ? []
      : [
          `  ${title}:`,
          ...names.slice(0, 20).map((name) => `    ${name}`),
          ...(names.length > 20 ? [`    and ${names.length - 20} more`] : []),
        ]
  return [
    ...section('missing', missing),
    ...section('unexpected', unexpected),
    ...section('of another shape or dtype', misfits),
  ].join('\n')
}

/** @internal The elements as memory of the cell, or what does not fit. Floats may be converted, nothing else. */
export function memoryFor(cell: Cell, { data, shape, dtype }: TensorState): ArrayBufferView | string {
  if (!isDType(dtype) || !Array.isArray(shape) || !ArrayBuffer.isView(data)) return 'no { data, shape, dtype }'
  if (!sameShape(shape, cell.shape)) return `${formatShape(shape)}, expected ${formatShape(cell.shape)}`
  if (dtype !== cell.dtype && !(isFloat(dtype) && isFloat(cell.dtype))) return `${dtype}, expected ${cell.dtype}`
  let elements: ArrayBufferView = data
  if (data instanceof Uint16Array) {
    if (dtype !== 'bf16' && dtype !== 'f16') return `a Uint16Array, which holds no elements of ${dtype}`
    if (dtype !== cell.dtype) elements = widen(dtype, data)
  }
  const { bytes } = encode(elements, cell.dtype, (message) => new ArgumentError(`loadStateDict: ${message}`))
  if (bytes.byteLength !== cell.state.bytes) return `${bytes.byteLength} bytes, expected ${cell.state.bytes}`
  return bytes
}

/** Writes a state to cells; a cell may have several names, of which one has to be there. Checks everything first. */
export function loadInto(cells: Named, state: StateDict, strict: boolean): void {
  if (currentTrace()) throw new TraceError('loadStateDict: state can not be loaded inside a compiled function')
  if (state === null || typeof state !== 'object')
    throw new ArgumentError(`loadStateDict: the state must be an object of tensors by name, not ${String(state)}`)
  const names = new Map<Cell, string[]>()
  for (const [name, cell] of cells) names.set(cell, [...(names.get(cell) ?? []), name])
  const known = new Set(cells.map(([name]) => name))
  const problems: Problems = {
    missing: [],
    unexpected: strict ? Object.keys(state).filter((name) => !known.has(name)) : [],
    misfits: [],
  }
  const writes: [Cell, ArrayBufferView][] = []
  for (const [cell, aliases] of names) {
    const name = aliases.find((alias) => Object.hasOwn(state, alias))
    if (name === undefined) {
      if (strict) problems.missing.push(aliases[0] as string)
      continue
    }
    const memory = memoryFor(cell, state[name] as TensorState)
    if (typeof memory === 'string') problems.misfits.push(`${name}: ${memory}`)
    else writes.push([cell, memory])
  }
  const table = tableOf(problems)
  if (table) throw new StateDictError(`loadStateDict: the state does not fit; nothing was loaded\n${table}`)
  for (const [cell, memory] of writes) cell.write(memory)
}
