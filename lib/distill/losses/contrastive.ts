// Contrastive distillation: a student's embedding tells its own sample's teacher embedding from those of other samples.
import { integerFrom, numberIn, optionsOf } from '../../ops/arguments.js'
import { concat } from '../../ops/concat.js'
import { arange } from '../../ops/create.js'
import { crossEntropy } from '../../ops/crossEntropy.js'
import { abs, add, cast, div, eq, exp, log1p, maximum, mul, neg, sub, where } from '../../ops/element.js'
import { matmul } from '../../ops/matmul.js'
import { sum } from '../../ops/reduce.js'
import { stopGradient, transpose, unsqueeze } from '../../ops/view.js'
import { ShapeError } from '../../runtime/errors.js'
import { formatShape } from '../../schema/shape.js'
import type { Tensor } from '../../tensor.js'
import { rowOperands, unit } from './operands.js'

export interface ContrastiveOptions {
  /** Cosines are divided by it. Default 0.07. */
  readonly temperature?: number
  /** `[K,width]`: the teacher's embeddings of other samples, told apart from as well. Default: those of the batch alone. */
  readonly negatives?: Tensor
}

/** Cosines of each student row with each teacher row, over the temperature: [B,B+K]. */
function cosines(
  op: string,
  student: Tensor,
  teacher: Tensor,
  { temperature = 0.07, negatives }: ContrastiveOptions,
): Tensor {
  numberIn(op, 'the temperature', temperature, Number.MIN_VALUE)
  const [x, y] = rowOperands(op, student, teacher)
  const others = negatives === undefined ? y : concat([y, stopGradient(cast(negatives, y.dtype))])
  if (x.shape[1] !== others.shape[1])
    throw new ShapeError(
      `${op}: embeddings of one width are compared, not ${formatShape(x.shape)} and ${formatShape(y.shape)}; put a Linear behind the student's, and train it with the student`,
    )
  return mul(matmul(unit(x), transpose(unit(others))), 1 / temperature)
}

/**
 * InfoNCE (van den Oord et al. 2018): -log of the softmax, over the teacher's embeddings of all samples, at the student's own
 * sample. Embeddings [B,width]. Gradients reach the student only.
 */
export function contrastive(student: Tensor, teacher: Tensor, options: ContrastiveOptions = {}): Tensor {
  const op = 'contrastive'
  const similarities = cosines(op, student, teacher, optionsOf(op, options))
  return crossEntropy(similarities, arange(student.shape[0] as number))
}

/** log(1 + e^x), without overflow. */
const softplus = (x: Tensor): Tensor => add(log1p(exp(neg(abs(x)))), maximum(x, 0))

/**
 * Contrastive representation distillation (CRD, Tian et al. 2020, equations 10, 18 and 19): a critic h = e^s / (e^s + N / M), s the
 * cosine over the temperature, N the negatives of each sample, M the `samples` of the data, learns which pairs are of one
 * sample: the mean of -log h of its own pair - the sum of log(1 - h) of the others. Negatives are those of the batch and
 * `negatives`. Otherwise as `contrastive`.
 */
export function contrastiveRepresentation(
  student: Tensor,
  teacher: Tensor,
  options: ContrastiveOptions & { readonly samples: number },
): Tensor {
  const op = 'contrastiveRepresentation'
  const { samples } = optionsOf(op, options)
  integerFrom(op, 'samples', samples, 1)
  const similarities = cosines(op, student, teacher, options)
  const [rows, columns] = similarities.shape as readonly [number, number]
  // log(h / (1 - h)) = s - log(N / M).
  const odds = sub(similarities, Math.log(Math.max(1, columns - 1) / samples))
  const own = eq(unsqueeze(arange(rows), 1), arange(columns))
  return div(sum(where(own, softplus(neg(odds)), softplus(odds))), rows)
}
