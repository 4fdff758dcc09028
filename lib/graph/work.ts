// What a plan costs, from the shapes of its steps: arithmetic of what does most of it, and bytes that are moved.
import { bytesOf, type DType } from '../schema/dtype.js'
import type { Instruction, Program } from '../schema/program.js'
import { type Shape, sizeOf } from '../schema/shape.js'
import type { LoweredStep, Stored } from './place.js'

/** What a plan's steps do, once. */
export interface PlanWork {
  /** Floating-point operations of products, convolutions and attention, a multiply-add counting as two. */
  readonly flops: number
  /**
   * Arithmetic by the dtype it is done in: `flops`, each instruction of a fused program, and of other kernels the
   * operations of their formulas, a function such as the exponential counting as one.
   */
  readonly arithmetic: Readonly<Partial<Record<DType, number>>>
  /** Bytes that all steps read and write; what is repeated (a stride of zero) counts once. */
  readonly bytes: number
  /** Those of them that are written. */
  readonly written: number
  /** Steps. */
  readonly steps: number
}

const shapeOf = (operands: readonly Stored[], position: number): Shape => (operands[position] as Stored).shape
const bytesIn = (operands: readonly Stored[]): number =>
  operands.reduce(
    (sum, { shape, strides, dtype }) => sum + sizeOf(shape.filter((_, axis) => strides[axis] !== 0)) * bytesOf(dtype),
    0,
  )

/** Products in attention, as multiples of queries times keys times a head's width: of q and k, and of v. */
const ATTENTION = { attention: [1, 1], attentionGrad: [3, 2] } as const

function flopsOf({ op, inputs, outputs, params }: LoweredStep): number {
  switch (op) {
    case 'matmul':
      return 2 * sizeOf(shapeOf(outputs, 0)) * (shapeOf(inputs, 0).at(-1) ?? 1)
    case 'quantizedMatmul':
      return 2 * sizeOf(shapeOf(outputs, 0)) * (shapeOf(inputs, 0).at(-1) ?? 1)
    case 'conv':
    case 'quantizedConv':
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

/** Operations per element of the first of the large operands, by the formulas in `lib/ops`. */
const PER_ELEMENT: Readonly<Record<string, number>> = {
  softmax: 5,
  softmaxGrad: 4,
  logSoftmax: 5,
  logSoftmaxGrad: 4,
  crossEntropy: 4,
  crossEntropyGrad: 5,
  layerNorm: 8,
  layerNormGrad: 13,
  rmsNorm: 4,
  rmsNormGrad: 9,
  batchNorm: 8,
  batchNormGrad: 11,
  indexAdd: 1,
  scatterAdd: 1,
  argReduce: 1,
  maxPoolGrad: 1,
}

/** Operations of kernels that are no products. */
function operationsOf({ op, inputs, outputs, params }: LoweredStep): number {
  switch (op) {
    case 'maxPool':
    case 'avgPool':
      return sizeOf(shapeOf(outputs, 0)) * sizeOf(params['kernel'] as Shape)
    case 'avgPoolGrad':
      return sizeOf(shapeOf(inputs, 0)) * sizeOf(params['kernel'] as Shape)
    case 'multiplyAdd':
      return 2 * sizeOf(shapeOf(inputs, 0)) * (params['repeats'] as number)
    case 'globalNorm':
      return inputs.reduce((sum, { shape }) => sum + 2 * sizeOf(shape), 0)
    case 'adam':
    case 'sgd':
      // Of each element: two moments and a root, or one velocity.
      return outputs.reduce((sum, { shape }) => sum + (op === 'adam' ? 5 : 3) * sizeOf(shape), 0)
    default:
      return (PER_ELEMENT[op] ?? 0) * sizeOf((inputs[0] as Stored).shape)
  }
}

/** f16 and bf16 are computed in f32, a truth value in what is compared. */
const REGISTERS: Partial<Record<DType, DType>> = { f16: 'f32', bf16: 'f32', i8: 'i32', u8: 'i32', bool: 'i32' }
const registerOf = (dtype: DType): DType => REGISTERS[dtype] ?? dtype

/** Adds up a fused program: every instruction that computes, at each coordinate it is evaluated at. */
function addProgram({ extents, reduced, instructions }: Program, add: (dtype: DType, count: number) => void): void {
  const all = sizeOf(extents)
  const kept = sizeOf(extents.filter((_, axis) => !reduced[axis]))
  // Whether a value comes from the reduction, or is the same everywhere.
  const behind: boolean[] = []
  const constant: boolean[] = []
  instructions.forEach((instruction: Instruction, i) => {
    const args = 'args' in instruction ? instruction.args : []
    behind[i] = instruction.op === 'reduce' || args.some((arg) => behind[arg])
    constant[i] = instruction.op === 'constant' || (args.length > 0 && args.every((arg) => constant[arg]))
    if (instruction.op === 'load' || instruction.op === 'iota' || constant[i]) return
    const compared = instruction.dtype === 'bool' ? instructions[args[0] as number] : instruction
    add(registerOf((compared ?? instruction).dtype), behind[i] && instruction.op !== 'reduce' ? kept : all)
  })
}

/** The work of steps. */
export function workOf(steps: readonly LoweredStep[]): PlanWork {
  const arithmetic: Partial<Record<DType, number>> = {}
  const add = (dtype: DType, count: number): void => {
    if (count > 0) arithmetic[dtype] = (arithmetic[dtype] ?? 0) + count
  }
  for (const step of steps) {
    if (step.op === 'fused') addProgram(step.params['program'] as Program, add)
    else {
      const products = flopsOf(step)
      const { dtype } = (step.inputs[0] ?? step.outputs[0]) as Stored
      if (products > 0) add(dtype, products)
      else add(registerOf(dtype), operationsOf(step))
    }
  }
  return {
    flops: steps.reduce((sum, step) => sum + flopsOf(step), 0),
    arithmetic,
    bytes: steps.reduce((sum, { inputs, outputs }) => sum + bytesIn(inputs) + bytesIn(outputs), 0),
    written: steps.reduce((sum, { outputs }) => sum + bytesIn(outputs), 0),
    steps: steps.length,
  }
}
