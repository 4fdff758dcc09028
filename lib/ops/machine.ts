// What a device gives at most, as ops: arithmetic in registers, a copy past the caches, and reading. Only benchmarks use
// them.
import { DTypeError } from '../runtime/errors.js'
import type { Spec } from '../schema/op.js'
import { sizeOf } from '../schema/shape.js'
import type { Tensor } from '../tensor.js'
import { defineOp, none } from './define.js'

const MULTIPLY_ADD = defineOp('multiplyAdd', {
  inputs: ['x'],
  params: { repeats: 'i64' },
  shape: ([x]) => x as Spec,
  grad: none,
})

const STREAMING_COPY = defineOp('streamingCopy', { inputs: ['x'], shape: ([x]) => x as Spec, grad: none })

const STREAMING_READ = defineOp('streamingRead', {
  inputs: ['x'],
  shape: () => ({ shape: [1], dtype: 'i32' }),
  grad: none,
})

/** Elements that one task of `multiplyAdd` keeps in registers: its operands are multiples of as many. */
export const MULTIPLY_ADD_ELEMENTS = 192

/**
 * x <- 0.75 x + 0.25, `repeats` times, of f32, f64 or i32 (3 x + 1 there): 2 `repeats` operations per element, none of
 * them to or from memory. The size of `x` is a multiple of `MULTIPLY_ADD_ELEMENTS`, each of which one thread computes.
 */
export function multiplyAdd(x: Tensor, repeats: number): Tensor {
  if (!['f32', 'f64', 'i32'].includes(x.dtype) || sizeOf(x.shape) % MULTIPLY_ADD_ELEMENTS !== 0)
    throw new DTypeError(
      `multiplyAdd: it takes f32, f64 or i32 in groups of ${MULTIPLY_ADD_ELEMENTS}, not ${x.dtype}[${x.shape}]`,
    )
  return MULTIPLY_ADD([x], { repeats })
}

/** A copy of `x` whose stores pass the caches by, where the processor has such: what its memory takes at most. */
export const streamingCopy = (x: Tensor): Tensor => STREAMING_COPY([x], {})

/** The exclusive or of all 32-bit words of `x`, which f32 and i32 consist of: what its memory gives at most when it is only read. */
export function streamingRead(x: Tensor): Tensor {
  if (!['f32', 'i32'].includes(x.dtype)) throw new DTypeError(`streamingRead: it takes f32 or i32, not ${x.dtype}`)
  return STREAMING_READ([x], {})
}
