// The cross entropy of a linear layer's outputs, a part of the rows at a time: the logits are never there all at once.
import type { Value } from '../graph/node.js'
import { ArgumentError, ShapeError } from '../runtime/errors.js'
import { formatShape, sameShape, sizeOf } from '../schema/shape.js'
import { Tensor } from '../tensor.js'
import { floatOperand, indexOperand, integerFrom, oneOf, optionsOf, sameDType } from './arguments.js'
import { narrowed } from './autocast.js'
import { concat } from './concat.js'
import { ones } from './create.js'
import { type CrossEntropyOptions, crossEntropy } from './crossEntropy.js'
import { operand } from './define.js'
import { add, cast, div, ne } from './element.js'
import { customGradient, vjp } from './gradient.js'
import { repeated, reshaped } from './linear.js'
import { matmul } from './matmul.js'
import { statisticOf } from './norm.js'
import { sum } from './reduce.js'
import { slice, transpose } from './view.js'

/** Logits of a part, where nothing else is asked for: 128 MiB in bf16. */
const LOGITS_AT_ONCE = 2 ** 26

export interface LinearCrossEntropyOptions extends Omit<CrossEntropyOptions, 'axis' | 'reduction'> {
  /** Added to the logits, [V]. */
  readonly bias?: Tensor | undefined
  /** `mean` over the rows that are not ignored (default) or `sum`. */
  readonly reduction?: 'mean' | 'sum'
  /** Rows whose logits are there at once. Default: as many as have 2^26 logits. */
  readonly rows?: number
}

/**
 * crossEntropy(x weight^T + bias, targets) for x [...,C], weight [V,C] and class indices targets [...], with the logits
 * of `rows` rows in memory at a time instead of all. Each part's gradient is computed right after its loss and scaled by
 * what flows back (Hsu et al. 2024, Liger Kernel), so nothing is computed twice. Given in f32 (f64 for f64). Throws
 * `ShapeError`, `DTypeError` and `ArgumentError` where operands do not fit.
 */
export function linearCrossEntropy(
  x: Tensor,
  weight: Tensor,
  targets: Tensor,
  options: LinearCrossEntropyOptions = {},
): Tensor {
  const op = 'linearCrossEntropy'
  const { bias, reduction = 'mean', ignoreIndex = -100, labelSmoothing = 0, rows: asked } = optionsOf(op, options)
  oneOf(op, 'reduction', reduction, ['mean', 'sum'])
  const operands = [x, weight, ...(bias ? [bias] : [])].map((tensor) => narrowed(op, tensor))
  const values = operands.map((tensor) => floatOperand(op, tensor))
  sameDType(op, ['x', 'weight', 'bias'], values)
  const [{ dtype, shape }, { shape: matrix }, offset] = values as [Value, Value, Value | undefined]
  const [classes, width] = matrix as [number, number]
  if (shape.length === 0 || matrix.length !== 2 || shape.at(-1) !== width)
    throw new ShapeError(
      `${op}: x [...,C] takes a weight [V,C]; they are ${formatShape(shape)} and ${formatShape(matrix)}`,
    )
  if (offset && !sameShape(offset.shape, [classes]))
    throw new ShapeError(`${op}: ${classes} classes take a bias [${classes}], not ${formatShape(offset.shape)}`)
  const outer = shape.slice(0, -1)
  if (!sameShape(indexOperand(op, targets).shape, outer))
    throw new ShapeError(
      `${op}: x ${formatShape(shape)} takes targets ${formatShape(outer)}, not ${formatShape(targets.shape)}`,
    )
  if (classes === 0) throw new ShapeError(`${op}: a weight ${formatShape(matrix)} has no classes`)
  if (asked !== undefined) integerFrom(op, 'rows', asked, 1)
  const count = sizeOf(outer)
  if (count === 0) throw new ArgumentError(`${op}: x ${formatShape(shape)} has no rows`)
  const part = Math.min(count, asked ?? Math.max(1, Math.floor(LOGITS_AT_ONCE / classes)))

  const flat = reshaped(targets, [count])
  const wide = statisticOf(dtype)
  const kept = reduction === 'mean' ? cast(sum(ne(flat, ignoreIndex)), wide) : undefined
  const share = kept ? div(1, kept) : undefined
  const given = [reshaped(operands[0] as Tensor, [count, width]), ...operands.slice(1)]

  let slopes: readonly Tensor[] = []
  const total = customGradient(
    (...inputs: Tensor[]) => {
      // Values of their own: an input may be a frozen parameter, of which no gradient may be asked by name.
      const [rows, matrix, offset] = inputs.map((input) => new Tensor(operand(op, input)))
      const losses: Tensor[] = []
      const ofRows: Tensor[] = []
      let shared: readonly Tensor[] = []
      for (let start = 0; start < count; start += part) {
        const end = Math.min(count, start + part)
        const some = slice(rows as Tensor, [start, end])
        const products = matmul(some, transpose(matrix as Tensor))
        const logits = offset ? add(products, offset) : products
        const loss = crossEntropy(logits, slice(flat, [start, end]), { ignoreIndex, labelSmoothing, reduction: 'none' })
        losses.push(sum(loss))
        const weights = share ? repeated(reshaped(share, [1]), [end - start]) : ones([end - start], { dtype: wide })
        const own = [matrix as Tensor, ...(offset ? [offset] : [])]
        const found = vjp([loss], [weights], [some, ...own])
        ofRows.push(found.get(some))
        const sums = own.map((tensor) => cast(found.get(tensor), wide))
        shared = shared.length === 0 ? sums : sums.map((slope, i) => add(shared[i] as Tensor, slope))
      }
      slopes = [concat(ofRows), ...shared]
      const loss = losses.reduce((a, b) => add(a, b))
      return kept ? div(loss, kept) : loss
    },
    (dloss, inputs) => inputs.map((input, i) => cast(cast(slopes[i] as Tensor, wide).mul(dloss), input.dtype)),
  )
  return total(...given)
}
