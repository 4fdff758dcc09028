// Pooling over one and two spatial axes: the largest element or the mean of each window.
import { ArgumentError, ShapeError } from '../runtime/errors.js'
import type { DType } from '../schema/dtype.js'
import type { Spec } from '../schema/op.js'
import { formatShape, type Shape } from '../schema/shape.js'
import { Tensor } from '../tensor.js'
import { floatOperand, optionsOf } from './arguments.js'
import { defineOp, operand } from './define.js'
import { mean } from './reduce.js'
import { type Padding, type PerAxis, perAxis, type Sliding, slidExtents, slidingOver } from './window.js'

/** Results lie as the first operand does: channels-last behind convolutions, and nothing is turned around elsewhere. */
const alike = ([x]: readonly (readonly number[])[]): readonly number[] => x as readonly number[]

const pooled = (op: string, { dtype, shape }: Spec, window: Sliding): Spec => ({
  dtype,
  shape: [...shape.slice(0, 2), ...slidExtents(op, shape.slice(2), window)],
})

/** A window's own fields, as an op's parameters. */
const slidingOf = ({ kernel, stride, padding, dilation }: Sliding): Sliding => ({ kernel, stride, padding, dilation })

const WINDOW = { kernel: 'i64[]', stride: 'i64[]', padding: 'i64[]', dilation: 'i64[]' } as const

/**
 * x [N,C,...] -> the largest element of each window, and with `positions` where it was in the input's spatial plane,
 * which gradients alone ask. Of +0 and -0 in one window either is the largest where no positions are kept.
 */
const MAX_POOL = defineOp('maxPool', {
  inputs: ['x'],
  outputs: ['y', 'index'],
  params: { ...WINDOW, positions: 'bool' },
  strides: ['dense'],
  order: (inputs) => [alike(inputs), alike(inputs)],
  lastResult: 'positions',
  shape: ([x], params) => {
    const y = pooled('maxPool', x as Spec, params)
    return params.positions ? [y, { dtype: 'i32', shape: y.shape }] : y
  },
  // Quantised integers keep no positions, as no gradient flows through them.
  grad: ({ x, index }, dy, params) => [index && scattered(dy, index, params, x.shape)],
})

/** dy put back where the index says; the windows tell which results may have picked an element. */
const MAX_POOL_GRAD = defineOp('maxPoolGrad', {
  inputs: ['dy', 'index'],
  outputs: ['dx'],
  params: { ...WINDOW, inputShape: 'i64[]' },
  strides: ['dense'],
  order: (inputs) => [alike(inputs)],
  shape: ([dy], { inputShape }) => ({ dtype: (dy as Spec).dtype, shape: inputShape }),
  grad: ({ index }, cotangent, params) => [picked(cotangent, index, params), undefined],
})

/** Elements picked where the index says: the transpose of `maxPoolGrad`. */
const MAX_POOL_GATHER = defineOp('maxPoolGather', {
  inputs: ['ddx', 'index'],
  outputs: ['ddy'],
  params: WINDOW,
  strides: ['dense'],
  order: (inputs) => [alike(inputs)],
  shape: ([ddx, index]) => ({ dtype: (ddx as Spec).dtype, shape: (index as Spec).shape }),
  grad: ({ ddx, index }, cotangent, params) => [scattered(cotangent, index, params, ddx.shape), undefined],
})

const scattered = (dy: Tensor, index: Tensor, window: Sliding, inputShape: Shape): Tensor =>
  MAX_POOL_GRAD([dy, index], { ...slidingOf(window), inputShape })
const picked = (ddx: Tensor, index: Tensor, window: Sliding): Tensor => MAX_POOL_GATHER([ddx, index], slidingOf(window))

interface Average extends Omit<Sliding, 'dilation'> {
  readonly countIncludePad: boolean
}
const AVERAGE = { kernel: 'i64[]', stride: 'i64[]', padding: 'i64[]', countIncludePad: 'bool' } as const

/** A window of the mean has no gaps. */
const gapless = (params: Omit<Sliding, 'dilation'>): Sliding => ({ ...params, dilation: params.kernel.map(() => 1) })

const AVG_POOL = defineOp('avgPool', {
  inputs: ['x'],
  params: AVERAGE,
  strides: ['dense'],
  order: (inputs) => [alike(inputs)],
  shape: ([x], params) => pooled('avgPool', x as Spec, gapless(params)),
  grad: ({ x }, dy, params) => [averageGradient(dy, params, x.shape)],
})

const AVG_POOL_GRAD = defineOp('avgPoolGrad', {
  inputs: ['dy'],
  outputs: ['dx'],
  params: { ...AVERAGE, inputShape: 'i64[]' },
  strides: ['dense'],
  order: (inputs) => [alike(inputs)],
  shape: ([dy], { inputShape }) => ({ dtype: (dy as Spec).dtype, shape: inputShape }),
  grad: (_, cotangent, params) => [averaged(cotangent, params)],
})

const averaged = (x: Tensor, { kernel, stride, padding, countIncludePad }: Average): Tensor =>
  AVG_POOL([x], { kernel, stride, padding, countIncludePad })
const averageGradient = (dy: Tensor, params: Average, inputShape: Shape): Tensor =>
  AVG_POOL_GRAD([dy], { ...params, inputShape })

export interface PoolOptions {
  /** Default: the kernel, so that windows do not overlap. */
  readonly stride?: PerAxis
  /** At most half of the kernel on each side. Default 0. */
  readonly padding?: Padding
}

function windowOf(
  op: string,
  spatial: number,
  { shape }: Spec,
  kernel: PerAxis,
  options: PoolOptions & { readonly dilation?: PerAxis },
): Sliding {
  if (shape.length !== spatial + 2) {
    throw new ShapeError(`${op}: it takes [N,C,${spatial === 1 ? 'L' : 'H,W'}], not ${formatShape(shape)}`)
  }
  const extents = perAxis(op, 'the kernel', kernel, spatial, 1)
  const window = slidingOver(op, shape, extents, { ...options, stride: optionsOf(op, options).stride ?? extents })
  window.padding.forEach((width, i) => {
    const extent = extents[i % spatial] as number
    // A window that lies in the padding alone would have no element.
    if (2 * width > extent)
      throw new ArgumentError(`${op}: the padding ${width} is more than half of the kernel's extent ${extent}`)
  })
  slidExtents(op, shape.slice(2), window)
  return window
}

const maxPool =
  (op: string, spatial: number) =>
  <D extends DType>(
    x: Tensor<D>,
    kernel: PerAxis,
    options: PoolOptions & { readonly dilation?: PerAxis } = {},
  ): Tensor<D> => {
    const { dtype } = operand(op, x)
    const quantized = dtype === 'u8' || dtype === 'i8'
    const window = windowOf(op, spatial, quantized ? x : floatOperand(op, x), kernel, options)
    const params = { ...slidingOf(window), positions: !quantized }
    const results: Tensor | readonly Tensor[] = MAX_POOL([x], params)
    return (results instanceof Tensor ? results : results[0]) as Tensor<D>
  }

/**
 * The largest element of each window, of floats or of u8 or i8, quantised ones: [N,C,L] -> [N,C,L']; NaN wins, padding
 * never. Throws `ShapeError`, `ArgumentError`.
 */
export const maxPool1d = maxPool('maxPool1d', 1)
/** The largest element of each window: [N,C,H,W] -> [N,C,H',W']. Otherwise as `maxPool1d`. */
export const maxPool2d = maxPool('maxPool2d', 2)

export interface AvgPoolOptions extends PoolOptions {
  /** Whether padding counts in the mean. Default true. */
  readonly countIncludePad?: boolean
}

const avgPool =
  (op: string, spatial: number) =>
  <D extends DType>(x: Tensor<D>, kernel: PerAxis, options: AvgPoolOptions = {}): Tensor<D> => {
    const { kernel: extents, stride, padding } = windowOf(op, spatial, floatOperand(op, x), kernel, options)
    return averaged(x, {
      kernel: extents,
      stride,
      padding,
      countIncludePad: options.countIncludePad ?? true,
    }) as Tensor<D>
  }

/** The mean of each window: [N,C,L] -> [N,C,L']. Throws `ShapeError`, `ArgumentError`. */
export const avgPool1d = avgPool('avgPool1d', 1)
/** The mean of each window: [N,C,H,W] -> [N,C,H',W']. Throws `ShapeError`, `ArgumentError`. */
export const avgPool2d = avgPool('avgPool2d', 2)

/**
 * The mean over windows that divide each spatial axis evenly: [N,C,...] -> [N,C,...size]. Throws `ShapeError` unless
 * every extent is a multiple of the wanted one.
 */
export function adaptiveAvgPool<D extends DType>(x: Tensor<D>, size: PerAxis = 1): Tensor<D> {
  const op = 'adaptiveAvgPool'
  const { shape } = floatOperand(op, x)
  const spatial: Shape = shape.slice(2)
  if (spatial.length < 1 || spatial.length > 2)
    throw new ShapeError(`${op}: it takes [N,C,L] or [N,C,H,W], not ${formatShape(shape)}`)
  const wanted = perAxis(op, 'the size', size, spatial.length, 1)
  if (wanted.every((extent) => extent === 1)) {
    return mean(x, { axes: spatial.map((_, i) => i + 2), keepDims: true }) as Tensor<D>
  }
  const kernel = spatial.map((extent, i) => {
    const parts = wanted[i] as number
    if (extent % parts === 0 && extent > 0) return extent / parts
    throw new ShapeError(`${op}: the extent ${extent} of ${formatShape(shape)} is no multiple of ${parts}`)
  })
  return spatial.length === 1 ? avgPool1d(x, kernel) : avgPool2d(x, kernel)
}
