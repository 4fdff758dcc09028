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
  hasApplies: 'bool',
} as const

const SGD_PARAMS = {
  count: 'i64',
  momentum: 'f64',
  dampening: 'f64',
  nesterov: 'bool',
  weightDecay: 'f64',
  hasGradScale: 'bool',
  hasApplies: 'bool',
} as const

/** What the operands of both optimizers begin with and how many tensors follow. */
interface Layout {
  readonly count: number
  readonly hasGradScale: boolean
  readonly hasApplies: boolean
}

/** Scalars come first: the learning rate, the step and, where they are there, the gradients' factor and the condition. */
const scalarCount = ({ hasGradScale, hasApplies }: Layout): number => 2 + Number(hasGradScale) + Number(hasApplies)

/** `groups` of `count` results that take over the memory of the operands from `first` on; gradients lie behind the parameters. */
const inPlaceOf = (layout: Layout, states: number): number[] => {
  const { count } = layout
  const first = scalarCount(layout)
  const each = Array.from({ length: count }, (_, i) => i)
  const groups = [0, ...Array.from({ length: states }, (_, i) => i + 2)]
  return groups.flatMap((group) => each.map((i) => first + group * count + i))
}

/** Parameters, then each kind of state: what the results are like. */
const results = (inputs: readonly Spec[], layout: Layout, states: number): Spec[] =>
  inPlaceOf(layout, states).map((position) => inputs[position] as Spec)

const velocities = (momentum: number): number => (momentum === 0 ? 0 : 1)

/** lr, step, [gradScale], [applies], parameters, gradients, first and second moments -> parameters, first and second moments. */
const ADAM = defineOp('adam', {
  inputs: ['lr', 'step'],
  outputs: ['updated', 'state'],
  params: ADAM_PARAMS,
  shape: (inputs, params) => results(inputs, params, 2),
  inPlace: (params) => inPlaceOf(params, 2),
  leadingScalars: scalarCount,
  grad: 'none',
})

/** lr, step, [gradScale], [applies], parameters, gradients, velocities (with momentum) -> parameters, velocities. */
const SGD = defineOp('sgd', {
  inputs: ['lr', 'step'],
  outputs: ['updated', 'state'],
  params: SGD_PARAMS,
  shape: (inputs, params) => results(inputs, params, velocities(params.momentum)),
  inPlace: (params) => inPlaceOf(params, velocities(params.momentum)),
  leadingScalars: scalarCount,
  grad: 'none',
})

const GLOBAL_NORM = defineOp('globalNorm', {
  inputs: ['x'],
  params: { wide: 'bool' },
  shape: (inputs, { wide }) => ({
    dtype: wide || inputs.some(({ dtype }) => dtype === 'f64') ? 'f64' : 'f32',
    shape: [],
  }),
  grad: 'none',
})

/**
 * The scalars of one optimizer step: the learning rate f64[], the step's number from 1 i64[], a factor of all gradients
 * f64[], and bool[], false where parameters and states are to stay as they are.
 */
export interface StepScalars {
  readonly lr: Tensor
  readonly step: Tensor
  readonly gradScale?: Tensor | undefined
  readonly applies?: Tensor | undefined
}

type Settings<P> = Omit<P, keyof Layout>

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
  run: (operands: readonly (Tensor | undefined)[], layout: Layout) => Tensor | readonly Tensor[],
  { lr, step, gradScale, applies }: StepScalars,
  { parameters, gradients, states }: StepTensors,
): Updated {
  const count = parameters.length
  const found = run([lr, step, gradScale, applies, ...parameters, ...gradients, ...states.flat()], {
    count,
    hasGradScale: gradScale !== undefined,
    hasApplies: applies !== undefined,
  })
  const list: readonly Tensor[] = Array.isArray(found) ? found : [found as Tensor]
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
): Updated => update((operands, layout) => ADAM(operands, { ...settings, ...layout }), scalars, tensors)

/** Gradient descent with momentum (Polyak 1964) or Nesterov's; without momentum there are no states. */
export const sgdStep = (
  scalars: StepScalars,
  tensors: StepTensors,
  settings: Settings<Params<typeof SGD_PARAMS>>,
): Updated => update((operands, layout) => SGD(operands, { ...settings, ...layout }), scalars, tensors)

/**
 * The Euclidean norm of all elements of all tensors together, f32[], or f64[] where one of them is f64 or `wide` asks for
 * it: no finite f32, f16 or bf16 elements have an infinite one there. It has no gradient.
 */
export const globalNorm = (tensors: readonly Tensor[], options: { readonly wide?: boolean } = {}): Tensor =>
  GLOBAL_NORM(listOf('globalNorm', 'the tensors', tensors), { wide: options.wide ?? false })
