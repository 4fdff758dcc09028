// Convolution over one and two spatial axes, and its gradients: each of the three is the derivative of another.
import type { Value } from '../graph/node.js'
import { ShapeError } from '../runtime/errors.js'
import type { DType } from '../schema/dtype.js'
import type { Spec } from '../schema/op.js'
import { formatShape, type Shape } from '../schema/shape.js'
import type { Tensor } from '../tensor.js'
import { expectShape, floatOperand, integerFrom, optionsOf, sameDType } from './arguments.js'
import { narrowed } from './autocast.js'
import { defineOp } from './define.js'
import { ACTIVATIONS } from './matmul.js'
import { sum } from './reduce.js'
import { channelsLast, type SlidingOptions, slidExtents, slidingOver } from './window.js'

const SLIDING = { stride: 'i64[]', padding: 'i64[]', dilation: 'i64[]', groups: 'i64' } as const

interface Geometry {
  readonly stride: readonly number[]
  readonly padding: readonly number[]
  readonly dilation: readonly number[]
  readonly groups: number
}

/** x [N,C,...], w [O,C/groups,...kernel], bias [O] -> [N,O,...]. */
const CONV = defineOp('conv', {
  inputs: ['x', 'w', 'bias'],
  params: { ...SLIDING, hasBias: 'bool', activation: ACTIVATIONS },
  strides: ['dense', 'contiguous'],
  order: ([x]) => [channelsLast((x as readonly number[]).length)],
  shape: ([x, w], params) => {
    const { dtype, shape } = x as Spec
    const [outputs, , ...kernel] = (w as Spec).shape as [number, number, ...number[]]
    return {
      dtype,
      shape: [shape[0] as number, outputs, ...slidExtents('conv', shape.slice(2), { ...params, kernel })],
    }
  },
  grad: ({ x, w }, dy, params, _, operands) => [
    inputGradient(dy, w, params, x.shape),
    weightGradient(x, dy, params, w.shape),
    ...operands.slice(2).map(() => sum(dy, { axes: dy.shape.flatMap((__, axis) => (axis === 1 ? [] : [axis])) })),
  ],
})

const INPUT_GRAD = defineOp('convInputGrad', {
  inputs: ['dy', 'w'],
  outputs: ['dx'],
  params: { ...SLIDING, inputShape: 'i64[]' },
  strides: ['dense', 'contiguous'],
  order: ([dy]) => [channelsLast((dy as readonly number[]).length)],
  shape: ([dy], { inputShape }) => ({ dtype: (dy as Spec).dtype, shape: inputShape }),
  grad: ({ dy, w }, cotangent, params) => [
    convolved(cotangent, w, params),
    weightGradient(cotangent, dy, params, w.shape),
  ],
})

const WEIGHT_GRAD = defineOp('convWeightGrad', {
  inputs: ['x', 'dy'],
  outputs: ['dw'],
  params: { ...SLIDING, weightShape: 'i64[]' },
  strides: ['dense'],
  shape: ([x], { weightShape }) => ({ dtype: (x as Spec).dtype, shape: weightShape }),
  grad: ({ x, dy }, cotangent, params) => [
    inputGradient(dy, cotangent, params, x.shape),
    convolved(x, cotangent, params),
  ],
})

const geometry = ({ stride, padding, dilation, groups }: Geometry): Geometry => ({ stride, padding, dilation, groups })

const convolved = (x: Tensor, w: Tensor, params: Geometry): Tensor =>
  CONV([x, w], { ...geometry(params), hasBias: false, activation: 'none' })

const inputGradient = (dy: Tensor, w: Tensor, params: Geometry, inputShape: Shape): Tensor =>
  INPUT_GRAD([dy, w], { ...geometry(params), inputShape })

const weightGradient = (x: Tensor, dy: Tensor, params: Geometry, weightShape: Shape): Tensor =>
  WEIGHT_GRAD([x, dy], { ...geometry(params), weightShape })

export interface ConvOptions extends SlidingOptions {
  /** Added per output channel, [O]. Default: none. */
  readonly bias?: Tensor | undefined
  /** Input channels are split into this many groups, each with outputs of its own. Default 1. */
  readonly groups?: number
}

function convolution<D extends DType>(
  op: string,
  spatial: number,
  x: Tensor<D>,
  w: Tensor,
  options: ConvOptions,
): Tensor<D> {
  const given = [narrowed(op, x), narrowed(op, w)]
  const [input, weight] = given.map((tensor) => floatOperand(op, tensor)) as [Value, Value]
  sameDType(op, ['x', 'the weight'], [input, weight])
  const text = `x ${formatShape(input.shape)}, weight ${formatShape(weight.shape)}`
  if (input.shape.length !== spatial + 2 || weight.shape.length !== spatial + 2) {
    const axes = spatial === 1 ? 'L' : 'H,W'
    throw new ShapeError(
      `${op}: it takes x [N,C,${axes}] and a weight [O,C/groups,${spatial === 1 ? 'K' : 'KH,KW'}], not ${text}`,
    )
  }
  const { bias, groups = 1 } = optionsOf(op, options)
  integerFrom(op, 'groups', groups, 1)
  const [outputs, perGroup, ...kernel] = weight.shape as [number, number, ...number[]]
  if (input.shape[1] !== perGroup * groups || outputs % groups !== 0) {
    throw new ShapeError(
      `${op}: with ${groups} groups, x must have ${perGroup * groups} channels and the outputs be a multiple of ${groups}: ${text}`,
    )
  }
  if (kernel.some((extent) => extent === 0)) throw new ShapeError(`${op}: the kernel is empty: ${text}`)
  const window = slidingOver(op, input.shape, kernel, options)
  slidExtents(op, input.shape.slice(2), window)
  if (bias) {
    given.push(narrowed(op, bias))
    const offset = floatOperand(op, given.at(-1) as Tensor)
    expectShape(op, 'the bias', offset, [outputs])
    sameDType(op, ['x', 'the bias'], [input, offset])
  }
  const params = { ...geometry({ ...window, groups }), hasBias: bias !== undefined, activation: 'none' } as const
  return CONV(given, params) as Tensor<D>
}

/**
 * Cross-correlation along one axis: x [N,C,L], weight [O,C/groups,K] -> [N,O,L']. `stride` and `dilation` default to 1,
 * `padding` to 0. Throws `ShapeError` where shapes or the window do not fit, `DTypeError`, `ArgumentError`.
 */
export const conv1d = <D extends DType>(x: Tensor<D>, weight: Tensor, options: ConvOptions = {}): Tensor<D> =>
  convolution('conv1d', 1, x, weight, options)

/**
 * Cross-correlation over two axes: x [N,C,H,W], weight [O,C/groups,KH,KW] -> [N,O,H',W']. Shapes are logical; memory is
 * channels-last. Options and errors as `conv1d`.
 */
export const conv2d = <D extends DType>(x: Tensor<D>, weight: Tensor, options: ConvOptions = {}): Tensor<D> =>
  convolution('conv2d', 2, x, weight, options)
