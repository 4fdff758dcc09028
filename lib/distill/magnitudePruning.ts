// Magnitude pruning: the smallest weights become 0 and stay so while training goes on, more of them by a schedule.
import { assign, Cell, type Parameter } from '../cell.js'
import { type Compiled, compile } from '../compile.js'
import { Module } from '../nn/module.js'
import { integerFrom, numberIn, oneOf, optionsOf } from '../ops/arguments.js'
import { full } from '../ops/create.js'
import { where } from '../ops/element.js'
import { matcher, type Pattern } from '../pattern.js'
import { ArgumentError } from '../runtime/errors.js'
import { describe } from '../schema/describe.js'
import type { Tensor } from '../tensor.js'
import type { Callback, RunView } from '../train/options.js'

export interface MagnitudePruningOptions {
  /** The share of weights that are 0 in the end, from 0 to 1. */
  readonly sparsity: number
  /** The share they begin with. Default 0. */
  readonly initial?: number
  /** The step at which pruning begins. Default 0. */
  readonly begin?: number
  /** The step from which `sparsity` holds. Default: three quarters of the steps there will be. */
  readonly end?: number
  /** Steps between prunings. Default: a twentieth of the steps from `begin` to `end`. */
  readonly every?: number
  /** One threshold for all weights (`global`), or as large a share of each (`layer`). Default `layer`. */
  readonly scope?: 'layer' | 'global'
  /** Which parameters, by name. Default: all of two axes or more. */
  readonly pattern?: Pattern
}

interface Pruned {
  readonly name: string
  readonly parameter: Parameter
  /** Whether a weight is kept. */
  readonly mask: Cell<'bool'>
}

/** The share at a step between two, s_f + (s_i - s_f) (1 - (t - t_0) / (t_n - t_0))^3 (Zhu, Gupta 2017, equation 1). */
export function sparsityAt(step: number, begin: number, end: number, initial: number, final: number): number {
  if (step >= end) return final
  if (step < begin) return 0
  return final + (initial - final) * (1 - (step - begin) / (end - begin)) ** 3
}

/** The absolute value below or at which `count` of them lie; below all where it is 0. */
function thresholdOf(sizes: Float64Array, count: number): number {
  if (count === 0) return Number.NEGATIVE_INFINITY
  return sizes.sort()[count - 1] as number
}

/**
 * Sets the smallest weights of a model to 0. As a callback of `train` or `distill` it prunes by the schedule of Zhu, Gupta (2017)
 * and sets what was pruned to 0 again after every step, whatever the optimizer did; weights that are gone stay gone. It needs
 * no state of its own in checkpoints: zeros tell the masks. Alone, `prune(share)` prunes at once.
 *
 * @example
 * const pruning = new MagnitudePruning(model, { sparsity: 0.9 })
 * await train(model, data, { ..., callbacks: [pruning] })
 * console.log(await pruning.sparsity())
 */
export class MagnitudePruning implements Callback {
  private readonly pruned: readonly Pruned[]
  private readonly settings: MagnitudePruningOptions
  private readonly hold: Compiled<[], []>
  private present = 0

  constructor(model: Module, options: MagnitudePruningOptions) {
    const op = 'MagnitudePruning'
    if (!(model instanceof Module)) throw new ArgumentError(`${op}: it takes a module, not ${describe(model)}`)
    const { sparsity, initial = 0, begin = 0, end, every, scope = 'layer', pattern } = optionsOf(op, options)
    numberIn(op, 'sparsity', sparsity, 0, 1)
    numberIn(op, 'initial', initial, 0, sparsity)
    integerFrom(op, 'begin', begin, 0)
    if (end !== undefined) integerFrom(op, 'end', end, begin + 1)
    if (every !== undefined) integerFrom(op, 'every', every, 1)
    oneOf(op, 'the scope', scope, ['layer', 'global'])
    const fits = pattern === undefined ? undefined : matcher(op, pattern)
    const chosen = model.namedParameters().filter(([name, { shape }]) => (fits ? fits(name) : shape.length > 1))
    if (chosen.length === 0)
      throw new ArgumentError(
        `${op}: no parameter ${pattern === undefined ? 'has two axes or more' : `fits ${String(pattern)}`}`,
      )
    this.settings = options
    this.pruned = chosen.map(([name, parameter]) => ({
      name,
      parameter,
      mask: new Cell(full(parameter.shape, 1, { dtype: 'bool' }) as Tensor<'bool'>, { name: `mask of ${name}` }),
    }))
    this.hold = compile(
      (): [] => {
        assign(this.pruned.map(({ parameter, mask }) => [parameter, where(mask, parameter, 0)]))
        return []
      },
      { name: 'pruned weights' },
    )
  }

  /** The steps between which it prunes, and how often. */
  private plan(total: number | undefined): { readonly begin: number; readonly end: number; readonly every: number } {
    const { begin = 0, every } = this.settings
    const end = this.settings.end ?? (total === undefined ? undefined : Math.max(begin + 1, Math.round(total * 0.75)))
    if (end === undefined)
      throw new ArgumentError(
        'MagnitudePruning: nobody knows how many steps there will be; say the step it ends at: end',
      )
    return { begin, end, every: every ?? Math.max(1, Math.floor((end - begin) / 20)) }
  }

  async onStart({ step }: Pick<RunView, 'step'>): Promise<void> {
    // A run that goes on: what is 0 was pruned.
    if (step > 0) await this.readMasks()
  }

  async onStep({ step, optimizer }: Pick<RunView, 'step' | 'optimizer'>): Promise<void> {
    const { initial = 0, sparsity } = this.settings
    const { begin, end, every } = this.plan(optimizer.totalSteps)
    const due = step >= begin && step <= end && ((step - begin) % every === 0 || step === end)
    if (due) await this.prune(sparsityAt(step, begin, end, initial, sparsity))
    else if (this.present > 0) await this.hold()
  }

  /** Sets weights to 0 until at least this share of them is; those that are gone stay gone. */
  async prune(share: number): Promise<void> {
    numberIn('MagnitudePruning.prune', 'the share', share, 0, 1)
    const { scope = 'layer' } = this.settings
    // Weights that are gone have the size 0 even where the optimizer has moved them since.
    const data = await Promise.all(
      this.pruned.map(async ({ parameter, mask }) => {
        const [values, kept] = [(await parameter.data()) as Float32Array, await mask.data()]
        return Float64Array.from(values, (x, i) => (kept[i] === 0 ? 0 : Math.abs(x)))
      }),
    )
    const countOf = (of: number): number => Math.round(share * of)
    const sizes = scope === 'global' ? Float64Array.from(data.flatMap((list) => [...list])) : undefined
    const common = sizes && thresholdOf(sizes, countOf(sizes.length))
    this.pruned.forEach(({ mask }, i) => {
      const list = data[i] as Float64Array
      const threshold = common ?? thresholdOf(list.slice(), countOf(list.length))
      mask.write(above(list, threshold))
    })
    this.present = Math.max(this.present, share)
    await this.hold()
  }

  /** The share of weights that are 0, of all that are pruned. */
  async sparsity(): Promise<number> {
    let [zeros, all] = [0, 0]
    for (const { parameter } of this.pruned) {
      const data = (await parameter.data()) as Float32Array
      all += data.length
      for (const x of data) if (x === 0) zeros++
    }
    return zeros / all
  }

  private async readMasks(): Promise<void> {
    for (const { parameter, mask } of this.pruned) {
      const data = (await parameter.data()) as Float32Array
      if (data.some((x) => x === 0)) this.present = Math.max(this.present, Number.MIN_VALUE)
      mask.write(above(data.map(Math.abs), 0))
    }
  }
}

/** Which sizes are above the threshold, as memory of a mask. */
const above = (sizes: ArrayLike<number>, threshold: number): Uint8Array =>
  Uint8Array.from(sizes, (x) => Number(x > threshold))
