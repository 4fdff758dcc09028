// pad: puts elements around a tensor.
import { ArgumentError, ShapeError } from '../runtime/errors.js'
import type { DType } from '../schema/dtype.js'
import { formatShape } from '../schema/shape.js'
import type { Tensor } from '../tensor.js'
import { listOf } from './arguments.js'
import { operand } from './define.js'
import { padded } from './linear.js'

/** `x` with `widths[axis] = [before, after]` elements of `value` (default 0) around it along each axis. */
export function pad<D extends DType>(
  x: Tensor<D>,
  widths: readonly (readonly [number, number])[],
  value = 0,
): Tensor<D> {
  const { shape } = operand('pad', x)
  if (listOf('pad', 'the widths', widths).length !== shape.length) {
    throw new ShapeError(
      `pad: ${widths.length} widths were given for the ${shape.length} axes of ${formatShape(shape)}`,
    )
  }
  for (const width of widths.flat()) {
    if (!Number.isInteger(width) || width < 0)
      throw new ArgumentError(`pad: the width ${width} is no integer from 0 up`)
  }
  return padded(
    x,
    widths.map(([low]) => low),
    widths.map(([, high]) => high),
    value,
  ) as Tensor<D>
}
