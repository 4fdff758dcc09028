// One optimizer step as compiled functions: a batch at once, or piece by piece where memory or the user asks for it.
import { assign, Cell, type Parameter } from '../cell.js'
import { type Compiled, compile } from '../compile.js'
import { disposeBatch } from '../data/tensors.js'
import type { Module } from '../nn/module.js'
import { integerFrom, numberIn, oneOf } from '../ops/arguments.js'
import { autocast, type Precision } from '../ops/autocast.js'
import { arange, full, zeros } from '../ops/create.js'
import { add, cast, div, eq, gt, isFinite, logicalAnd, mul, where } from '../ops/element.js'
import { type Gradients, grad } from '../ops/gradient.js'
import { statisticOf } from '../ops/norm.js'
import { defaultGenerator } from '../ops/random.js'
import type { ExponentialMovingAverage } from '../optim/average.js'
import { clipGradients, gradientNorm, ScaledGradients } from '../optim/clip.js'
import { LossScale } from '../optim/lossScale.js'
import type { Optimizer } from '../optim/optimizer.js'
import { ArgumentError, OutOfMemoryError } from '../runtime/errors.js'
import { Tensor } from '../tensor.js'
import { samplesBetween, samplesOf, type TensorFields, tensorFields } from './batch.js'
import { type Metrics, measure, type Objective, type Outcome, outcomeOf, weightOf } from './objective.js'

/**
 * What becomes of a step whose loss is not finite, or whose gradients are not where their norm is computed. `stop`: neither
 * it nor any later one changes anything; `skip`: it changes nothing; `ignore`: nobody looks.
 */
export type NonFinitePolicy = 'stop' | 'skip' | 'ignore'

export interface TrainingStepOptions<M extends Module, B extends object, O extends Outcome> {
  readonly loss: Objective<M, B, O>
  readonly optimizer: Optimizer
  /** What products are computed in (`autocast`). Default `f32`: what the parameters are. `f16` scales the loss. */
  readonly precision?: Precision | undefined
  /** Clips the norm of all gradients together. Default: not clipped. */
  readonly clipNorm?: number | undefined
  /** Takes the parameters in after each step. */
  readonly average?: ExponentialMovingAverage | undefined
  /** Takes the outcome of each batch in. */
  readonly metrics?: Metrics<B, O> | undefined
  /** Samples that go through the model at once; larger batches are cut. Default: all. */
  readonly microBatch?: number | undefined
  /** Default `stop`. */
  readonly nonFinite?: NonFinitePolicy | undefined
  /**
   * Whether the norm of all gradients is computed in every step, for logs and to find gradients that are not finite before
   * they reach a parameter. Without it only the loss is looked at, which costs nothing; with it updates wait for all
   * gradients. Default: where they are clipped, or where steps are to be skipped.
   */
  readonly gradientNorm?: boolean | undefined
  /** Is told that memory did not suffice and in how small pieces batches are cut from now on. */
  readonly onMicroBatch?: ((samples: number) => void) | undefined
}

/** What became of a step. */
export interface StepFigures {
  readonly loss: number
  /** Of all gradients together, before clipping; NaN where nobody looked. */
  readonly gradientNorm: number
  readonly lr: number
  /** Whether parameters were changed; false where loss or gradients are not finite. */
  readonly applied: boolean
}

/** A step on its way. */
export interface Submitted {
  readonly samples: number
  /** Once the device has done it. */
  readonly figures: Promise<StepFigures>
}

/** A part of a batch, from one sample up to another. */
interface Piece<B> {
  readonly batch: TensorFields<B>
  readonly start: number
  readonly end: number
}

/** Gradients and losses of the pieces so far, each times its weight. */
class Sums {
  readonly loss = new Cell(zeros([], { dtype: 'f64' }), { name: 'loss of the pieces' })
  readonly weight = new Cell(zeros([], { dtype: 'f64' }), { name: 'weight of the pieces' })
  private readonly gradients = new Map<Parameter, Cell>()

  of(parameter: Parameter): Cell {
    const found = this.gradients.get(parameter)
    if (!found) throw new ArgumentError(`train: ${parameter.state.label} became trainable in the middle of a step`)
    return found
  }

  /** Has a sum for each of them. */
  prepare(parameters: readonly Parameter[]): void {
    for (const parameter of parameters) {
      if (this.gradients.has(parameter)) continue
      const start = zeros(parameter.shape, { dtype: statisticOf(parameter.dtype) })
      this.gradients.set(parameter, new Cell(start, { name: `summed gradient of ${parameter.state.label}` }))
    }
  }

  dispose(): void {
    for (const cell of [this.loss, this.weight, ...this.gradients.values()]) cell.dispose()
  }
}

/**
 * Forward, backward, clipping, update and average of a model, compiled. A batch that does not fit into memory is cut into
 * pieces of half as many samples, again and again; the step is that of the whole batch (but for what layers take over a
 * batch, such as batch norm). Throws `ArgumentError` for options out of range.
 */
export class TrainingStep<M extends Module, B extends object, O extends Outcome = Outcome> {
  /** Samples that go through the model at once; undefined: all. */
  microBatch: number | undefined
  /** The loss scale of f16. */
  readonly scaler: LossScale | undefined
  private readonly policy: NonFinitePolicy
  private readonly looksAtGradients: boolean
  /** False once a step was not finite and the policy is to stop. */
  private readonly healthy: Cell<'bool'>
  private sums: Sums | undefined
  private readonly whole: Compiled<[TensorFields<B>], Tensor>
  private readonly piece: Compiled<[TensorFields<B>], []>
  private readonly lastPiece: Compiled<[TensorFields<B>], Tensor>

  constructor(
    private readonly model: M,
    private readonly options: TrainingStepOptions<M, B, O>,
  ) {
    const { precision = 'f32', clipNorm, microBatch, nonFinite = 'stop', loss } = options
    if (typeof loss !== 'function') throw new ArgumentError('train: loss must be a function of the model and a batch')
    oneOf('train', 'the precision', precision, ['f32', 'bf16', 'f16'])
    if (clipNorm !== undefined) numberIn('train', 'clipNorm', clipNorm, Number.MIN_VALUE)
    if (microBatch !== undefined) integerFrom('train', 'microBatch', microBatch, 1)
    this.policy = oneOf('train', 'nonFinite', nonFinite, ['stop', 'skip', 'ignore'])
    this.looksAtGradients = options.gradientNorm ?? (clipNorm !== undefined || nonFinite === 'skip')
    this.microBatch = microBatch
    this.scaler = precision === 'f16' ? new LossScale() : undefined
    this.healthy = new Cell(full([], 1, { dtype: 'bool' }) as Tensor<'bool'>, { name: 'whether training is finite' })
    this.whole = compile((batch: TensorFields<B>) => this.recordWhole(batch), { name: 'the training step' })
    this.piece = compile((batch: TensorFields<B>) => this.recordPiece(batch), { name: 'a part of the training step' })
    this.lastPiece = compile((batch: TensorFields<B>) => this.recordLast(batch), {
      name: 'the end of the training step',
    })
  }

  /**
   * One step over all samples of the batches. Resolves when the device has accepted it. Rejects with what the loss function
   * throws, and with `OutOfMemoryError` where not even one sample fits.
   */
  async run(...batches: readonly B[]): Promise<Submitted> {
    const inputs = batches.map((batch) => tensorFields(batch))
    const sizes = inputs.map(samplesOf)
    const samples = sizes.reduce((a, b) => a + b, 0)
    if (inputs.length === 1 && samples <= (this.microBatch ?? samples)) {
      try {
        return { samples, figures: figuresOf(await this.whole(inputs[0] as TensorFields<B>)) }
      } catch (error) {
        this.halve(samples, error)
      }
    }
    const pieces = inputs.map((batch, i): Piece<B> => ({ batch, start: 0, end: sizes[i] as number }))
    return { samples, figures: figuresOf(await this.runPieces(pieces)) }
  }

  private async runPieces(pending: Piece<B>[]): Promise<Tensor> {
    this.sums ??= new Sums()
    try {
      this.sums.prepare(this.trainable())
    } catch (error) {
      if (error instanceof OutOfMemoryError) throw insufficient('with the gradients kept between parts', error)
      throw error
    }
    for (;;) {
      const { batch, start, end } = pending[0] as Piece<B>
      const cut = Math.min(end, start + (this.microBatch ?? end))
      const rest = cut < end ? [{ batch, start: cut, end }, ...pending.slice(1)] : pending.slice(1)
      const part = cut - start === samplesOf(batch) ? batch : samplesBetween(batch, start, cut)
      try {
        if (rest.length === 0) return await this.lastPiece(part)
        await this.piece(part)
        pending = rest
      } catch (error) {
        // What was summed so far stays right: this piece has added nothing.
        this.halve(cut - start, error)
      } finally {
        if (part !== batch) disposeBatch(part)
      }
    }
  }

  /** From now on half of `samples` at once, where memory was what did not suffice; throws everything else. */
  private halve(samples: number, error: unknown): void {
    if (!(error instanceof OutOfMemoryError)) throw error
    if (samples === 1) throw insufficient('with a single sample at once', error)
    this.microBatch = Math.ceil(samples / 2)
    this.options.onMicroBatch?.(this.microBatch)
  }

  private trainable(): Parameter[] {
    return this.options.optimizer.parameters.filter(({ trainable }) => trainable)
  }

  /** Loss, weight and gradients of a batch, the loss scaled where there is a scale. */
  private record(batch: TensorFields<B>): { loss: Tensor; weight: Tensor; gradients: Gradients } {
    const { loss: objective, precision = 'f32', metrics = {} } = this.options
    const outcome = autocast(precision, () => outcomeOf(objective(this.model, batch)))
    const loss = outcome.loss
    const gradients = grad(this.scaler ? this.scaler.scale(loss) : loss, this.trainable())
    measure(metrics, outcome, batch)
    return { loss, weight: cast(weightOf(outcome, samplesOf(batch)), 'f64'), gradients }
  }

  private recordWhole(batch: TensorFields<B>): Tensor {
    return this.guarded(() => {
      const { loss, gradients } = this.record(batch)
      return [loss, gradients]
    })
  }

  private recordPiece(batch: TensorFields<B>): [] {
    const sums = this.sums as Sums
    const { loss, weight, gradients } = this.record(batch)
    assign([
      [sums.loss, add(sums.loss, weighted(loss, weight, sums.loss))],
      [sums.weight, add(sums.weight, weight)],
      ...[...gradients].map(([parameter, gradient]) => {
        const sum = sums.of(parameter as Parameter)
        return [sum, add(sum, weighted(gradient, weight, sum))] as const
      }),
    ])
    return []
  }

  private recordLast(batch: TensorFields<B>): Tensor {
    const sums = this.sums as Sums
    return this.guarded(() => {
      const { loss, weight, gradients } = this.record(batch)
      const total = add(sums.weight, weight)
      const mean = div(add(sums.loss, weighted(loss, weight, sums.loss)), total)
      const summed = gradients.map((gradient, parameter) => {
        const sum = sums.of(parameter as Parameter)
        const whole = add(sum, weighted(gradient, weight, sum))
        // Sums of halves could overflow as halves: those are divided before they are rounded.
        return sum.dtype === parameter.dtype ? whole : cast(mul(whole, cast(div(1, total), sum.dtype)), parameter.dtype)
      })
      const divided = [...summed].some(([parameter]) => sums.of(parameter as Parameter).dtype !== parameter.dtype)
      const own = [sums.loss, sums.weight, ...[...gradients].map(([parameter]) => sums.of(parameter as Parameter))]
      assign(own.map((cell) => [cell, zeros(cell.shape, { dtype: cell.dtype })]))
      return [mean, divided ? summed : new ScaledGradients(summed, div(1, total))]
    })
  }

  /** Takes the step that `body` gives the loss and the gradients of, as far as the policy lets it. */
  private guarded(body: () => readonly [Tensor, Gradients]): Tensor {
    const { optimizer, average, clipNorm } = this.options
    // What the model changes besides parameters must not be changed by a step that is not taken.
    const kept = [...this.model.buffers(), defaultGenerator().state].map(
      (cell) => [cell, new Tensor(cell.value)] as const,
    )
    const lr = optimizer.learningRate
    const [loss, raw] = body()
    const unscaled = this.scaler ? this.scaler.unscale(raw) : raw
    const clipped = clipNorm === undefined ? undefined : clipGradients(unscaled, { maxNorm: clipNorm })
    const norm = clipped?.norm ?? (this.looksAtGradients ? gradientNorm(unscaled) : full([], Number.NaN))
    let applies: Tensor<'bool'> = full([], 1, { dtype: 'bool' }) as Tensor<'bool'>
    if (this.policy === 'ignore') {
      optimizer.step(clipped ?? unscaled)
    } else {
      // With a loss scale, gradients that overflow are its own affair.
      const all = this.looksAtGradients && !this.scaler
      const finite = all ? logicalAnd(isFinite(loss), isFinite(norm)) : isFinite(loss)
      applies = (this.policy === 'stop' ? logicalAnd(this.healthy, finite) : finite) as Tensor<'bool'>
      if (this.policy === 'stop') this.healthy.assign(applies)
      const gradients = new ScaledGradients(clipped ?? unscaled, undefined, applies)
      applies = gradients.applies as Tensor<'bool'>
      optimizer.step(gradients)
      for (const [cell, before] of kept) {
        if (cell.value !== before.value) assign([[cell, where(applies, cell, before)]])
      }
    }
    average?.update()
    return packed([loss, norm, lr, applies])
  }

  /** Drops the sums of pieces. */
  dispose(): void {
    this.sums?.dispose()
    this.healthy.dispose()
  }
}

/** Scalars behind one another, f64; one fused program, as a step for each would cost a small model a hundredth of its time. */
function packed(scalars: readonly Tensor[]): Tensor {
  const position = arange(scalars.length)
  const values: readonly Tensor[] = scalars.map((scalar) => cast(scalar, 'f64'))
  return values.reduceRight((rest, value, i) => where(eq(position, i), value, rest))
}

/** A value times its weight, as its sum has it; nothing where the weight is 0, though the value may be NaN then. */
const weighted = (value: Tensor, weight: Tensor, sum: Tensor): Tensor =>
  where(gt(weight, 0), mul(cast(value, sum.dtype), cast(weight, sum.dtype)), 0)

const insufficient = (how: string, error: OutOfMemoryError): OutOfMemoryError =>
  new OutOfMemoryError(
    `train: the memory does not suffice for a step ${how}; take a smaller model, another optimizer or a 16-bit precision. ${error.message}`,
    { cause: error },
  )

async function figuresOf(figures: Tensor): Promise<StepFigures> {
  try {
    const [loss, gradientNorm, lr, applied] = (await figures.data()) as Float64Array
    return { loss: loss as number, gradientNorm: gradientNorm as number, lr: lr as number, applied: applied !== 0 }
  } finally {
    figures.dispose()
  }
}
