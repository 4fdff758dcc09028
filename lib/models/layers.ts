// What the families share: heads of attention, masks, tied output layers.
import type { Parameter } from '../cell.js'
import { type Layer, Module } from '../nn/module.js'
import { scaledDotProductAttention } from '../ops/attention.js'
import { arange } from '../ops/create.js'
import { add, cast, div, eq, maximum, mul, ne, sqrt, where } from '../ops/element.js'
import { matmul } from '../ops/matmul.js'
import { sum } from '../ops/reduce.js'
import { permute, reshape, transpose, unsqueeze } from '../ops/view.js'
import { ShapeError } from '../runtime/errors.js'
import { formatShape, sameShape } from '../schema/shape.js'
import type { Tensor } from '../tensor.js'

/** [B,T,heads D] -> [B,heads,T,D], a view. */
export function headsOf(x: Tensor, heads: number): Tensor {
  const [batch, length] = x.shape as readonly [number, number, number]
  return permute(reshape(x, [batch, length, heads, -1]), [0, 2, 1, 3])
}

/** [B,heads,T,D] -> [B,T,heads D]. */
export function joinHeads(x: Tensor): Tensor {
  const [batch, , length] = x.shape as readonly [number, number, number, number]
  return reshape(permute(x, [0, 2, 1, 3]), [batch, length, -1])
}

export interface AttendOptions {
  readonly mask?: Tensor | undefined
  readonly causal?: boolean
  readonly dropout?: number
}

/** Attention of [B,T,heads D] on [B,S,heads D]: [B,T,heads D]. */
export const attend = (q: Tensor, k: Tensor, v: Tensor, heads: number, options: AttendOptions): Tensor =>
  joinHeads(scaledDotProductAttention(headsOf(q, heads), headsOf(k, heads), headsOf(v, heads), options))

export interface LayersOutput {
  /** [B,T,width], of the last layer. */
  readonly lastHiddenState: Tensor
  /** The embeddings, then what each layer gives: layers + 1 of [B,T,width], the last one after the last norm. */
  readonly hiddenStates: readonly Tensor[]
}

/** Layers one after the other, then the last norm where there is one. */
export function throughLayers(
  embedded: Tensor,
  layers: readonly ((x: Tensor) => Tensor)[],
  norm?: Layer,
): LayersOutput {
  let x = embedded
  const hiddenStates = [x]
  for (const layer of layers) hiddenStates.push((x = layer(x)))
  if (norm) hiddenStates[hiddenStates.length - 1] = x = norm.forward(x)
  return { lastHiddenState: x, hiddenStates }
}

/** hidden [B,T,C] at one place of each row, `at` [B]: [B,C]. */
export function hiddenAt(hidden: Tensor, at: Tensor): Tensor {
  const chosen = eq(unsqueeze(at, 1), arange(hidden.shape[1] as number))
  return sum(where(unsqueeze(chosen, -1), hidden, 0), { axes: 1 })
}

/** Checks tokens [B,T], T up to `most`; gives B and T. Throws `ShapeError`. */
export function checkTokens(op: string, tokens: Tensor, most: number): readonly [number, number] {
  const { shape } = tokens
  if (shape.length === 2 && (shape[1] as number) <= most) return shape as unknown as readonly [number, number]
  throw new ShapeError(`${op}: it takes tokens [B,T] with T up to ${most}, not ${formatShape(shape)}`)
}

/** A mask of tokens [B,T] (bool or numbers, other than 0: a real token) as one of keys, bool [B,1,1,T]. Throws `ShapeError`. */
export function keyMask(op: string, mask: Tensor | undefined, tokens: Tensor): Tensor | undefined {
  if (mask === undefined) return undefined
  if (!sameShape(mask.shape, tokens.shape))
    throw new ShapeError(
      `${op}: the mask ${formatShape(mask.shape)} has not the shape of the tokens, ${formatShape(tokens.shape)}`,
    )
  const [batch, length] = mask.shape as readonly [number, number]
  return reshape(mask.dtype === 'bool' ? mask : ne(mask, 0), [batch, 1, 1, length])
}

/** Rows of length 1; no row is divided by less than 1e-12. */
export function normalized(x: Tensor): Tensor {
  const wide = cast(x, 'f32')
  return cast(div(wide, maximum(sqrt(sum(mul(wide, wide), { axes: -1, keepDims: true })), 1e-12)), x.dtype)
}

/** An output layer whose weight [V,C] is that of an embedding: [...,C] -> [...,V]. */
export class TiedLinear extends Module {
  constructor(
    readonly weight: Parameter,
    readonly bias?: Parameter,
  ) {
    super()
  }

  forward(x: Tensor): Tensor {
    const y = matmul(x, transpose(this.weight))
    return this.bias ? cast(add(y, this.bias), y.dtype) : y
  }
}
