// What every optimizer has in common: 16-bit parameters, scaled gradients, groups, frozen parameters, state, errors.
import { describe, expect, it } from 'vitest'
import {
  ArgumentError,
  all,
  Cell,
  cast,
  compile,
  full,
  Gradients,
  grad,
  isFinite,
  logicalAnd,
  mul,
  optim,
  Parameter,
  type Tensor,
  tensor,
} from '../../lib/index.js'

type Make = (parameters: Iterable<Parameter> | Iterable<optim.ParameterGroup>) => optim.Optimizer
const OPTIMIZERS: readonly (readonly [string, Make])[] = [
  ['SGD', (p) => new optim.SGD(p, { lr: 0.05, momentum: 0.9 })],
  ['Adam', (p) => new optim.Adam(p, { lr: 0.05 })],
  ['AdamW', (p) => new optim.AdamW(p, { lr: 0.05 })],
  ['RMSprop', (p) => new optim.RMSprop(p, { lr: 0.05, momentum: 0.5, centered: true, eps: 1e-3 })],
  ['Adagrad', (p) => new optim.Adagrad(p, { lr: 0.05, lrDecay: 0.1, initialAccumulator: 0.1 })],
  ['Lion', (p) => new optim.Lion(p, { lr: 0.05 })],
  ['LAMB', (p) => new optim.LAMB(p, { lr: 0.05 })],
  ['Adafactor', (p) => new optim.Adafactor(p, { minSizeToFactor: 2, momentum: 0.5 })],
  ['Muon', (p) => new optim.Muon(p, { lr: 0.05 })],
]

const numbers = async (x: Tensor): Promise<number[]> => Array.from((await x.data()) as ArrayLike<number>)
const matrix = (): Tensor => tensor([0.5, -1, 2, 1, 0.25, -0.75], { shape: [2, 3] })
const vector = (): Tensor => tensor([1, -2, 0.5])
const loss = (parameters: readonly Tensor[], scale = 1): Tensor =>
  parameters
    .map((p, i) =>
      p
        .mul(p)
        .mul(0.5 + i)
        .add(p.mul(0.3))
        .sum()
        .mul(scale),
    )
    .reduce((a, b) => a.add(b))

/** Parameters after steps of a compiled function. */
async function run(
  make: Make,
  parameters: Parameter[],
  steps: number,
  change: (gradients: ReturnType<typeof grad>) => ReturnType<typeof grad> = (gradients) => gradients,
): Promise<number[][]> {
  const optimizer = make(parameters)
  const step = compile(() => optimizer.step(change(grad(loss(parameters.map((p) => cast(p, 'f32'))), parameters))))
  for (let i = 0; i < steps; i++) await step()
  return Promise.all(parameters.map(numbers))
}
const pair = (): Parameter[] => [new Parameter(matrix()), new Parameter(vector())]

describe.each(OPTIMIZERS)('%s', (name, make) => {
  it('brings the loss down', async () => {
    const parameters = pair()
    const before = Number(await loss(parameters).item())
    await run(make, parameters, 20)
    expect(Number(await loss(parameters).item())).toBeLessThan(before)
  })

  it.each(['bf16', 'f16'] as const)('keeps its state of %s parameters in f32', async (dtype) => {
    const narrow = [matrix(), vector()].map((x) => new Parameter(cast(x, dtype)))
    const wide = await run(make, pair(), 3)
    const found = await run(make, narrow, 3)
    const tolerance = dtype === 'bf16' ? 0.05 : 0.01
    found.flat().forEach((x, i) => expect(Math.abs(x - (wide.flat()[i] as number))).toBeLessThan(tolerance))
    const optimizer = make(narrow)
    optimizer.step(grad(loss(narrow.map((p) => cast(p, 'f32'))), narrow))
    const state = await optimizer.stateDict()
    for (const [key, { dtype: kept }] of Object.entries(state)) {
      expect([key, kept]).toEqual([key, key === 'step' ? 'i64' : key === 'lr' ? 'f64' : 'f32'])
    }
  })

  it('takes the factor of scaled gradients in passing', async () => {
    const [together, alone] = [pair(), pair()]
    const clip = (gradients: ReturnType<typeof grad>): ReturnType<typeof grad> =>
      optim.clipGradients(gradients, { maxNorm: 0.5 })
    const scaled = await run(make, together, 3, clip)
    const plain = await run(make, alone, 3, (gradients) => clip(gradients).map((gradient) => gradient))
    scaled.flat().forEach((x, i) => expect(x).toBeCloseTo(plain.flat()[i] as number, 5))
  })

  it('has groups with a rate and a decay of their own', async () => {
    const [a, b, c] = [new Parameter(vector()), new Parameter(vector()), new Parameter(vector())]
    const optimizer = make([
      { parameters: [a] },
      { parameters: [b], weightDecay: 0.5 },
      { parameters: [c], lrFactor: 0 },
    ])
    optimizer.step(grad(loss([a, b, c]), [a, b, c]))
    optimizer.step(grad(loss([a, b, c]), [a, b, c]))
    expect(await numbers(a)).not.toEqual(await numbers(b))
    expect(await numbers(c)).toEqual(await numbers(vector()))
  })

  it('leaves frozen parameters and their state alone', async () => {
    const parameters = pair()
    const [frozen, moving] = parameters as [Parameter, Parameter]
    frozen.trainable = false
    const optimizer = make(parameters)
    const before = await optimizer.stateDict()
    optimizer.step(grad(loss([moving]), [moving]))
    expect(await numbers(frozen)).toEqual(await numbers(matrix()))
    expect(await numbers(moving)).not.toEqual(await numbers(vector()))
    const after = await optimizer.stateDict()
    for (const key of Object.keys(before).filter((entry) => entry.endsWith('.0')))
      expect(after[key]).toEqual(before[key])
  })

  it('resumes bit for bit', async () => {
    const start = pair()
    const first = make(start)
    const advance = (optimizer: optim.Optimizer, parameters: Parameter[]): void =>
      optimizer.step(grad(loss(parameters), parameters))
    advance(first, start)
    advance(first, start)
    const [state, values] = [await first.stateDict(), await Promise.all(start.map(numbers))]
    const again = values.map((list, i) => new Parameter(tensor(list, { shape: [...(start[i] as Parameter).shape] })))
    const second = make(again)
    second.loadStateDict(state)
    for (let i = 0; i < 3; i++) {
      advance(first, start)
      advance(second, again)
    }
    expect(await Promise.all(again.map(numbers))).toEqual(await Promise.all(start.map(numbers)))
  })

  const bits = async (parameters: readonly Parameter[], optimizer: optim.Optimizer): Promise<unknown> => [
    await Promise.all(parameters.map((p) => p.bits())),
    await optimizer.stateDict({ bits: true }),
  ]
  describe.each(['f32', 'f16'] as const)('of %s parameters', (dtype) => {
    it.each([true, false])('leaves out a step whose gradients are infinite (compiled: %s)', async (compiled) => {
      const bad = [Number.POSITIVE_INFINITY, Number.NaN]
      const runThrough = async (scales: readonly number[]): Promise<unknown> => {
        const parameters = pair().map((p) => new Parameter(cast(p, dtype)))
        const optimizer = make([{ parameters, weightDecay: 0.01 }])
        const body = (scale: Tensor): void => {
          const gradients = new Gradients(
            parameters.map((p, i) => [p, cast(mul(cast(p, 'f32'), scale.add(i)), dtype)] as const),
          )
          const finite: Tensor[] = [...gradients].map(([, gradient]) => all(isFinite(gradient)))
          const applies = finite.reduce((a, b) => logicalAnd(a, b)) as Tensor<'bool'>
          optimizer.step(new optim.ScaledGradients(gradients, full([], 0.5), applies))
        }
        const step = compiled ? compile(body) : body
        for (const scale of scales) {
          const before = await bits(parameters, optimizer)
          await step(tensor(scale))
          const after = await bits(parameters, optimizer)
          if (bad.includes(scale)) expect(after).toEqual(before)
          else expect(after).not.toEqual(before)
        }
        return bits(parameters, optimizer)
      }
      const interrupted = await runThrough([bad[0] as number, 1, bad[0] as number, 2, bad[1] as number, 0.5])
      expect(interrupted).toEqual(await runThrough([1, 2, 0.5]))
    })
  })

  it('updates in place where it is compiled', async () => {
    const parameters = pair()
    const optimizer = make(parameters)
    // Gradients that are stored, as those of a network are.
    const gradients = new Gradients(parameters.map((p) => [p, new Cell(p)]))
    const step = compile(() => optimizer.step(gradients))
    await step()
    const copies = (step.plan?.toString() ?? '').split('\n').filter((line) => line.includes('copy'))
    // The step count is the only cell whose next value has to wait until its present one has been read.
    expect(copies.filter((line) => !line.includes(`${name}_step`))).toEqual([])
  })
})

describe('state dicts', () => {
  it('of a learning rate in f32 still load', async () => {
    const adam = new optim.Adam([new Parameter(vector())])
    const state = await adam.stateDict()
    adam.loadStateDict({ ...state, lr: { data: Float32Array.of(0.25), shape: [], dtype: 'f32' } })
    expect(adam.lr).toBe(0.25)
  })

  it('of Adafactor hold the means of rows and columns of long axes alone', async () => {
    const parameters = [new Parameter(tensor(new Array(6).fill(1), { shape: [2, 3] })), new Parameter(vector())]
    const state = await new optim.Adafactor(parameters, { minSizeToFactor: 2 }).stateDict()
    expect(Object.fromEntries(Object.entries(state).map(([key, { shape }]) => [key, shape]))).toEqual({
      step: [],
      lr: [],
      'rows.0': [2],
      'columns.0': [3],
      'square.1': [3],
    })
  })
})

describe('options', () => {
  it('out of range are refused', () => {
    const p = [new Parameter(vector())]
    expect(() => new optim.RMSprop(p, { alpha: 1.5 })).toThrow(ArgumentError)
    expect(() => new optim.Adagrad(p, { initialAccumulator: -1 })).toThrow(ArgumentError)
    expect(() => new optim.Lion(p, { betas: [0.9, 1] })).toThrow(/below 1/)
    expect(() => new optim.LAMB(p, { eps: -1 })).toThrow(ArgumentError)
    expect(() => new optim.Adafactor(p, { clippingThreshold: 0.5 })).toThrow(/clippingThreshold/)
    expect(() => new optim.Muon(p, { iterations: 0 })).toThrow(ArgumentError)
    expect(() => new optim.Muon(p, { matrices: () => true })).toThrow(/fewer than two axes/)
  })
})

describe('Muon', () => {
  it('moves a matrix by one whose singular values lie near 1', async () => {
    const p = new Parameter(tensor([0, 0, 0, 0], { shape: [2, 2] }))
    const target = tensor([3, 0, 0, -0.2], { shape: [2, 2] })
    new optim.Muon([p], { lr: 1 }).step(grad(p.mul(target).sum(), [p]))
    const [a, b, c, d] = (await numbers(p)) as [number, number, number, number]
    for (const size of [-a, d]) expect(Math.abs(size - 1)).toBeLessThan(0.4)
    expect(Math.max(Math.abs(b), Math.abs(c))).toBeLessThan(1e-5)
  })

  it('takes kernels as matrices [out, all others] where it is told to', async () => {
    const p = new Parameter(
      tensor(
        Array.from({ length: 16 }, (_, i) => Math.sin(i)),
        { shape: [2, 2, 2, 2] },
      ),
    )
    const optimizer = new optim.Muon([p], { matrices: ({ shape }) => shape.length > 1 })
    expect(Object.keys(await optimizer.stateDict())).toEqual(['step', 'lr', 'momentum.0'])
    optimizer.step(grad(p.mul(p).sum(), [p]))
    expect(await numbers(p)).not.toContain(Number.NaN)
  })
})
