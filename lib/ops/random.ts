// Random draws: Philox4x32-10 keyed by a generator's cell (seed, counter), and what is made of uniforms and normals.
import { Cell } from '../cell.js'
import { apply, type Value } from '../graph/node.js'
import type { Op } from '../graph/op.js'
import { currentTrace, recording, type Trace } from '../graph/trace.js'
import { type Device, defaultDevice } from '../runtime/device.js'
import { ArgumentError, DTypeError, ShapeError, TraceError } from '../runtime/errors.js'
import { describe } from '../schema/describe.js'
import { type DType, type FloatDType, isFloat } from '../schema/dtype.js'
import { formatShape, type Shape, sizeOf } from '../schema/shape.js'
import { loadInto, readState, type StateDict } from '../state.js'
import { checkShape, Tensor, tensor } from '../tensor.js'
import { floatOperand, numberIn, optionsOf } from './arguments.js'
import { add, cast, iota, log, lt, maximum, mul, neg, sub, where } from './element.js'
import { argmax } from './gather.js'
import { logSoftmax } from './softmax.js'
import { broadcastTo, slice } from './view.js'

type Distribution = 'uniform' | 'normal'

/** Draws a whole shape; the operands are the two words of the state and the row-major position of each element. */
const drawOp = (opcode: Distribution): Op => ({
  name: opcode,
  kind: 'element',
  opcode,
  params: {},
  infer: ([, , index], params) => [{ dtype: params['dtype'] as DType, shape: (index as Value).shape }],
  gradient: undefined,
  unique: true,
})

const DRAWS = { uniform: drawOp('uniform'), normal: drawOp('normal') }

/** Elements a 128-bit block of Philox gives: four of 32 bits, or two of 64. */
const PER_BLOCK = { f32: 4, f64: 2 }

/** Where a draw starts: a generator's state, and the blocks behind its counter. */
export interface StreamPlace {
  readonly state: Tensor
  readonly offset: number
}

/**
 * A stream of random numbers: a seed and a counter that every draw moves on, in a cell, so that draws work inside
 * compiled functions and can be saved and resumed. The same seed gives the same numbers on every device.
 */
export class Generator {
  /** @internal [seed, counter], i64. */
  readonly state: Cell<'i64'>
  /** Blocks drawn so far in the trace being recorded: where its next draw starts, from the counter at its start. */
  private readonly drawn = new WeakMap<Trace, number>()

  /** `seed`: an integer from 0 to 2^53 - 1, or a bigint of 64 bits. It draws on `device`, by default the default one. */
  constructor(seed: number | bigint = 0, options: { readonly device?: Device | string } = {}) {
    const words = stateOf(seed)
    // A generator may be first used inside a compiled function; its cell is made outside of it.
    this.state = recording(
      undefined,
      () => new Cell(tensor(words, { ...options, dtype: 'i64' }), { name: 'random generator' }),
    )
  }

  /** Starts again from `seed`. Throws inside a compiled function, whose draws are at fixed places of the stream. */
  seed(seed: number | bigint): this {
    if (currentTrace())
      throw new TraceError('seed: it can not be set inside a compiled function; set it before the call')
    this.state.write(stateOf(seed))
    return this
  }

  /** Seed and position in its stream, for a checkpoint. */
  stateDict(): Promise<StateDict> {
    return readState([['state', this.state]])
  }

  /** Goes on where the state was taken. Throws `StateDictError` where it is none of a generator. */
  loadStateDict(state: StateDict): void {
    loadInto([['state', this.state]], state, true)
  }

  /** @internal A draw of `shape`, uniform in [0, 1) or standard normal. */
  draw(distribution: Distribution, shape: Shape, dtype: 'f32' | 'f64'): Tensor {
    return drawAt(this.reserve(sizeOf(shape), dtype), distribution, shape, dtype)
  }

  /** @internal Takes what a draw of `size` elements needs out of the stream, and tells where that is. */
  reserve(size: number, dtype: 'f32' | 'f64'): StreamPlace {
    const blocks = Math.ceil(size / PER_BLOCK[dtype])
    const trace = currentTrace()
    const present = this.state.value
    const offset = trace ? (this.drawn.get(trace) ?? 0) : 0
    // Inside a trace every draw counts from the state the run starts with.
    const state = new Tensor(trace?.reads.get(this.state.state) ?? present)
    this.state.assign(add(state, mul(iota([2], 'i64'), offset + blocks)) as Tensor<'i64'>)
    if (trace) this.drawn.set(trace, offset + blocks)
    return { state, offset }
  }
}

/** @internal What is drawn at a place of a stream: the same whenever it is drawn again. */
export function drawAt(
  { state, offset }: StreamPlace,
  distribution: Distribution,
  shape: Shape,
  dtype: 'f32' | 'f64',
): Tensor {
  const words = [0, 1].map((word) => broadcastTo(slice(state, word), shape).value)
  return new Tensor(apply(DRAWS[distribution], { offset, dtype }, [...words, iota(shape, 'i64').value]).output)
}

function stateOf(seed: number | bigint): BigInt64Array {
  const wide = typeof seed === 'bigint' || Number.isSafeInteger(seed) ? BigInt(seed) : -1n
  if (wide < 0n || wide >= 2n ** 64n) {
    throw new ArgumentError(
      `seed: it must be an integer from 0 to 2^53 - 1, or a bigint below 2^64, not ${typeof seed === 'number' ? seed : describe(seed)}`,
    )
  }
  return BigInt64Array.of(BigInt.asIntN(64, wide), 0n)
}

const shared = new Map<Device, Generator>()
let sharedSeed: number | bigint = 0

/** The generator of all draws on a device (by default the default one) that are not given one. It starts from seed 0. */
export function defaultGenerator(device: Device = defaultDevice()): Generator {
  let generator = shared.get(device)
  if (!generator) shared.set(device, (generator = new Generator(sharedSeed, { device })))
  return generator
}

/** Starts every device's default generator again from `seed`: an integer from 0 to 2^53 - 1, or a bigint below 2^64. */
export function seed(value: number | bigint): void {
  defaultGenerator()
  for (const generator of shared.values()) generator.seed(value)
  sharedSeed = value
}

export interface RandomOptions {
  /** Default f32. f16 and bf16 are drawn in f32 and rounded. */
  readonly dtype?: FloatDType
  /** Default: the shared one that `seed` sets. */
  readonly generator?: Generator
}

/** @internal The generator that the options give, or that of the device. Throws `ArgumentError` for anything else. */
export function generatorOf(op: string, options: { generator?: Generator }, device?: Device): Generator {
  const { generator = defaultGenerator(device) } = options
  if (generator instanceof Generator) return generator
  throw new ArgumentError(`${op}: the generator is ${describe(generator)}, not a Generator`)
}

function draw(op: string, distribution: Distribution, shape: Shape, options: RandomOptions, device?: Device): Tensor {
  const given = optionsOf(op, options)
  const { dtype = 'f32' } = given
  checkShape(op, shape)
  if (!isFloat(dtype))
    throw new DTypeError(
      `${op}: it draws floats, not ${typeof dtype === 'string' ? dtype : describe(dtype)}; cast the result`,
    )
  return cast(generatorOf(op, given, device).draw(distribution, shape, dtype === 'f64' ? 'f64' : 'f32'), dtype)
}

/** Uniform draws in [low, high), default [0, 1). Throws `ShapeError`, `DTypeError`, and `ArgumentError` unless low <= high. */
export function randomUniform(
  shape: Shape,
  options: RandomOptions & { readonly low?: number; readonly high?: number } = {},
): Tensor {
  const { low = 0, high = 1 } = optionsOf('randomUniform', options)
  numberIn('randomUniform', 'low', low, Number.NEGATIVE_INFINITY)
  numberIn('randomUniform', 'high', high, low)
  const unit = draw('randomUniform', 'uniform', shape, options)
  return low === 0 && high === 1 ? unit : add(mul(unit, high - low), low)
}

/** Normal draws (Box and Muller 1958) with the given mean (default 0) and standard deviation (default 1, from 0 up). */
export function randomNormal(
  shape: Shape,
  options: RandomOptions & { readonly mean?: number; readonly std?: number } = {},
): Tensor {
  const { mean = 0, std = 1 } = optionsOf('randomNormal', options)
  numberIn('randomNormal', 'mean', mean, Number.NEGATIVE_INFINITY)
  numberIn('randomNormal', 'std', std, 0)
  const standard = draw('randomNormal', 'normal', shape, options)
  return mean === 0 && std === 1 ? standard : add(mul(standard, std), mean)
}

/** True with probability `p`: a number for a whole shape, or a tensor of probabilities for its own shape. */
export function bernoulli(p: Tensor, options?: Omit<RandomOptions, 'dtype'>): Tensor<'bool'>
export function bernoulli(p: number, shape: Shape, options?: Omit<RandomOptions, 'dtype'>): Tensor<'bool'>
export function bernoulli(
  p: number | Tensor,
  second: Shape | Omit<RandomOptions, 'dtype'> = {},
  third: Omit<RandomOptions, 'dtype'> = {},
): Tensor<'bool'> {
  if (typeof p === 'number') {
    numberIn('bernoulli', 'p', p, 0, 1)
    return lt(draw('bernoulli', 'uniform', second as Shape, third), p) as Tensor<'bool'>
  }
  const { shape, dtype } = floatOperand('bernoulli', p)
  const wide = dtype === 'f64' ? 'f64' : 'f32'
  return lt(
    draw('bernoulli', 'uniform', shape, { ...optionsOf('bernoulli', second as RandomOptions), dtype: wide }, p.device),
    cast(p, wide),
  ) as Tensor<'bool'>
}

/**
 * One index (i32) per row, drawn with the probabilities softmax(logits) along the last axis: logits [..., C] -> [...].
 * By the largest of logits plus Gumbel noise (Maddison et al. 2014). Throws `DTypeError`, `ShapeError`.
 */
export function categorical(logits: Tensor, options: Omit<RandomOptions, 'dtype'> = {}): Tensor<'i32'> {
  const { shape, dtype } = floatOperand('categorical', logits)
  if (shape.length === 0 || shape.at(-1) === 0) {
    throw new ShapeError(`categorical: logits ${formatShape(shape)} have no classes along a last axis`)
  }
  const wide = dtype === 'f64' ? 'f64' : 'f32'
  // -log(1 - u) is exponential and 0 once in 2^24 draws, whose noise would be infinite: kept above half of that.
  const exponential = neg(
    log(
      sub(
        1,
        draw('categorical', 'uniform', shape, { ...optionsOf('categorical', options), dtype: wide }, logits.device),
      ),
    ),
  )
  const noise = neg(log(maximum(exponential, wide === 'f64' ? 2 ** -53 : 2 ** -25)))
  return argmax(add(logSoftmax(cast(logits, wide)), noise), { axis: -1 })
}

export interface DropoutOptions {
  /** Where false, `x` is given back. Default true. */
  readonly training?: boolean
  readonly generator?: Generator
}

/**
 * Zeros with probability `p`, the others divided by 1 - p (Srivastava et al. 2014); of the shape of `x`. Throws
 * `ArgumentError` unless p is in [0, 1], `DTypeError` for other than floats.
 */
export function dropout<D extends DType, S extends Shape>(
  x: Tensor<D, S>,
  p = 0.5,
  options: DropoutOptions = {},
): Tensor<D, S> {
  const { shape } = floatOperand('dropout', x)
  numberIn('dropout', 'p', p, 0, 1)
  if (optionsOf('dropout', options).training === false || p === 0) return x
  if (p === 1) return mul(x, 0) as Tensor<D, S>
  const { generator } = options
  const unit = draw('dropout', 'uniform', shape, generator ? { generator } : {}, x.device)
  return dropBelow(x, unit, p)
}

/** @internal `x / (1 - p)`, but 0 where the uniform drawn for it is below `p`. */
export function dropBelow<D extends DType, S extends Shape>(x: Tensor<D, S>, unit: Tensor, p: number): Tensor<D, S> {
  return where(lt(unit, p), 0, mul(x, 1 / (1 - p))) as Tensor<D, S>
}
