// What a plan costs, from the shapes of its steps: arithmetic of what does most of it, and bytes that are moved.
import { bytesOf } from '../schema/dtype.js'
import { type Shape, sizeOf } from '../schema/shape.js'
import type { LoweredStep, Stored } from './place.js'

/** What a plan's steps do, once. */
export interface PlanWork {
  /** Floating-point operations of products, convolutions and attention, a multiply-add counting as two. */
  readonly flops: number
  /** Bytes that all steps read and write. */
  readonly bytes: number
  /** Steps. */
  readonly steps: number
}

const shapeOf = (operands: readonly Stored[], position: number): Shape => (operands[position] as Stored).shape
const bytesIn = (operands: readonly Stored[]): number =>
  operands.reduce((sum, { shape, dtype }) => sum + sizeOf(shape) * bytesOf(dtype), 0)

/** Products in attention, as multiples of queries times keys times a head's width: of q and k, and of v. */
const ATTENTION = { attention: [1, 1], attentionGrad: [3, 2] } as const

function flopsOf({ op, inputs, outputs, params }: LoweredStep): number {
  switch (op) {
    case 'matmul':
      return 2 * sizeOf(shapeOf(outputs, 0)) * (shapeOf(inputs, 0).at(-1) ?? 1)
    case 'conv':
      return 2 * sizeOf(shapeOf(outputs, 0)) * sizeOf(shapeOf(inputs, 1).slice(1))
    case 'convInputGrad':
      return 2 * sizeOf(shapeOf(inputs, 0)) * sizeOf(shapeOf(inputs, 1).slice(1))
    case 'convWeightGrad':
      return 2 * sizeOf(shapeOf(inputs, 1)) * sizeOf(shapeOf(outputs, 0).slice(1))
    case 'attention':
    case 'attentionGrad': {
      const [batch, heads, queries, width] = shapeOf(inputs, 0) as [number, number, number, number]
      const keys = shapeOf(inputs, 1)[2] as number
      const [ofKeys, ofValues] = ATTENTION[op]
      const products = width * ofKeys + (shapeOf(inputs, 2)[3] as number) * ofValues
      // Of a causal square, what lies above the diagonal is not computed.
      return 2 * batch * heads * queries * keys * products * (params['causal'] && queries === keys ? 0.5 : 1)
    }
    default:
      return 0
  }
}

/** The work of steps. */
export function workOf(steps: readonly LoweredStep[]): PlanWork {
  return {
    flops: steps.reduce((sum, step) => sum + flopsOf(step), 0),
    bytes: steps.reduce((sum, { inputs, outputs }) => sum + bytesIn(inputs) + bytesIn(outputs), 0),
    steps: steps.length,
  }
}
