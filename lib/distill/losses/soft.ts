// Soft targets: the student's distribution over the classes drawn to the teacher's, softened (Hinton et al. 2015).
import { integerFrom, listOf, numberIn, oneOf, optionsOf } from '../../ops/arguments.js'
import { crossEntropy } from '../../ops/crossEntropy.js'
import { add, exp, log, maximum, mul, sub } from '../../ops/element.js'
import { sum } from '../../ops/reduce.js'
import { logSoftmax, softmax } from '../../ops/softmax.js'
import { ArgumentError } from '../../runtime/errors.js'
import type { Tensor } from '../../tensor.js'
import { meanOver, sameOperands } from './operands.js'

/** The least probability that a mixture is taken the logarithm of. */
const LEAST = 1e-30

/** One teacher's logits, or several teachers'. */
export type Logits = Tensor | readonly Tensor[]

export interface SoftTargetOptions {
  /** Both logits are divided by it; the loss is multiplied by its square, so that gradients keep their size. Default 4. */
  readonly temperature?: number
  /** How much each of several teachers counts; scaled to a sum of 1. Default: all the same. */
  readonly weights?: readonly number[]
  /** Whether several teachers' `probabilities` are averaged (default), or the `losses` towards each. */
  readonly combine?: 'probabilities' | 'losses'
  /** Bool or numbers, the shape of the logits without the classes: 0 where a place does not count. Default: all do. */
  readonly mask?: Tensor | undefined
}

/** The weights of `count` teachers, scaled to a sum of 1. Throws `ArgumentError`. */
export function teacherWeights(op: string, count: number, weights: readonly number[] | undefined): number[] {
  if (weights === undefined) return new Array<number>(count).fill(1 / count)
  const list = listOf(op, 'the weights', weights).map((weight) => numberIn(op, 'a weight', weight, 0))
  const total = list.reduce((a, b) => a + b, 0)
  if (list.length !== count || total === 0)
    throw new ArgumentError(
      `${op}: ${count} teachers take as many weights with a sum above 0, not [${list.join(', ')}]`,
    )
  return list.map((weight) => weight / total)
}

/** sum_c p (log p - log q) over the last axis. */
const divergenceOf = (logP: Tensor, logQ: Tensor): Tensor => sum(mul(exp(logP), sub(logP, logQ)), { axes: -1 })

/**
 * T^2 KL(softmax(teacher / T) || softmax(student / T)), the mean over all places; logits [...,C] of one shape (Hinton,
 * Vinyals, Dean 2015, "Distilling the Knowledge in a Neural Network"). A list is several teachers. Gradients reach the
 * student only. Given in f32 (f64 for f64). Throws `ShapeError`, `DTypeError`, and `ArgumentError` for options out of range.
 */
export function softTargets(student: Tensor, teacher: Logits, options: SoftTargetOptions = {}): Tensor {
  const op = 'softTargets'
  const { temperature = 4, combine = 'probabilities', mask, weights } = optionsOf(op, options)
  numberIn(op, 'the temperature', temperature, Number.MIN_VALUE)
  oneOf(op, 'combine', combine, ['probabilities', 'losses'])
  const teachers = Array.isArray(teacher) ? (teacher as readonly Tensor[]) : [teacher as Tensor]
  integerFrom(op, 'the number of teachers', teachers.length, 1)
  const shares = teacherWeights(op, teachers.length, weights)
  const pairs = teachers.map((one) => sameOperands(op, student, one).map((x) => mul(x, 1 / temperature)))
  const predicted = logSoftmax((pairs[0] as Tensor[])[0] as Tensor)
  const logs = pairs.map(([, wanted]) => logSoftmax(wanted as Tensor))
  const weighted = (values: readonly Tensor[]): Tensor =>
    values.map((value, i) => mul(value, shares[i] as number)).reduce((a, b) => add(a, b))
  const mixed = logs.length === 1 || combine === 'losses'
  const losses = mixed
    ? weighted(logs.map((wanted) => divergenceOf(wanted, predicted)))
    : divergenceOf(log(maximum(weighted(logs.map(exp)), LEAST)), predicted)
  return mul(meanOver(op, losses, mask), temperature ** 2)
}

export interface DistillationLossOptions extends SoftTargetOptions {
  /** The share of the hard labels, from 0 to 1; the rest is that of the soft targets. Default 0.1. */
  readonly hardShare?: number
}

/**
 * `hardShare` cross entropy with the labels + (1 - `hardShare`) soft targets: student logits [N,C], labels [N] (i32 or
 * i64). Otherwise as `softTargets`.
 */
export function distillationLoss(
  student: Tensor,
  teacher: Logits,
  labels: Tensor,
  options: DistillationLossOptions = {},
): Tensor {
  const op = 'distillationLoss'
  const { hardShare = 0.1, ...soft } = optionsOf(op, options)
  numberIn(op, 'hardShare', hardShare, 0, 1)
  const kept = mul(softTargets(student, teacher, soft), 1 - hardShare)
  return hardShare === 0 ? kept : add(mul(crossEntropy(student, labels), hardShare), kept)
}

export interface DivergenceOptions {
  /**
   * `forward`: KL(teacher || student), which covers all that the teacher does; `reverse`: KL(student || teacher), which
   * keeps to what it does most; `jensenShannon`: between them. Default `forward`.
   */
  readonly kind?: 'forward' | 'reverse' | 'jensenShannon'
  /** Of `jensenShannon`: the teacher's share of the mixture, between 0 and 1. Default 0.5. */
  readonly beta?: number
  /** Both logits are divided by it. Default 1. */
  readonly temperature?: number
  readonly mask?: Tensor | undefined
}

/**
 * How far the student's distribution of the next token is from the teacher's, the mean over all places: logits [...,C].
 * With M = beta P + (1 - beta) Q of teacher P and student Q, `jensenShannon` is beta KL(P || M) + (1 - beta) KL(Q || M)
 * (Agarwal et al. 2024, "On-Policy Distillation of Language Models", section 2). Errors as `softTargets`.
 */
export function divergence(student: Tensor, teacher: Tensor, options: DivergenceOptions = {}): Tensor {
  const op = 'divergence'
  const { kind = 'forward', beta = 0.5, temperature = 1, mask } = optionsOf(op, options)
  oneOf(op, 'the kind', kind, ['forward', 'reverse', 'jensenShannon'])
  numberIn(op, 'the temperature', temperature, Number.MIN_VALUE)
  if (!(numberIn(op, 'beta', beta, 0, 1) > 0 && beta < 1))
    throw new ArgumentError(`${op}: beta stands between 0 and 1; for the ends say kind: 'forward' or 'reverse'`)
  const [x, y] = sameOperands(op, student, teacher).map((logits) => mul(logits, 1 / temperature)) as [Tensor, Tensor]
  const [q, p] = [logSoftmax(x), logSoftmax(y)]
  if (kind === 'forward') return meanOver(op, divergenceOf(p, q), mask)
  if (kind === 'reverse') return meanOver(op, divergenceOf(q, p), mask)
  const mixture = log(maximum(add(mul(softmax(y), beta), mul(softmax(x), 1 - beta)), LEAST))
  const losses = add(mul(divergenceOf(p, mixture), beta), mul(divergenceOf(q, mixture), 1 - beta))
  return meanOver(op, losses, mask)
}
