// The optimizers' kernels: one pass over many tensors at once, in place.
import type { Params, Spec } from '../schema/op.js'
import type { Tensor } from '../tensor.js'
import { listOf } from './arguments.js'
import { defineOp } from './define.js'

const ADAM_PARAMS = {
  count: 'i64',
  beta1: 'f64',
  beta2: 'f64',
  eps: 'f64',
  weightDecay: 'f64',
  decoupled: 'bool',
  hasGradScale: 'bool',
} as const

const SGD_PARAMS = {
  count: 'i64',
  momentum: 'f64',
  dampening: 'f64',
  nesterov: 'bool',
  weightDecay: 'f64',
  hasGradScale: 'bool',
} as const

/** Scalars come first: the learning rate, the step and, where there is one, the factor of the gradients. */
const scalarCount = (hasGradScale: boolean): number => (hasGradScale ? 3 : 2)

/** `groups` of `count` results that take over the memory of the operands from `first` on; gradients lie behind the parameters. */
const inPlaceOf = (count: number, states: number, hasGradScale: boolean): number[] => {
  const first = scalarCount(hasGradScale)
  const each = Array.from({ length: count }, (_, i) => i)
  const groups = [0, ...Array.from({ length: states }, (_, i) => i + 2)]
  return groups.flatMap((group) => each.map((i) => first + group * count + i))
}

/** Parameters, then each kind of state: what the results are like. */
function results(inputs: readonly Spec[], count: number, states: number, hasGradScale: boolean): Spec[] {
  return inPlaceOf(count, states, hasGradScale).map((position) => inputs[position] as Spec)
}

/** lr, step, [gradScale], parameters, gradients, first and second moments -> parameters, first and second moments. */
const ADAM = defineOp('adam', {
  inputs: ['lr', 'step'],
  outputs: ['updated', 'state'],
  params: ADAM_PARAMS,
  shape: (inputs, { count, hasGradScale }) => results(inputs, count, 2, hasGradScale),
  inPlace: ({ count, hasGradScale }) => inPlaceOf(count, 2, hasGradScale),
  leadingScalars: ({ hasGradScale }) => scalarCount(hasGradScale),
  grad: 'none',
})

/** lr, step, [gradScale], parameters, gradients, velocities (with momentum) -> parameters, velocities. */
const SGD = defineOp('sgd', {
  inputs: ['lr', 'step'],
  outputs: ['updated', 'state'],
  params: SGD_PARAMS,
  shape: (inputs, { count, momentum, hasGradScale }) => results(inputs, count, momentum === 0 ? 0 : 1, hasGradScale),
  inPlace: ({ count, momentum, hasGradScale }) => inPlaceOf(count, momentum === 0 ? 0 : 1, hasGradScale),
  leadingScalars: ({ hasGradScale }) => scalarCount(hasGradScale),
  grad: 'none',
})

const GLOBAL_NORM = defineOp('globalNorm', {
  inputs: ['x'],
  shape: (inputs) => ({ dtype: inputs.some(({ dtype }) => dtype === 'f64') ? 'f64' : 'f32', shape: [] }),
  grad: 'none',
})

/** The scalars of one optimizer step: the learning rate f64[], the step's number from 1 i64[], a factor of all gradients f64[]. */
export interface StepScalars {
  readonly lr: Tensor
  readonly step: Tensor
  readonly gradScale?: Tensor | undefined
}

type Settings<P> = Omit<P, 'count' | 'hasGradScale'>

/** Tensors of one optimizer step; lists run side by side. */
export interface StepTensors {
  readonly parameters: readonly Tensor[]
  readonly gradients: readonly Tensor[]
  /** Adam: first, then second moments. SGD with momentum: velocities. One list per kind. */
  readonly states: readonly (readonly Tensor[])[]
}

/** The tensors after the step. */
export type Updated = Pick<StepTensors, 'parameters' | 'states'>

function update(
  run: (operands: readonly (Tensor | undefined)[]) => Tensor | readonly Tensor[],
  { lr, step, gradScale }: StepScalars,
  { parameters, gradients, states }: StepTensors,
): Updated {
  const found = run([lr, step, gradScale, ...parameters, ...gradients, ...states.flat()])
  const list: readonly Tensor[] = Array.isArray(found) ? found : [found as Tensor]
  const count = parameters.length
  return {
    parameters: list.slice(0, count),
    states: states.map((_, kind) => list.slice((kind + 1) * count, (kind + 2) * count)),
  }
}

/**
 * Adam (Kingma and Ba 2014) with bias correction; `decoupled` decays the weights directly (AdamW, Loshchilov and Hutter
 * 2017), else the decay is added to the gradients. Moments are f32 (f64 for f64 parameters).
 */
export const adamStep = (
  scalars: StepScalars,
  tensors: StepTensors,
  settings: Settings<Params<typeof ADAM_PARAMS>>,
): Updated =>
  update(
    (operands) =>
      ADAM(operands, { ...settings, count: tensors.parameters.length, hasGradScale: scalars.gradScale !== undefined }),
    scalars,
    tensors,
  )

/** Gradient descent with momentum (Polyak 1964) or Nesterov's; without momentum there are no states. */
export const sgdStep = (
  scalars: StepScalars,
  tensors: StepTensors,
  settings: Settings<Params<typeof SGD_PARAMS>>,
): Updated =>
  update(
    (operands) =>
      SGD(operands, { ...settings, count: tensors.parameters.length, hasGradScale: scalars.gradScale !== undefined }),
    scalars,
    tensors,
  )

/** The Euclidean norm of all elements of all tensors together, f32[], or f64[] where one of them is f64. It has no gradient. */
export const globalNorm = (tensors: readonly Tensor[]): Tensor =>
  GLOBAL_NORM(listOf('globalNorm', 'the tensors', tensors), {})
