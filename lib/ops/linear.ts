// Linear structure: reshape, permute, broadcast and sum, slice and pad. Each is the gradient of another of them, which is
// why they stand together; the checked functions people call are in view.ts, reduce.ts and pad.ts.
import { reshapeStrides } from '../graph/layout.js'
import { apply, type Node, type Value } from '../graph/node.js'
import type { Layout, Op } from '../graph/op.js'
import type { DType } from '../schema/dtype.js'
import type { Spec } from '../schema/op.js'
import type { Reduction } from '../schema/program.js'
import { type Shape, sameShape } from '../schema/shape.js'
import { Tensor } from '../tensor.js'
import { defineOp } from './define.js'

type ViewRule<P> = (input: Spec, layout: Layout, params: P) => Layout | undefined

function viewOp<P>(
  name: string,
  shape: (input: Spec, params: P) => Shape,
  view: ViewRule<P>,
  grad: (dy: Tensor, input: Spec, params: P) => Tensor | undefined,
): Op {
  return {
    name,
    kind: 'view',
    params: {},
    infer: ([input], params) => [{ dtype: (input as Spec).dtype, shape: shape(input as Spec, params as P) }],
    view: view as Op['view'] & object,
    gradient: (node: Node, [dy]) => [grad(new Tensor(dy as Value), node.inputs[0] as Value, node.params as P)?.value],
  }
}

const RESHAPE = viewOp<{ shape: Shape }>(
  'reshape',
  (_, { shape }) => shape,
  ({ shape: from }, { offset, strides }, { shape }) => {
    const seen = reshapeStrides(from, strides, shape)
    return seen && { offset, strides: seen }
  },
  (dy, input) => reshaped(dy, input.shape),
)

const PERMUTE = viewOp<{ axes: readonly number[] }>(
  'permute',
  ({ shape }, { axes }) => axes.map((axis) => shape[axis] as number),
  (_, { offset, strides }, { axes }) => ({ offset, strides: axes.map((axis) => strides[axis] as number) }),
  (dy, _, { axes }) =>
    permuted(
      dy,
      axes.map((__, axis) => axes.indexOf(axis)),
    ),
)

const BROADCAST = viewOp<{ shape: Shape }>(
  'broadcast',
  (_, { shape }) => shape,
  ({ shape: from }, { offset, strides }, { shape }) => {
    const lead = shape.length - from.length
    return {
      offset,
      strides: shape.map((extent, axis) =>
        axis < lead || (from[axis - lead] === 1 && extent !== 1) ? 0 : (strides[axis - lead] as number),
      ),
    }
  },
  (dy, input) => sumTo(dy, input.shape),
)

/** A window on a tensor: along each axis where it starts, how far its steps are, and its extent. */
export interface Window {
  readonly starts: readonly number[]
  readonly steps: readonly number[]
  readonly shape: Shape
}

const SLICE = viewOp<Window>(
  'slice',
  (_, { shape }) => shape,
  (_, { offset, strides }, { starts, steps }) => ({
    offset: starts.reduce((sum, start, axis) => sum + start * (strides[axis] as number), offset),
    strides: strides.map((stride, axis) => stride * (steps[axis] as number)),
  }),
  (dy, input, params) => unslice(dy, input.shape, params),
)

/** Combines the elements along `axes`; the parameter `reduction` says how. */
export function reductionOp(
  reduction: Reduction,
  grad: (x: Tensor, y: Tensor, dy: Tensor, axes: readonly number[]) => Tensor,
): Op {
  return {
    name: `reduce.${reduction}`,
    kind: 'reduction',
    params: {},
    infer: ([input], params) => {
      const axes = params['axes'] as readonly number[]
      const { dtype, shape } = input as Spec
      return [{ dtype, shape: shape.filter((_, axis) => !axes.includes(axis)) }]
    },
    gradient: (node: Node, [dy]) => {
      const axes = node.params['axes'] as readonly number[]
      return [grad(new Tensor(node.inputs[0]), new Tensor(node.output), new Tensor(dy as Value), axes).value]
    },
  }
}

const SUM = reductionOp('sum', (x, _, dy, axes) => spread(dy, x.shape, axes))

/** The shape with extent 1 at `axes`. */
export const unitShape = (shape: Shape, axes: readonly number[]): number[] =>
  shape.map((extent, axis) => (axes.includes(axis) ? 1 : extent))

/** A reduced tensor repeated along the axes it was reduced over. */
export const spread = (reduced: Tensor, shape: Shape, axes: readonly number[]): Tensor =>
  repeated(reshaped(reduced, unitShape(shape, axes)), shape)

export const reduced = (op: Op, x: Tensor, axes: readonly number[]): Tensor =>
  axes.length === 0 ? x : new Tensor(apply(op, { axes, reduction: op.name.slice('reduce.'.length) }, [x.value]).output)

export const summed = (x: Tensor, axes: readonly number[]): Tensor => reduced(SUM, x, axes)

const PAD = defineOp('pad', {
  inputs: ['x'],
  params: { low: 'i64[]', high: 'i64[]', value: 'f64' },
  shape: ([x], { low, high }) => {
    const { dtype, shape } = x as Spec
    return { dtype, shape: shape.map((extent, axis) => extent + (low[axis] as number) + (high[axis] as number)) }
  },
  grad: ({ x }, dy, { low }) => [sliced(dy, { starts: low, steps: low.map(() => 1), shape: x.shape })],
})

export const padded = (x: Tensor, low: readonly number[], high: readonly number[], value = 0): Tensor =>
  low.every((count) => count === 0) && high.every((count) => count === 0) ? x : PAD([x], { low, high, value })

export const reshaped = <D extends DType>(x: Tensor<D>, shape: Shape): Tensor<D> =>
  sameShape(shape, x.shape) ? x : new Tensor(apply(RESHAPE, { shape }, [x.value]).output)

export const permuted = <D extends DType>(x: Tensor<D>, axes: readonly number[]): Tensor<D> =>
  new Tensor(apply(PERMUTE, { axes }, [x.value]).output)

export const repeated = <D extends DType>(x: Tensor<D>, shape: Shape): Tensor<D> =>
  sameShape(shape, x.shape) ? x : new Tensor(apply(BROADCAST, { shape: [...shape] }, [x.value]).output)

export const sliced = <D extends DType>(x: Tensor<D>, window: Window): Tensor<D> =>
  new Tensor(apply(SLICE, { ...window }, [x.value]).output)

/** Sums `x` over the axes along which `shape` was repeated to get it: the transpose of `broadcastTo`. */
export function sumTo<D extends DType>(x: Tensor<D>, shape: Shape): Tensor<D> {
  const lead = x.shape.length - shape.length
  const axes = x.shape.flatMap((extent, axis) =>
    axis < lead || (shape[axis - lead] === 1 && extent !== 1) ? [axis] : [],
  )
  return reshaped(axes.length > 0 ? summed(x, axes) : x, shape) as Tensor<D>
}

/** The elements of a slice back in their places, zeros elsewhere: the transpose of `slice`. */
function unslice(dy: Tensor, shape: Shape, { starts, steps }: Window): Tensor {
  const backwards = steps.map((step) => (step < 0 ? -1 : 1))
  let apart = dy
  if (backwards.includes(-1)) {
    const ends = dy.shape.map((extent, axis) => (backwards[axis] === -1 ? Math.max(0, extent - 1) : 0))
    apart = sliced(dy, { starts: ends, steps: backwards, shape: dy.shape })
  }
  steps.forEach((step, axis) => {
    if (Math.abs(step) > 1) apart = spreadAlong(apart, axis, Math.abs(step))
  })
  const firsts = starts.map((start, axis) => {
    const step = steps[axis] as number
    return step < 0 ? start + step * ((dy.shape[axis] as number) - 1) : start
  })
  // An empty window has no first position; any place in the zeros will do.
  const low = firsts.map((first, axis) => (dy.shape[axis] === 0 ? 0 : Math.max(0, first)))
  const high = low.map((before, axis) => (shape[axis] as number) - before - (apart.shape[axis] as number))
  return padded(apart, low, high)
}

/** Puts `step - 1` zeros between neighbours along an axis. */
function spreadAlong(x: Tensor, axis: number, step: number): Tensor {
  const { shape } = x
  const apart = reshaped(x, [...shape.slice(0, axis + 1), 1, ...shape.slice(axis + 1)])
  const none = apart.shape.map(() => 0)
  const filled = padded(
    apart,
    none,
    none.map((_, k) => (k === axis + 1 ? step - 1 : 0)),
  )
  const merged = reshaped(
    filled,
    shape.map((extent, k) => (k === axis ? extent * step : extent)),
  )
  const last = Math.max(0, (shape[axis] as number) * step - (step - 1))
  const window = shape.map((extent, k) => (k === axis ? last : extent))
  return sliced(merged, { starts: shape.map(() => 0), steps: shape.map(() => 1), shape: window })
}
