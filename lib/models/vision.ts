// What models of images share: checked inputs, their outputs, batch norm as PyTorch keeps it, stochastic depth.
import { Cell } from '../cell.js'
import { BatchNorm2d as Norm } from '../nn/norm.js'
import { ones, zeros } from '../ops/create.js'
import { add, cast, mul } from '../ops/element.js'
import { dropout } from '../ops/random.js'
import { mean } from '../ops/reduce.js'
import { ShapeError } from '../runtime/errors.js'
import { isFloat } from '../schema/dtype.js'
import { formatShape } from '../schema/shape.js'
import type { Tensor } from '../tensor.js'

export interface ImageOutput {
  /** [B,T,width] of patches, or [B,C,H,W]. */
  readonly lastHiddenState: Tensor
  /** [B,width] of the image; undefined of a model without pooler. */
  readonly poolerOutput: Tensor | undefined
  /** The embeddings, then what each layer or stage gives. */
  readonly hiddenStates: readonly Tensor[]
}

/** Images [B,C,H,W], checked, in the dtype of the weights [O,C,...] that they meet first. Throws `ShapeError`. */
export function imagesFor(op: string, images: Tensor, weight: Tensor, size?: readonly [number, number]): Tensor {
  const { shape } = images
  const channels = weight.shape[1]
  const fits = shape.length === 4 && shape[1] === channels
  if (fits && (!size || (shape[2] === size[0] && shape[3] === size[1])))
    return isFloat(images.dtype) ? cast(images, weight.dtype) : images
  const expected = size ? `[B,${channels},${size[0]},${size[1]}]` : `[B,${channels},H,W]`
  throw new ShapeError(`${op}: it takes images ${expected}, not ${formatShape(shape)}`)
}

/** The mean over height and width: [B,C,H,W] -> [B,C]. */
export const spatialMean = (x: Tensor): Tensor => mean(x, { axes: [2, 3] })

/** Batch norm that counts its batches, as PyTorch's does. */
export class BatchNorm2d extends Norm {
  readonly batchCount: Cell = new Cell(zeros([], { dtype: 'i64' }), { name: 'count of batches' })

  override forward(x: Tensor): Tensor {
    if (this.training) this.batchCount.assign(add(this.batchCount, 1))
    return super.forward(x)
  }
}

/** Stochastic depth (Huang et al. 2016): while training, a row's branch is 0 with probability `p`, else divided by 1 - p. */
export const dropPath = (x: Tensor, p: number, training: boolean): Tensor =>
  training && p > 0
    ? mul(
        x,
        dropout(ones([x.shape[0] as number, ...x.shape.slice(1).map(() => 1)], { dtype: x.dtype }), p, { training }),
      )
    : x
