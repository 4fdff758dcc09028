// The weights of a model from its files: names and shapes checked as a whole, then read part by part.
import type { Cell, Parameter } from '../cell.js'
import { clip } from '../io/json.js'
import type { SafetensorsFile, TensorSpec } from '../io/safetensors.js'
import { namesOfCells } from '../nn/module.js'
import { DTypeError, PretrainedError, StateDictError } from '../runtime/errors.js'
import { isFloat } from '../schema/dtype.js'
import { formatShape, sameShape } from '../schema/shape.js'
import { memoryFor, type StateDict, tableOf } from '../state.js'
import { type Family, firstPart, initializeWeights, type PretrainedModel } from './model.js'

/** Bytes that are read before they are handed to the device: the most that a model takes while it is loaded, beyond itself. */
const PART_BYTES = 64 * 2 ** 20

/** Batch norm's state as PyTorch names it, by our names. Parameters have the same names on both sides. */
const BUFFERS: Readonly<Record<string, string>> = {
  runningMean: 'running_mean',
  runningVariance: 'running_var',
  batchCount: 'num_batches_tracked',
}
const OURS = Object.fromEntries(Object.entries(BUFFERS).map(([ours, theirs]) => [theirs, ours]))

const renamed = (name: string, names: Readonly<Record<string, string>>): string =>
  name.replace(/[^.]+$/, (last) => (Object.hasOwn(names, last) ? (names[last] as string) : last))

/** A state dict under the names that files have. */
export const inFileNames = (state: StateDict): StateDict =>
  Object.fromEntries(Object.entries(state).map(([name, one]) => [renamed(name, BUFFERS), one]))

/** Where each parameter and buffer comes from. */
interface Assignment {
  /** Names in the file by cell. */
  readonly sources: ReadonlyMap<Cell, string>
  /** Parameters that get fresh values, by name. */
  readonly fresh: readonly (readonly [string, Parameter])[]
}

/** The names a tensor of a file may have in the model: with and without what stands before those of the base. */
function candidates(name: string, { prefix, rename }: Family): string[] {
  const present = renamed(rename ? rename(name) : name, OURS)
  const start = `${prefix}.`
  return [present, present.startsWith(start) ? present.slice(start.length) : start + present]
}

/** What a tensor is, or why it can not be used. */
function specOf(file: SafetensorsFile, name: string): TensorSpec | string {
  try {
    return file.spec(name)
  } catch (error) {
    if (error instanceof DTypeError) return 'of a dtype that heddle does not have'
    throw error
  }
}

/** Finds a tensor for every parameter. Throws `StateDictError`, with a table, where names or shapes do not fit. */
function assignWeights(
  model: PretrainedModel,
  family: Family,
  file: SafetensorsFile,
  isNew: (name: string) => boolean,
): Assignment {
  const places = new Map(namesOfCells(model))
  const parts = new Set([...places.keys()].map(firstPart))
  const has = (part: string): boolean => parts.has(part)
  const sources = new Map<Cell, string>()
  const problems = { missing: [] as string[], unexpected: [] as string[], misfits: [] as string[] }
  for (const name of file.names) {
    const place = candidates(name, family).find((candidate) => places.has(candidate))
    if (place === undefined) {
      if (!family.passesOver(candidates(name, family)[0] as string, has)) problems.unexpected.push(clip(name))
      continue
    }
    if (isNew(place)) continue
    const cell = places.get(place) as Cell
    // The second name of a tied one holds the same.
    if (sources.has(cell)) continue
    const spec = specOf(file, name)
    if (typeof spec === 'string') problems.misfits.push(`${clip(name)}: ${spec}`)
    else if (!sameShape(spec.shape, cell.shape))
      problems.misfits.push(`${clip(name)}: ${formatShape(spec.shape)}, expected ${formatShape(cell.shape)}`)
    else if (isFloat(cell.dtype) ? !isFloat(spec.dtype) : spec.dtype !== cell.dtype)
      problems.misfits.push(`${clip(name)}: ${spec.dtype}, expected ${cell.dtype}`)
    sources.set(cell, name)
  }
  const without = model.namedParameters().filter(([, parameter]) => !sources.has(parameter))
  // Older files have no counts of batches.
  const statistics = model.namedBuffers().filter(([, cell]) => isFloat(cell.dtype) && !sources.has(cell))
  problems.missing.push(...[...without, ...statistics].map(([name]) => name).filter((name) => !isNew(name)))
  const table = tableOf(problems)
  if (table)
    throw new StateDictError(
      `fromPretrained: the weights in ${file.path} do not fit the architecture ${model.constructor.name}; nothing was loaded\n${table}${problems.missing.length > 0 ? '\n  parameters that are meant to be new, a head for example, are named by the option newWeights' : ''}`,
    )
  return { sources, fresh: without }
}

/** As many tensors to a part as `PART_BYTES` takes, at least one. */
function* parts(file: SafetensorsFile, names: Iterable<string>): Generator<string[]> {
  let part: string[] = []
  let room = PART_BYTES
  for (const name of names) {
    const { bytes } = file.spec(name)
    if (bytes > room && part.length > 0) {
      yield part
      part = []
      room = PART_BYTES
    }
    part.push(name)
    room -= bytes
  }
  if (part.length > 0) yield part
}

/** Fills a model that was made without memory. Throws before it reads anything where the weights do not fit. */
export async function loadWeights(
  model: PretrainedModel,
  family: Family,
  file: SafetensorsFile,
  isNew: (name: string) => boolean,
  std: number,
): Promise<void> {
  const { sources, fresh } = assignWeights(model, family, file, isNew)
  const cells = new Map([...sources].map(([cell, name]) => [name, cell]))
  for (const part of parts(file, cells.keys())) {
    for (const [name, state] of Object.entries(await file.readAll(part))) {
      const cell = cells.get(name) as Cell
      const memory = memoryFor(cell, state)
      if (typeof memory === 'string')
        throw new PretrainedError(`fromPretrained: ${file.path}: ${clip(name)}: ${memory}`)
      cell.write(memory)
    }
  }
  initializeWeights(fresh, std)
}
