// Relations among the samples of a batch: similarities (Tung, Mori 2019), distances and angles (Park et al. 2019).

import { arange } from '../../ops/create.js'
import { add, cast, div, eq, logicalNot, maximum, mul, sqrt, sub, where } from '../../ops/element.js'
import { huberLoss } from '../../ops/loss.js'
import { matmul } from '../../ops/matmul.js'
import { mean, sum } from '../../ops/reduce.js'
import { stopGradient, transpose, unsqueeze } from '../../ops/view.js'
import type { Tensor } from '../../tensor.js'
import { rowOperands, TINY, unit } from './operands.js'

/**
 * Similarity-preserving distillation (Tung, Mori 2019, equation 4): |G_T - G_S|^2 / B^2, where G are the inner products of
 * the flattened activations of the batch, rows scaled to length 1. Activations [B,...] of any two layers. Gradients reach
 * the student only.
 */
export function similarityPreserving(student: Tensor, teacher: Tensor): Tensor {
  const [x, y] = rowOperands('similarityPreserving', student, teacher)
  const difference = sub(unit(matmul(x, transpose(x))), unit(matmul(y, transpose(y))))
  return mean(mul(difference, difference))
}

/** Whether two positions of [B,B] are one sample. */
const diagonal = (samples: number): Tensor => eq(unsqueeze(arange(samples), 1), arange(samples))

/** Euclidean distances of all pairs of rows [B,B], divided by the mean of those between different rows. */
function distances(x: Tensor): Tensor {
  const samples = x.shape[0] as number
  const squares = sum(mul(x, x), { axes: -1 })
  const squared = sub(add(unsqueeze(squares, 1), squares), mul(matmul(x, transpose(x)), 2))
  const same = diagonal(samples)
  // The root has no derivative at 0, where a row stands against itself.
  const apart = where(same, 0, sqrt(where(same, 1, maximum(squared, TINY))))
  return div(apart, maximum(div(sum(apart), Math.max(1, samples * (samples - 1))), TINY))
}

/**
 * Relational distillation by distances (RKD-D, Park et al. 2019, equations 5 to 7): Huber's loss between the distances of all
 * pairs of rows, each divided by its mean. Embeddings [B,...], whose widths may differ. Gradients reach the student only.
 */
export function relationalDistances(student: Tensor, teacher: Tensor): Tensor {
  const [x, y] = rowOperands('relationalDistances', student, teacher)
  return huberLoss(distances(x), stopGradient(distances(y)))
}

/** Cosines of the angles at row j between rows i and k, [B,B,B]. */
function angles(x: Tensor): Tensor {
  const directions = unit(sub(unsqueeze(x, 0), unsqueeze(x, 1)))
  const samples = x.shape[0] as number
  const apart = cast(logicalNot(diagonal(samples)), x.dtype)
  const kept = mul(directions, unsqueeze(apart, 2))
  return matmul(kept, transpose(kept))
}

/**
 * Relational distillation by angles (RKD-A, Park et al. 2019, equations 8 and 9): Huber's loss between the cosines of the
 * angles of all triples of rows. Needs memory for B^2 rows. Otherwise as `relationalDistances`.
 */
export function relationalAngles(student: Tensor, teacher: Tensor): Tensor {
  const [x, y] = rowOperands('relationalAngles', student, teacher)
  return huberLoss(angles(x), stopGradient(angles(y)))
}
