// The plan: the contract between compilation (TypeScript) and execution (native), and its encoding as words.
import { DTYPES, type DType } from './dtype.js'
import type { Shape } from './shape.js'

/**
 * Memory a plan works on. The storages a caller hands to `run` come first, in the order of `run`'s list:
 * - `input`: read only.
 * - `cell`: read, and written where `written` says so, in place.
 * - `output`: allocated by native code at each run and handed back.
 * Then `arena` storages, whose offsets are given by `place`.
 */
export interface Storage {
  readonly kind: 'input' | 'cell' | 'output' | 'arena'
  readonly bytes: number
  readonly written: boolean
}

/** A tensor as kernels see it: a window on a storage. Strides are in elements, `byteOffset` is that of element [0, ...]. */
export interface Operand {
  readonly storage: number
  readonly byteOffset: number
  readonly dtype: DType
  readonly shape: Shape
  readonly strides: readonly number[]
}

/** One kernel call. `op` is the op's position in the generated list, `params` its encoded parameters. */
export interface Step {
  readonly op: number
  readonly inputs: readonly number[]
  readonly outputs: readonly number[]
  readonly params: readonly number[]
}

export interface PlanLayout {
  readonly storages: readonly Storage[]
  readonly operands: readonly Operand[]
  readonly steps: readonly Step[]
}

export const PLAN_VERSION = 1
const STORAGE_KINDS = ['input', 'cell', 'output', 'arena'] as const

/**
 * The words of a plan: [version, storage count, operand count, step count], then
 * storages [kind, bytes, written], operands [storage, byteOffset, dtype, rank, shape..., strides...], and
 * steps [op, input count, inputs..., output count, outputs..., parameter word count, parameters...].
 */
export function encodePlan(plan: PlanLayout): Float64Array {
  const words: number[] = [PLAN_VERSION, plan.storages.length, plan.operands.length, plan.steps.length]
  for (const storage of plan.storages) {
    words.push(STORAGE_KINDS.indexOf(storage.kind), storage.bytes, storage.written ? 1 : 0)
  }
  for (const operand of plan.operands) {
    words.push(operand.storage, operand.byteOffset, DTYPES.indexOf(operand.dtype), operand.shape.length)
    words.push(...operand.shape, ...operand.strides)
  }
  for (const step of plan.steps) {
    words.push(step.op, step.inputs.length, ...step.inputs, step.outputs.length, ...step.outputs)
    words.push(step.params.length)
    for (const word of step.params) words.push(word)
  }
  return Float64Array.from(words)
}
