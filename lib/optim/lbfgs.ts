// L-BFGS: quasi-Newton steps from a closure that evaluates the loss as often as a step needs it.
import { assign, Cell, Parameter } from '../cell.js'
import { currentTrace } from '../graph/trace.js'
import { integerFrom, numberIn, oneOf } from '../ops/arguments.js'
import { concat } from '../ops/concat.js'
import { ones, zeros, zerosLike } from '../ops/create.js'
import { abs, add, cast, div, mul, neg, reciprocal, sub } from '../ops/element.js'
import { Gradients } from '../ops/gradient.js'
import { statisticOf } from '../ops/norm.js'
import { max, sum } from '../ops/reduce.js'
import { flatten, reshape, slice } from '../ops/view.js'
import { ArgumentError, TraceError } from '../runtime/errors.js'
import { sizeOf } from '../schema/shape.js'
import { loadInto, readState, type StateDict } from '../state.js'
import { type Tensor, tensor } from '../tensor.js'
import { ScaledGradients } from './clip.js'
import { type Point, strongWolfe } from './lineSearch.js'

/** What a closure gives: the loss, a scalar, and its gradients, or a list of them side by side with the parameters. */
export interface Evaluation {
  readonly loss: Tensor
  readonly gradients: Gradients | readonly Tensor[]
}

export interface LBFGSOptions {
  /** Length of a step in its direction, or with a line search the first that is tried. Default 1. */
  readonly lr?: number
  /** Iterations per call of `step`. Default 20. */
  readonly maxIterations?: number
  /** Evaluations per call of `step`, after which no iteration begins. Default 1.25 `maxIterations`, rounded down. */
  readonly maxEvaluations?: number
  /** No gradient's element is larger: done. Default 1e-7. */
  readonly toleranceGradient?: number
  /** No element, or the loss, changes by more: done. Default 1e-9. */
  readonly toleranceChange?: number
  /** How many pairs of steps and changes are remembered; each takes twice the parameters' memory. Default 10. */
  readonly history?: number
  /** `strongWolfe`, or none (default). */
  readonly lineSearch?: 'none' | 'strongWolfe'
}

/** A step and by how much it changed the gradient. */
interface Pair {
  readonly step: Cell
  readonly change: Cell
  /** 1 / (step . change), []. */
  readonly rho: Cell
}

type Memo = Record<'iterations' | 'evaluations' | 'pairs' | 't' | 'loss', number>
const MEMO = ['iterations', 'evaluations', 'pairs', 't', 'loss'] as const

const dot = (a: Tensor, b: Tensor): Tensor => sum(mul(a, b))
const largest = (x: Tensor): Tensor => max(abs(x))
const read = (...scalars: readonly Tensor[]): Promise<number[]> =>
  Promise.all(scalars.map(async (scalar) => Number(await scalar.item())))

/**
 * L-BFGS (Liu and Nocedal 1989), as torch.optim.LBFGS. All parameters are one vector in f32 (f64 where one of them is). It
 * decides on the host, so a step waits for the device and is no part of a compiled function; the closure may be one. Throws
 * `ArgumentError` for options out of range or without parameters.
 */
export class LBFGS {
  /** May be set anew between steps. */
  lr: number
  readonly parameters: readonly Parameter[]
  private readonly settings: Required<Omit<LBFGSOptions, 'lr'>>
  private readonly history: readonly Pair[]
  private readonly direction: Cell
  private readonly gradient: Cell
  private readonly memo: Memo = { iterations: 0, evaluations: 0, pairs: 0, t: 0, loss: 0 }
  private readonly memoCell: Cell
  private busy = false

  constructor(parameters: Iterable<Parameter>, options: LBFGSOptions = {}) {
    const { lr = 1, maxIterations = 20, lineSearch = 'none' } = options
    this.lr = numberIn('LBFGS', 'lr', lr, 0)
    const settings = {
      maxIterations: integerFrom('LBFGS', 'maxIterations', maxIterations, 1),
      maxEvaluations: options.maxEvaluations ?? Math.floor(maxIterations * 1.25),
      toleranceGradient: numberIn('LBFGS', 'toleranceGradient', options.toleranceGradient ?? 1e-7, 0),
      toleranceChange: numberIn('LBFGS', 'toleranceChange', options.toleranceChange ?? 1e-9, 0),
      history: integerFrom('LBFGS', 'history', options.history ?? 10, 1),
      lineSearch: oneOf('LBFGS', 'lineSearch', lineSearch, ['none', 'strongWolfe']),
    }
    integerFrom('LBFGS', 'maxEvaluations', settings.maxEvaluations, 1)
    this.settings = settings
    this.parameters = [...parameters]
    if (this.parameters.length === 0) throw new ArgumentError('LBFGS: there are no parameters to optimize')
    for (const parameter of this.parameters) {
      if (!(parameter instanceof Parameter))
        throw new ArgumentError(`LBFGS: it takes parameters, of one group, not ${String(parameter)}`)
    }
    const size = this.parameters.reduce((total, { shape }) => total + sizeOf(shape), 0)
    const dtype = this.parameters.some((parameter) => parameter.dtype === 'f64') ? 'f64' : statisticOf('f32')
    const vector = (name: string): Cell => new Cell(zeros([size], { dtype }), { name: `LBFGS ${name}` })
    this.direction = vector('direction')
    this.gradient = vector('gradient')
    this.history = Array.from({ length: settings.history }, (_, i) => ({
      step: vector(`step ${i}`),
      change: vector(`change ${i}`),
      rho: new Cell(ones([], { dtype }), { name: `LBFGS rho ${i}` }),
    }))
    this.memoCell = new Cell(zeros([MEMO.length], { dtype: 'f64' }), { name: 'LBFGS memo' })
  }

  /**
   * Iterates until a tolerance or a limit is met. `closure` evaluates the loss and its gradients at the parameters' present
   * values. Resolves to the loss before the step. Frozen parameters stay as they are. Rejects while another step runs; when
   * the closure throws, the parameters may be at a trial's values.
   */
  async step(closure: () => Evaluation | Promise<Evaluation>): Promise<number> {
    if (currentTrace()) throw new TraceError('LBFGS: a step decides on the host; call it outside the compiled function')
    if (typeof closure !== 'function')
      throw new ArgumentError('LBFGS: step takes a closure that gives { loss, gradients }')
    if (this.busy) throw new ArgumentError('LBFGS: the step before is not done; await it first')
    this.busy = true
    try {
      return await this.iterate(closure)
    } finally {
      this.memoCell.write(Float64Array.from(MEMO, (name) => this.memo[name]))
      this.busy = false
    }
  }

  private async iterate(closure: () => Evaluation | Promise<Evaluation>): Promise<number> {
    const { maxIterations, maxEvaluations, toleranceGradient, toleranceChange, lineSearch } = this.settings
    const { memo } = this
    let present = await this.evaluate(closure)
    const initial = present.loss
    let evaluations = 1
    for (let i = 1; i <= maxIterations; i++) {
      const [steepest] = await read(largest(present.gradient))
      if ((steepest as number) <= toleranceGradient) break
      memo.iterations++
      await this.turn(present.gradient)
      memo.loss = present.loss
      const [slope, size, total] = (await read(
        dot(present.gradient, this.direction),
        largest(this.direction),
        sum(abs(present.gradient)),
      )) as [number, number, number]
      memo.t = memo.iterations === 1 ? Math.min(1, 1 / total) * this.lr : this.lr
      if (slope > -toleranceChange) break

      const from = this.parameters.map((parameter) => new Cell(parameter))
      const start = { t: 0, loss: present.loss, slope, gradient: present.gradient }
      if (lineSearch === 'strongWolfe') {
        const tried: Cell[] = []
        const trial = async (t: number): Promise<Point<Cell>> => {
          this.move(from, t)
          const { loss, gradient } = await this.evaluate(closure)
          tried.push(gradient)
          return { t, loss, slope: (await read(dot(gradient, this.direction)))[0] as number, gradient }
        }
        const found = await strongWolfe(trial, start, memo.t, { size, toleranceChange })
        memo.t = found.point.t
        this.move(from, memo.t)
        for (const gradient of tried) if (gradient !== found.point.gradient) gradient.dispose()
        present = found.point
        evaluations += found.evaluations
      } else {
        this.move(from, memo.t)
        if (i < maxIterations) {
          present = await this.evaluate(closure)
          evaluations++
        }
      }
      for (const cell of from) cell.dispose()
      if (present.gradient !== start.gradient) start.gradient.dispose()
      if (evaluations >= maxEvaluations) break
      if (size * Math.abs(memo.t) <= toleranceChange) break
      if (Math.abs(present.loss - memo.loss) < toleranceChange) break
    }
    present.gradient.dispose()
    return initial
  }

  /** Loss and gradient, a vector of its own, at the parameters' present values. */
  private async evaluate(closure: () => Evaluation | Promise<Evaluation>): Promise<{ loss: number; gradient: Cell }> {
    const { loss, gradients } = await closure()
    if (gradients instanceof ScaledGradients && gradients.applies)
      throw new ArgumentError(
        'LBFGS: its steps depend on one another, so none can be left out on the device; give it gradients without a condition (no LossScale), of a loss in f32 or bf16',
      )
    const of = (parameter: Parameter, i: number): Tensor | undefined =>
      gradients instanceof Gradients ? gradients.get(parameter) : gradients[i]
    const parts = this.parameters.map((parameter, i) => {
      const part = parameter.trainable ? of(parameter, i) : zerosLike(parameter)
      if (!part) throw new ArgumentError(`LBFGS: the closure gave no gradient of ${parameter.state.label}`)
      return cast(flatten(part), this.direction.dtype)
    })
    const gradient = new Cell(concat(parts))
    this.memo.evaluations++
    return { loss: Number(await loss.item()), gradient }
  }

  /** Remembers the last step and what it changed, and sets the direction from the gradient. */
  private async turn(gradient: Tensor): Promise<void> {
    const { memo, history } = this
    if (memo.iterations === 1) {
      assign([
        [this.direction, neg(gradient)],
        [this.gradient, gradient],
      ])
      return
    }
    const change = sub(gradient, this.gradient)
    const step = mul(this.direction, tensor(memo.t, { dtype: this.direction.dtype as 'f64' }))
    const curvature = dot(change, step)
    if (((await read(curvature))[0] as number) > 1e-10) {
      const pair = history[memo.pairs % history.length] as Pair
      assign([
        [pair.step, step],
        [pair.change, change],
        [pair.rho, reciprocal(curvature)],
      ])
      memo.pairs++
    }
    assign([
      [this.direction, this.solve(gradient)],
      [this.gradient, gradient],
    ])
  }

  /** Minus the inverse Hessian that the pairs tell of, times the gradient: the two loops of Nocedal (1980). */
  private solve(gradient: Tensor): Tensor {
    const { pairs } = this.memo
    const { length } = this.history
    const count = Math.min(pairs, length)
    const ordered = Array.from({ length: count }, (_, i) => this.history[(pairs - count + i) % length] as Pair)
    let q = neg(gradient)
    const shares: Tensor[] = []
    for (const { step, change, rho } of [...ordered].reverse()) {
      const share = mul(dot(step, q), rho)
      shares.unshift(share)
      q = sub(q, mul(change, share))
    }
    const newest = ordered.at(-1)
    let direction = newest ? div(q, mul(dot(newest.change, newest.change), newest.rho)) : q
    ordered.forEach(({ step, change, rho }, i) => {
      const share = mul(dot(change, direction), rho)
      direction = add(direction, mul(step, sub(shares[i] as Tensor, share)))
    })
    return direction
  }

  /** Puts the parameters at `from` + t direction. */
  private move(from: readonly Cell[], t: number): void {
    const { dtype } = this.direction
    const length = tensor(t, { dtype: dtype as 'f64' })
    let offset = 0
    const pairs = this.parameters.flatMap((parameter, i) => {
      const start = offset
      offset += sizeOf(parameter.shape)
      if (!parameter.trainable) return []
      const part = reshape(slice(this.direction, [start, offset]), parameter.shape)
      return [[parameter, cast(add(cast(from[i] as Cell, dtype), mul(part, length)), parameter.dtype)] as const]
    })
    assign(pairs)
  }

  private cells(): (readonly [string, Cell])[] {
    const pairs = this.history.flatMap((pair, i) =>
      (['step', 'change', 'rho'] as const).map((kind) => [`${kind}.${i}`, pair[kind]] as const),
    )
    return [['memo', this.memoCell], ['direction', this.direction], ['gradient', this.gradient], ...pairs]
  }

  /** The remembered pairs, the direction and the counts, once the device has delivered them. */
  stateDict(): Promise<StateDict> {
    return readState(this.cells())
  }

  /** The reverse, for an optimizer of the same parameters and history. Throws `StateDictError` before anything is changed. */
  loadStateDict(state: StateDict): void {
    loadInto(this.cells(), state, true)
    MEMO.forEach((name, i) => (this.memo[name] = Number(state['memo']?.data[i])))
  }
}
