// Methods of tensors: the ops people chain, added to the handle by the room above it.
import type { DType } from '../schema/dtype.js'
import type { Shape } from '../schema/shape.js'
import { Tensor } from '../tensor.js'
import * as activation from './activation.js'
import { split } from './concat.js'
import * as element from './element.js'
import { type ArgReduceOptions, argmax, argmin, gather, take } from './gather.js'
import { matmul } from './matmul.js'
import * as reduce from './reduce.js'
import { logSoftmax, softmax } from './softmax.js'
import * as view from './view.js'

type Reduce = reduce.ReduceOptions

declare module '../tensor.js' {
  interface Tensor<D extends DType = DType, S extends Shape = Shape> {
    add(other: element.Operand): Tensor<D>
    sub(other: element.Operand): Tensor<D>
    mul(other: element.Operand): Tensor<D>
    div(other: element.Operand): Tensor
    floorDiv(other: element.Operand): Tensor<D>
    mod(other: element.Operand): Tensor<D>
    pow(other: element.Operand): Tensor<D>
    maximum(other: element.Operand): Tensor<D>
    minimum(other: element.Operand): Tensor<D>
    eq(other: element.Operand): Tensor<'bool'>
    ne(other: element.Operand): Tensor<'bool'>
    lt(other: element.Operand): Tensor<'bool'>
    le(other: element.Operand): Tensor<'bool'>
    gt(other: element.Operand): Tensor<'bool'>
    ge(other: element.Operand): Tensor<'bool'>
    neg(): Tensor<D, S>
    abs(): Tensor<D, S>
    sign(): Tensor<D, S>
    exp(): Tensor<D, S>
    log(): Tensor<D, S>
    sqrt(): Tensor<D, S>
    rsqrt(): Tensor<D, S>
    sin(): Tensor<D, S>
    cos(): Tensor<D, S>
    tanh(): Tensor<D, S>
    sigmoid(): Tensor<D, S>
    erf(): Tensor<D, S>
    square(): Tensor<D, S>
    cast<T extends DType>(dtype: T): Tensor<T, S>
    matmul<B extends Shape>(other: Tensor<DType, B>): ReturnType<typeof matmul<D, S, B>>
    reshape(...shape: readonly number[]): Tensor<D>
    permute(...axes: readonly number[]): Tensor<D>
    transpose(a?: number, b?: number): Tensor<D>
    broadcastTo(shape: Shape): Tensor<D>
    slice(...parts: readonly (number | view.Range | undefined)[]): Tensor<D>
    flip(axes: number | readonly number[]): Tensor<D>
    squeeze(...axes: readonly number[]): Tensor<D>
    unsqueeze(axis: number): Tensor<D>
    flatten(start?: number, end?: number): Tensor<D>
    split(size: number | readonly number[], axis?: number): Tensor<D>[]
    sum(options?: Reduce): Tensor
    mean(options?: Reduce): Tensor
    max(options?: Reduce): Tensor<D>
    min(options?: Reduce): Tensor<D>
    prod(options?: Reduce): Tensor
    variance(options?: Reduce & { readonly correction?: number }): Tensor
    any(options?: Reduce): Tensor<'bool'>
    all(options?: Reduce): Tensor<'bool'>
    logsumexp(options?: Reduce): Tensor
    stopGradient(): Tensor<D, S>
    relu(): Tensor<D, S>
    gelu(options?: activation.GeluOptions): Tensor<D, S>
    silu(): Tensor<D, S>
    clamp(low: number, high: number): Tensor<D, S>
    softmax(options?: { readonly axis?: number }): Tensor<D, S>
    logSoftmax(options?: { readonly axis?: number }): Tensor<D, S>
    argmax(options?: ArgReduceOptions): Tensor<'i32'>
    argmin(options?: ArgReduceOptions): Tensor<'i32'>
    take(indices: Tensor, options?: { readonly axis?: number }): Tensor<D>
    gather(index: Tensor, options: { readonly axis: number }): Tensor<D>
  }
}

type Op = (x: Tensor, ...rest: never[]) => unknown

/** Ops whose first operand is the tensor and whose further ones are the method's arguments. */
const METHODS: Record<string, Op> = {
  add: element.add,
  sub: element.sub,
  mul: element.mul,
  div: element.div,
  floorDiv: element.floorDiv,
  mod: element.mod,
  pow: element.pow,
  maximum: element.maximum,
  minimum: element.minimum,
  eq: element.eq,
  ne: element.ne,
  lt: element.lt,
  le: element.le,
  gt: element.gt,
  ge: element.ge,
  neg: element.neg,
  abs: element.abs,
  sign: element.sign,
  exp: element.exp,
  log: element.log,
  sqrt: element.sqrt,
  rsqrt: element.rsqrt,
  sin: element.sin,
  cos: element.cos,
  tanh: element.tanh,
  sigmoid: element.sigmoid,
  erf: element.erf,
  square: (x: Tensor) => element.mul(x, x),
  cast: element.cast,
  matmul,
  reshape: (x: Tensor, ...shape: number[]) => view.reshape(x, shape),
  permute: (x: Tensor, ...axes: number[]) => view.permute(x, axes.length > 0 ? axes : undefined),
  transpose: view.transpose,
  broadcastTo: view.broadcastTo,
  slice: view.slice,
  flip: view.flip,
  squeeze: view.squeeze,
  unsqueeze: view.unsqueeze,
  flatten: view.flatten,
  split,
  sum: reduce.sum,
  mean: reduce.mean,
  max: reduce.max,
  min: reduce.min,
  prod: reduce.prod,
  variance: reduce.variance,
  any: reduce.any,
  all: reduce.all,
  logsumexp: reduce.logsumexp,
  stopGradient: view.stopGradient,
  relu: activation.relu,
  gelu: activation.gelu,
  silu: activation.silu,
  clamp: activation.clamp,
  softmax,
  logSoftmax,
  argmax,
  argmin,
  take,
  gather,
}

for (const [name, op] of Object.entries(METHODS)) {
  Object.defineProperty(Tensor.prototype, name, {
    value(this: Tensor, ...rest: never[]) {
      return op(this, ...rest)
    },
    configurable: true,
    writable: true,
  })
}
