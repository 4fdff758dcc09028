// What a batcher is told, with what stands where it is not told, and the checks of it.
import { Module } from '../nn/module.js'
import { integerFrom, numberIn, optionsOf } from '../ops/arguments.js'
import { defaultDevice } from '../runtime/device.js'
import { ArgumentError } from '../runtime/errors.js'
import { describe } from '../schema/describe.js'
import type { Tensor } from '../tensor.js'
import type { Inputs, TensorsOf } from './inputs.js'
import type { Outputs } from './outputs.js'
import type { Priority } from './request.js'

export interface BatcherOptions<I extends Inputs> {
  /** What a request holds: shape and dtype of one sample, without the batch, or several of them by name. */
  readonly input: I
  /** The most requests in one batch. Default 32. */
  readonly maxBatch?: number
  /** How long a request may wait for others to share its batch, in milliseconds. Default 2; 0: it goes with those that are there. */
  readonly maxDelayMs?: number
  /** The most requests that wait for a batch; more are turned away with `OverloadedError`. Default 32 batches. */
  readonly maxQueue?: number
  /** Batches that are given to the device at a time, so that it need not wait for the next. Default 2. */
  readonly inFlight?: number
  /**
   * Batches of the largest size that the CPU computes beside one another, each on its share of the threads and in memory of
   * its own: more are answered in all, each somewhat later. Default: as many as are in flight, but not more than threads.
   */
  readonly lanes?: number
  /** Batches are filled up to one of these sizes, so that few are compiled. Default: the powers of two up to `maxBatch`, and that. */
  readonly sizes?: readonly number[]
  /** Milliseconds that a request has, where it does not say so itself. Default: no limit. */
  readonly deadlineMs?: number
  /** Shapes of samples whose compiled functions are kept, where shapes vary. Default 16. */
  readonly maxShapes?: number
  /** The module whose weights `swap` replaces. Default: the model itself. */
  readonly model?: Module
  /** Names it in errors, metrics and traces. Default: the class of the model, or the function's name. */
  readonly name?: string
}

export interface PredictOptions {
  /** Who goes first, and who has to give way where the queue is full. Default `normal`. */
  readonly priority?: Priority
  /** Milliseconds until the request is given up. */
  readonly deadlineMs?: number
  /** Ends it by rejecting with the signal's reason, wherever it is. */
  readonly signal?: AbortSignal
}

export interface CloseOptions {
  /** Milliseconds until what is not answered rejects. Default: no limit. */
  readonly graceMs?: number
}

export interface Health {
  /** Whether it can recover by itself or by `swap`; if not the process should be started again. */
  readonly live: boolean
  /** Whether requests should be sent to it. */
  readonly ready: boolean
  readonly status: 'starting' | 'ready' | 'overloaded' | 'draining' | 'closed' | 'failed'
  readonly why: string
}

/** A module with one input, or a function of the inputs. */
export type ModelOf<I extends Inputs, R extends Outputs> =
  | (Module & { forward(input: Tensor): R })
  | ((inputs: TensorsOf<I>) => R)

/** What runs on a batch. */
export const forwardOf = <I extends Inputs, R extends Outputs>(model: ModelOf<I, R>): ((inputs: TensorsOf<I>) => R) =>
  model instanceof Module ? (inputs) => model.forward(inputs as Tensor) : model

/** Beyond this, Node's timers go off at once. */
export const LONGEST_MS = 2 ** 31 - 1

function sizesOf(owner: string, given: readonly number[] | undefined, maxBatch: number): readonly number[] {
  const powers = Array.from({ length: Math.floor(Math.log2(maxBatch)) + 1 }, (_, power) => 2 ** power)
  const sizes = [...new Set([...(given ?? powers), maxBatch])].sort((a, b) => a - b)
  for (const size of sizes)
    if (integerFrom(owner, 'each of sizes', size, 1) > maxBatch)
      throw new ArgumentError(`${owner}: the size ${size} is above maxBatch, which is ${maxBatch}`)
  return sizes
}

/** The options with their defaults. Throws `ArgumentError` for what can not be. */
export function settingsOf<I extends Inputs, R extends Outputs>(model: ModelOf<I, R>, options: BatcherOptions<I>) {
  const given = optionsOf('batcher', options)
  const runs = typeof model === 'function' || (model instanceof Module && typeof model.forward === 'function')
  if (!runs) throw new ArgumentError(`batcher: it takes a model with forward, or a function, not ${describe(model)}`)
  const { maxBatch = 32, maxDelayMs = 2, inFlight = 2, deadlineMs, maxShapes = 16 } = given
  integerFrom('batcher', 'maxBatch', maxBatch, 1)
  const { maxQueue = 32 * maxBatch } = given
  numberIn('batcher', 'maxDelayMs', maxDelayMs, 0, LONGEST_MS)
  integerFrom('batcher', 'maxQueue', maxQueue, 1)
  integerFrom('batcher', 'inFlight', inFlight, 1)
  const { kind, threads } = defaultDevice()
  const { lanes = Math.min(inFlight, threads) } = given
  if (integerFrom('batcher', 'lanes', lanes, 1) > inFlight)
    throw new ArgumentError(
      `batcher: lanes is ${lanes}, above inFlight, which is ${inFlight}: no batch would be in the others`,
    )
  integerFrom('batcher', 'maxShapes', maxShapes, 1)
  if (deadlineMs !== undefined) numberIn('batcher', 'deadlineMs', deadlineMs, 0, LONGEST_MS)
  const module = given.model ?? (model instanceof Module ? model : undefined)
  if (module !== undefined && !(module instanceof Module))
    throw new ArgumentError(`batcher: model must be a module, not ${describe(module)}`)
  if (module?.training)
    throw new ArgumentError(
      'batcher: the model is in training mode, where dropout drops and batch norm mixes requests; call eval() first',
    )
  const name = given.name ?? (model instanceof Module ? model.constructor.name : model.name || 'model')
  const sizes = sizesOf('batcher', given.sizes, maxBatch)
  return {
    maxDelayMs,
    maxQueue,
    inFlight,
    lanes: kind === 'cpu' ? lanes : 1,
    deadlineMs,
    maxShapes,
    model: module,
    name,
    sizes,
  }
}
