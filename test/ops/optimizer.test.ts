// Optimizer steps against PyTorch's formulas in doubles, several steps in a row, compiled and uncompiled.
import { describe, expect, it } from 'vitest'
import { TOLERANCE } from '../../lib/cases/case.js'
import * as h from '../../lib/index.js'
import { adamStep, type StepScalars, sgdStep, type Updated } from '../../lib/ops/optimizer.js'
import { generator } from './check.js'

type Dtype = 'f32' | 'f64' | 'bf16' | 'f16'
const SHAPES = [[3, 5], [], [17], [2, 0], [129]]
const STEPS = 5
const [LR, SCALE] = [0.02, 0.125]

/** Parameters, or the gradients of one step, as plain arrays; exact in every dtype. */
function drawAll(seed: number): number[][] {
  const random = generator(seed)
  return SHAPES.map((shape) =>
    Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => Math.round((random() * 4 - 2) * 64) / 64),
  )
}

interface Adam {
  readonly beta1: number
  readonly beta2: number
  readonly eps: number
  readonly weightDecay: number
  readonly decoupled: boolean
}
interface Sgd {
  readonly momentum: number
  readonly dampening: number
  readonly nesterov: boolean
  readonly weightDecay: number
}

/** torch.optim.Adam and AdamW, one element. */
function adamElement(
  p: number,
  gradient: number,
  m: number,
  v: number,
  step: number,
  s: Adam,
): [number, number, number] {
  const kept = s.decoupled ? p * (1 - LR * s.weightDecay) : p
  const g = s.decoupled ? gradient : gradient + s.weightDecay * p
  const first = s.beta1 * m + (1 - s.beta1) * g
  const second = s.beta2 * v + (1 - s.beta2) * g * g
  const root = Math.sqrt(second) / Math.sqrt(1 - s.beta2 ** step)
  return [kept - (LR / (1 - s.beta1 ** step)) * (first / (root + s.eps)), first, second]
}

/** torch.optim.SGD, one element. */
function sgdElement(p: number, gradient: number, velocity: number, step: number, s: Sgd): [number, number] {
  let g = gradient + s.weightDecay * p
  let next = velocity
  if (s.momentum !== 0) {
    next = step === 1 ? g : s.momentum * velocity + (1 - s.dampening) * g
    g = s.nesterov ? g + s.momentum * next : next
  }
  return [p - LR * g, next]
}

const ADAMS: Record<string, Adam> = {
  Adam: { beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: 0, decoupled: false },
  'Adam with weight decay': { beta1: 0.8, beta2: 0.9, eps: 1e-4, weightDecay: 0.1, decoupled: false },
  AdamW: { beta1: 0.9, beta2: 0.95, eps: 1e-8, weightDecay: 0.1, decoupled: true },
}
const SGDS: Record<string, Sgd> = {
  SGD: { momentum: 0, dampening: 0, nesterov: false, weightDecay: 0 },
  'SGD with weight decay': { momentum: 0, dampening: 0, nesterov: false, weightDecay: 0.05 },
  'SGD with momentum': { momentum: 0.9, dampening: 0, nesterov: false, weightDecay: 0 },
  'SGD with dampened momentum and weight decay': { momentum: 0.8, dampening: 0.3, nesterov: false, weightDecay: 0.05 },
  'SGD with Nesterov momentum': { momentum: 0.9, dampening: 0, nesterov: true, weightDecay: 0.01 },
}

interface Optimizer {
  readonly states: number
  /** One element after a step: the parameter, then its states. */
  element(p: number, gradient: number, states: readonly number[], step: number): readonly number[]
  run(
    scalars: StepScalars,
    parameters: readonly h.Tensor[],
    gradients: readonly h.Tensor[],
    states: readonly (readonly h.Tensor[])[],
  ): Updated
}

const OPTIMIZERS: readonly (readonly [string, Optimizer])[] = [
  ...Object.entries(ADAMS).map(
    ([name, settings]) =>
      [
        name,
        {
          states: 2,
          element: (p, g, [m, v], step) => adamElement(p, g, m as number, v as number, step, settings),
          run: (scalars, parameters, gradients, states) =>
            adamStep(scalars, { parameters, gradients, states }, settings),
        },
      ] as const satisfies readonly [string, Optimizer],
  ),
  ...Object.entries(SGDS).map(
    ([name, settings]) =>
      [
        name,
        {
          states: settings.momentum === 0 ? 0 : 1,
          element: (p, g, [velocity], step) => sgdElement(p, g, velocity ?? 0, step, settings),
          run: (scalars, parameters, gradients, states) =>
            sgdStep(scalars, { parameters, gradients, states }, settings),
        },
      ] as const satisfies readonly [string, Optimizer],
  ),
]

const round = async (values: readonly number[], dtype: Dtype): Promise<number[]> =>
  Array.from((await h.tensor(Float64Array.from(values), { dtype }).data()) as ArrayLike<number>)

/** All steps in doubles; parameters of half precision are rounded after each, as they are stored. */
async function reference(optimizer: Optimizer, dtype: Dtype, scale: number): Promise<number[][]> {
  let parameters = drawAll(1)
  let states = Array.from({ length: optimizer.states }, () => parameters.map((list) => list.map(() => 0)))
  for (let step = 1; step <= STEPS; step++) {
    const gradients = drawAll(step + 1)
    const after = parameters.map((list, k) =>
      list.map((p, i) =>
        optimizer.element(
          p,
          (gradients[k]?.[i] as number) * scale,
          states.map((kind) => kind[k]?.[i] as number),
          step,
        ),
      ),
    )
    parameters = await Promise.all(
      after.map((list) =>
        round(
          list.map(([p]) => p as number),
          dtype,
        ),
      ),
    )
    states = states.map((_, kind) => after.map((list) => list.map((element) => element[kind + 1] as number)))
  }
  return parameters
}

const tensors = (values: readonly (readonly number[])[], dtype: Dtype): h.Tensor[] =>
  values.map((list, k) => h.tensor([...list], { dtype, shape: SHAPES[k] as number[] }))

const stateDtype = (dtype: Dtype): 'f32' | 'f64' => (dtype === 'f64' ? 'f64' : 'f32')
const zeros = (optimizer: Optimizer, dtype: Dtype): h.Tensor[][] =>
  Array.from({ length: optimizer.states }, () => SHAPES.map((shape) => h.zeros(shape, { dtype: stateDtype(dtype) })))

const scalars = (step: h.Tensor, scaled: boolean): StepScalars => ({
  lr: h.full([], LR, { dtype: 'f64' }),
  step,
  ...(scaled ? { gradScale: h.full([], SCALE, { dtype: 'f64' }) } : {}),
})

async function uncompiled(optimizer: Optimizer, dtype: Dtype, scaled: boolean): Promise<h.Tensor[]> {
  let [parameters, states]: [readonly h.Tensor[], readonly (readonly h.Tensor[])[]] = [
    tensors(drawAll(1), dtype),
    zeros(optimizer, dtype),
  ]
  for (let step = 1; step <= STEPS; step++) {
    const number = h.full([], step, { dtype: 'i64' })
    ;({ parameters, states } = optimizer.run(
      scalars(number, scaled),
      parameters,
      tensors(drawAll(step + 1), dtype),
      states,
    ))
  }
  return [...parameters]
}

/** In place on cells, as the optimizers of people do it. */
async function compiled(optimizer: Optimizer, dtype: Dtype, scaled: boolean): Promise<h.Tensor[]> {
  const parameters = tensors(drawAll(1), dtype).map((x) => new h.Parameter(x))
  const states = zeros(optimizer, dtype).map((kind) => kind.map((x) => new h.Cell(x)))
  const count = new h.Cell(h.full([], 0, { dtype: 'i64' }))
  const step = h.compile((gradients: h.Tensor[]) => {
    count.assign(count.add(1) as h.Tensor<'i64'>)
    const after = optimizer.run(scalars(count, scaled), parameters, gradients, states)
    h.assign([
      ...parameters.map((cell, i) => [cell, after.parameters[i] as h.Tensor] as const),
      ...states.flatMap((kind, k) => kind.map((cell, i) => [cell, after.states[k]?.[i] as h.Tensor] as const)),
    ])
    return h.sum(parameters[0] as h.Tensor)
  })
  for (let i = 1; i <= STEPS; i++) await step(tensors(drawAll(i + 1), dtype))
  return parameters
}

const read = (list: readonly h.Tensor[]): Promise<number[][]> =>
  Promise.all(list.map(async (x) => Array.from((await x.data()) as ArrayLike<number>)))

describe.each(OPTIMIZERS)('%s', (_, optimizer) => {
  describe.each(['f32', 'f64', 'bf16', 'f16'] as const)('%s', (dtype) => {
    it.each([false, true])('follows the formulas, gradients scaled: %s', async (scaled) => {
      const wanted = await reference(optimizer, dtype, scaled ? SCALE : 1)
      const found = await read(await uncompiled(optimizer, dtype, scaled))
      const [rtol, atol] = TOLERANCE[dtype]
      found.forEach((list, k) => {
        expect(list.length).toBe(wanted[k]?.length)
        list.forEach((x, i) => {
          const y = wanted[k]?.[i] as number
          if (!(Math.abs(x - y) <= atol + rtol * Math.abs(y)))
            expect.fail(`parameter ${k}, element ${i} is ${x}, the reference says ${y}`)
        })
      })
      expect(await read(await compiled(optimizer, dtype, scaled))).toEqual(found)
    })
  })
})

describe('more tensors than a launch takes', () => {
  const dtypes = ['f32', 'bf16', 'f64', 'f16'] as const
  const random = generator(3)
  const list = Array.from({ length: 230 }, (_, i) => ({
    dtype: dtypes[i % 4] as Dtype,
    // Gradients are exact in every dtype.
    values: Array.from({ length: (i * 5) % 37 }, () => Math.round((random() * 4 - 2) * 64) / 64),
  }))
  const make = (change: (x: number) => number, dtypeOf = (dtype: Dtype): Dtype => dtype): h.Tensor[] =>
    list.map(({ dtype, values }) => h.tensor(values.map(change), { dtype: dtypeOf(dtype), shape: [values.length] }))

  it.each(OPTIMIZERS)('%s, of several dtypes, gradients at odd elements', async (_, optimizer) => {
    const padded = list.map(({ dtype, values }) => h.tensor([0, ...values], { dtype }))
    const states = Array.from({ length: optimizer.states }, () => make(() => 0.5, stateDtype))
    const step = h.full([], 2, { dtype: 'i64' })
    // Compiled, so that one run gives all: read one by one, each result would take a run of its own.
    const update = h.compile((parameters: h.Tensor[], before: h.Tensor[], kept: h.Tensor[][]) => {
      const gradients = before.map((gradient) => h.slice(gradient, [1]))
      return optimizer.run(scalars(step, true), parameters, gradients, kept).parameters
    })
    const found = await read(
      await update(
        make(() => 1),
        padded,
        states,
      ),
    )
    list.forEach(({ dtype, values }, k) => {
      const [rtol, atol] = TOLERANCE[dtype]
      const wanted = values.map(
        (g) => optimizer.element(1, g * SCALE, new Array<number>(optimizer.states).fill(0.5), 2)[0] as number,
      )
      expect(found[k]?.length).toBe(values.length)
      const far = wanted.findIndex((x, i) => !(Math.abs((found[k]?.[i] as number) - x) <= atol + rtol * Math.abs(x)))
      expect(far, `element ${far} of tensor ${k}, ${dtype}`).toBe(-1)
    })
  })

  it('globalNorm', async () => {
    const wanted = Math.sqrt(list.flatMap(({ values }) => values).reduce((sum, x) => sum + x * x, 0))
    const found = Number(await h.globalNorm(make((x) => x)).item())
    expect(Math.abs(found - wanted)).toBeLessThanOrEqual(1.3e-6 * wanted)
  })
})

describe('globalNorm', () => {
  it.each(['f32', 'f64', 'bf16', 'f16'] as const)('of many %s tensors', async (dtype) => {
    const values = drawAll(9)
    const wanted = Math.sqrt(values.flat().reduce((sum, x) => sum + x * x, 0))
    const found = Number(await h.globalNorm(tensors(values, dtype)).item())
    expect(Math.abs(found - wanted)).toBeLessThanOrEqual(1e-5 + 1.3e-6 * wanted)
    const step = h.compile((list: h.Tensor[]) => h.globalNorm(list))
    expect(Number(await (await step(tensors(values, dtype))).item())).toBe(found)
  })

  it('of a long tensor and of a view that starts at an odd element', async () => {
    const random = generator(5)
    const values = Array.from({ length: 70_001 }, () => Math.round((random() * 4 - 2) * 64) / 64)
    const wanted = Math.sqrt(
      values.reduce((sum, x) => sum + x * x, 0) + values.slice(1).reduce((sum, x) => sum + x * x, 0),
    )
    const long = h.tensor(values, { dtype: 'bf16' })
    const found = Number(await h.globalNorm([long, h.slice(h.tensor(values), [1])]).item())
    expect(Math.abs(found - wanted)).toBeLessThanOrEqual(1.3e-6 * wanted)
  })

  it('passes on NaN and infinity', async () => {
    expect(await h.globalNorm([h.tensor([1, Number.NaN, 2])]).item()).toBeNaN()
    expect(await h.globalNorm([h.tensor([1, Number.NEGATIVE_INFINITY])]).item()).toBe(Number.POSITIVE_INFINITY)
  })

  it('keeps what squares in f32 would lose', async () => {
    expect(await h.globalNorm([h.full([9], 1e-30)]).item()).toBe(Math.fround(3 * Math.fround(1e-30)))
  })

  it('does not overflow where the squares do', async () => {
    expect(await h.globalNorm([h.full([4], 1e30), h.full([5], 1e30)]).item()).toBe(Math.fround(3 * Math.fround(1e30)))
  })
})
