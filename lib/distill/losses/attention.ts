// Where a network looks: attention maps of activations (Zagoruyko, Komodakis 2017) and relations of queries, keys and values (MiniLM).
import { integerFrom, optionsOf } from '../../ops/arguments.js'
import { add, mul, ne, sub, where } from '../../ops/element.js'
import { matmul } from '../../ops/matmul.js'
import { mean, sum } from '../../ops/reduce.js'
import { logSoftmax, softmax } from '../../ops/softmax.js'
import { permute, reshape, transpose } from '../../ops/view.js'
import { ArgumentError, ShapeError } from '../../runtime/errors.js'
import { formatShape, sameShape } from '../../schema/shape.js'
import type { Tensor } from '../../tensor.js'
import { meanOver, operands, unit } from './operands.js'

/** [N,C,...] -> [N,places], each row of length 1: the mean of squares over the channels. */
const mapOf = (x: Tensor): Tensor => unit(reshape(mean(mul(x, x), { axes: 1 }), [x.shape[0] as number, -1]))

/**
 * The mean squared difference of the attention maps of two activations [N,C,...]: squares averaged over the channels,
 * scaled to length 1 (Zagoruyko, Komodakis 2017, equation 2, as its authors' code averages it). Channels may differ in
 * number, places not. Gradients reach the student only.
 */
export function attentionTransfer(student: Tensor, teacher: Tensor): Tensor {
  const op = 'attentionTransfer'
  const [x, y] = operands(op, student, teacher)
  const places = (shape: readonly number[]): number[] => [shape[0] as number, ...shape.slice(2)]
  if (x.rank < 3 || !sameShape(places(x.shape), places(y.shape)))
    throw new ShapeError(
      `${op}: it takes activations [N,C,...] of the same places, not ${formatShape(student.shape)} and ${formatShape(teacher.shape)}`,
    )
  const difference = sub(mapOf(x), mapOf(y))
  return mean(mul(difference, difference))
}

export interface RelationOptions {
  /** Relation heads, into which both widths are split. Default 12. */
  readonly heads?: number
  /** [B,T], bool or numbers: 0 where a token only fills up its row. Default: all count. */
  readonly mask?: Tensor | undefined
}

/** [B,T,width] -> the scores of each token for each other, scaled: [B,heads,T,T]. */
function scores(op: string, x: Tensor, heads: number, mask: Tensor | undefined): Tensor {
  const [batch, length, width] = x.shape as readonly [number, number, number]
  if (width % heads !== 0) throw new ArgumentError(`${op}: ${heads} relation heads do not divide the width ${width}`)
  const parts = permute(reshape(x, [batch, length, heads, width / heads]), [0, 2, 1, 3])
  const raw = mul(matmul(parts, transpose(parts)), 1 / Math.sqrt(width / heads))
  return mask === undefined ? raw : where(reshape(ne(mask, 0), [batch, 1, 1, length]), raw, -1e9)
}

/**
 * Of queries, keys or values [B,T,width]: KL(teacher || student) of softmax(x x^T / sqrt(d)) in each relation head, the mean
 * over heads and tokens (Wang et al. 2021, MiniLMv2, equations 2 to 4). Widths and numbers of attention heads may differ.
 * Attention maps themselves are never materialised; `attentionInputs` gives what this takes. Gradients reach the student only.
 */
export function relationTransfer(student: Tensor, teacher: Tensor, options: RelationOptions = {}): Tensor {
  const op = 'relationTransfer'
  const { heads = 12, mask } = optionsOf(op, options)
  integerFrom(op, 'heads', heads, 1)
  const [x, y] = operands(op, student, teacher)
  if (x.rank !== 3 || y.rank !== 3 || !sameShape(x.shape.slice(0, 2), y.shape.slice(0, 2)))
    throw new ShapeError(
      `${op}: it takes [B,T,width] of the same tokens, not ${formatShape(student.shape)} and ${formatShape(teacher.shape)}`,
    )
  const [predicted, wanted] = [scores(op, x, heads, mask), scores(op, y, heads, mask)]
  const each = sum(mul(softmax(wanted), sub(logSoftmax(wanted), logSoftmax(predicted))), { axes: -1 })
  const rows = mean(each, { axes: 1 })
  return meanOver(op, rows, mask)
}

/** The sum of `relationTransfer` over queries, keys and values, or whichever both lists hold. */
export function relationsTransfer(
  student: readonly Tensor[],
  teacher: readonly Tensor[],
  options: RelationOptions = {},
): Tensor {
  const op = 'relationsTransfer'
  if (student.length !== teacher.length || student.length === 0)
    throw new ArgumentError(
      `${op}: it takes as many of the student as of the teacher, not ${student.length} and ${teacher.length}`,
    )
  return student.map((one, i) => relationTransfer(one, teacher[i] as Tensor, options)).reduce((a, b) => add(a, b))
}
