// Right-sizing: candidates measured side by side, and the one that a budget allows.
import { type Compiled, compile } from '../compile.js'
import { Module } from '../nn/module.js'
import { integerFrom, numberIn, oneOf, optionsOf } from '../ops/arguments.js'
import { ArgumentError } from '../runtime/errors.js'
import { describe } from '../schema/describe.js'
import { bytesOf } from '../schema/dtype.js'
import type { Tensor } from '../tensor.js'
import { Progress, type ProgressOptions } from '../train/progress.js'
import { namedOutputs, type Outputs } from './outputs.js'
import { paretoFront, tableOf } from './tradeoffs.js'
import { weightCount } from './weightCount.js'

export interface Budget {
  /** Milliseconds per run of `forward`, the median. */
  readonly latencyMs?: number
  /** Bytes of parameters and buffers. */
  readonly bytes?: number
  /** The least that `evaluate` may give. */
  readonly accuracy?: number
}

export interface RightSizeOptions<M extends Module, I> {
  /** What makes each model, by name: students, pruned or quantised ones, loaded from files; called once, one after the other. */
  readonly candidates: Readonly<Record<string, () => M | Promise<M>>>
  /** How good a model is, more is better: its accuracy on held-out data. */
  readonly evaluate: (model: M) => number | Promise<number>
  /** What is timed: a model on `input`. It is compiled. */
  readonly forward: (model: M, input: I) => Outputs
  /** Tensors, as in the place the model is for: one sample for an answer, many for throughput. */
  readonly input: I
  readonly budget?: Budget
  /** What the pick is the best of, among those within the budget. Default `latency` where the budget has an accuracy, else `accuracy`. */
  readonly prefer?: 'accuracy' | 'latency' | 'bytes'
  /** Timed runs of each candidate, alternating between them. Default 30. */
  readonly repeats?: number
  /** Runs before those. Default 3. */
  readonly warmup?: number
  /** Bytes of a model. Default: of its parameters and buffers. */
  readonly bytes?: (model: M) => number
  /** Prints the table at the end. Default true. */
  readonly print?: boolean | { write(text: string): unknown }
  readonly progress?: boolean | Pick<ProgressOptions, 'stream' | 'intervalMs'>
  readonly signal?: AbortSignal
}

/** A candidate, measured. */
export interface SizedModel<M extends Module = Module> {
  readonly name: string
  readonly model: M
  readonly accuracy: number
  readonly bytes: number
  /** Weights, int8 ones among them. */
  readonly parameters: number
  /** The median, and where the middle half of the runs lies. */
  readonly latencyMs: number
  readonly latencyQuartilesMs: readonly [number, number]
  /** Whether no other candidate is at least as good in everything and better in something. */
  readonly onFront: boolean
  readonly withinBudget: boolean
}

export interface RightSized<M extends Module = Module> {
  /** In the order of the candidates. */
  readonly table: readonly SizedModel<M>[]
  /** The Pareto front, fastest first. */
  readonly front: readonly SizedModel<M>[]
  /** The best within the budget; undefined where none is. */
  readonly pick: SizedModel<M> | undefined
  /** The table as it is printed. */
  readonly text: string
}

const memoryOf = (model: Module): number =>
  [...model.parameters(), ...model.buffers()].reduce((sum, { size, dtype }) => sum + size * bytesOf(dtype), 0)

/** The value below which a share of a sorted list lies. */
const quantile = (sorted: readonly number[], share: number): number => {
  const place = share * (sorted.length - 1)
  const [low, high] = [sorted[Math.floor(place)] as number, sorted[Math.ceil(place)] as number]
  return low + (high - low) * (place - Math.floor(place))
}

interface Made<M extends Module, I> {
  readonly name: string
  readonly model: M
  readonly accuracy: number
  readonly run: Compiled<[I], Record<string, Tensor>>
  readonly times: number[]
}

/** One run until its results are there. */
async function timed<M extends Module, I>({ run }: Made<M, I>, input: I): Promise<number> {
  const begun = performance.now()
  const outputs = Object.values(await run(input))
  await Promise.all(outputs.map((output) => output.data()))
  const taken = performance.now() - begun
  for (const output of outputs) output.dispose()
  return taken
}

/**
 * Measures accuracy, bytes and latency of candidates, and picks one within a budget. Latencies are medians of compiled runs that
 * alternate between the candidates, in `eval` mode, so that a busy moment of the machine strikes all alike. Gives the
 * table, the Pareto front and the pick; a budget that nobody meets has no pick. All candidates are in memory at once.
 *
 * @example
 * const { pick } = await rightSize({
 *   candidates: { teacher: () => teacher, half: () => narrow(teacher, 0.5), 'half, int8': async () => quantise(await narrow(teacher, 0.5)) },
 *   evaluate: async (model) => Number((await evaluate(model, test, { loss, metrics })).accuracy),
 *   forward: (model, { image }) => model.forward(image),
 *   input: { image: randomNormal([1, 1, 28, 28]) },
 *   budget: { latencyMs: 2 },
 * })
 */
export async function rightSize<M extends Module, I extends object>(
  options: RightSizeOptions<M, I>,
): Promise<RightSized<M>> {
  const op = 'rightSize'
  const { candidates, evaluate, forward, input, budget = {}, repeats = 30, warmup = 3, signal } = optionsOf(op, options)
  const { progress = true, print = true, prefer = budget.accuracy === undefined ? 'accuracy' : 'latency' } = options
  const names = Object.keys(optionsOf(op, candidates))
  if (names.length === 0) throw new ArgumentError(`${op}: there are no candidates`)
  integerFrom(op, 'repeats', repeats, 1)
  integerFrom(op, 'warmup', warmup, 1)
  oneOf(op, 'prefer', prefer, ['accuracy', 'latency', 'bytes'])
  for (const [name, limit] of Object.entries(optionsOf(op, budget)))
    if (limit !== undefined) numberIn(op, `budget.${name}`, limit, name === 'accuracy' ? Number.NEGATIVE_INFINITY : 0)
  // Timing counts as one more step.
  const bar =
    progress === false
      ? undefined
      : new Progress({
          total: names.length + 1,
          rate: { unit: 'candidates', perStep: 1 },
          ...(progress === true ? {} : progress),
        })
  const made: Made<M, I>[] = []
  try {
    for (const name of names) {
      signal?.throwIfAborted()
      bar?.update(made.length, { candidate: name })
      const model = await (candidates[name] as () => M | Promise<M>)()
      if (!(model instanceof Module))
        throw new ArgumentError(`${op}: the candidate '${name}' gave ${describe(model)}, not a module`)
      model.eval()
      const accuracy = await evaluate(model)
      if (typeof accuracy !== 'number' || Number.isNaN(accuracy))
        throw new ArgumentError(`${op}: evaluate gave ${describe(accuracy)} for '${name}', which measures nothing`)
      model.eval()
      const run = compile((given: I) => Object.fromEntries(namedOutputs(op, forward(model, given))), { name })
      made.push({ name, model, accuracy, run, times: [] })
    }
    bar?.update(names.length, { candidate: 'timing' })
    for (let round = -warmup; round < repeats; round++)
      // Each round begins with another candidate.
      for (let i = 0; i < made.length; i++) {
        signal?.throwIfAborted()
        const one = made[(i + round + warmup) % made.length] as Made<M, I>
        const taken = await timed(one, input)
        if (round >= 0) one.times.push(taken)
      }
    bar?.update(names.length + 1)
  } finally {
    bar?.finish()
  }
  const sized = made.map(({ name, model, accuracy, times }) => {
    const sorted = times.sort((a, b) => a - b)
    const bytes = (options.bytes ?? memoryOf)(model)
    const [latencyMs, low, high] = [0.5, 0.25, 0.75].map((share) => quantile(sorted, share)) as [number, number, number]
    const withinBudget =
      latencyMs <= (budget.latencyMs ?? Number.POSITIVE_INFINITY) &&
      bytes <= (budget.bytes ?? Number.POSITIVE_INFINITY) &&
      accuracy >= (budget.accuracy ?? Number.NEGATIVE_INFINITY)
    return {
      name,
      model,
      accuracy,
      bytes,
      parameters: weightCount(model),
      latencyMs,
      latencyQuartilesMs: [low, high] as const,
      withinBudget,
    }
  })
  const onFront = paretoFront(sized)
  const table = sized.map((one, i): SizedModel<M> => ({ ...one, onFront: onFront[i] as boolean }))
  const pick = best(
    table.filter(({ withinBudget }) => withinBudget),
    prefer,
  )
  const text = tableOf(table, pick?.name)
  if (print !== false) (print === true ? process.stdout : print).write(text)
  const front = table.filter((one) => one.onFront).sort((a, b) => a.latencyMs - b.latencyMs)
  return { table, front, pick, text }
}

/** The best of them, by one measure; where that is equal, by the others. */
function best<M extends Module>(
  list: readonly SizedModel<M>[],
  prefer: 'accuracy' | 'latency' | 'bytes',
): SizedModel<M> | undefined {
  const measures = {
    accuracy: (one: SizedModel) => -one.accuracy,
    latency: (one: SizedModel) => one.latencyMs,
    bytes: (one: SizedModel) => one.bytes,
  }
  const order = [measures[prefer], measures.accuracy, measures.bytes, measures.latency]
  const compare = (a: SizedModel, b: SizedModel): number =>
    order.map((measure) => measure(a) - measure(b)).find((difference) => difference !== 0) ?? 0
  return [...list].sort(compare)[0]
}
