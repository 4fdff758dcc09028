// Optimizers as people use them: rates and schedules, groups, clipping, state, errors.
import { describe, expect, it } from 'vitest'
import {
  ArgumentError,
  compile,
  GradientError,
  grad,
  optim,
  Parameter,
  StateDictError,
  schedule,
  type Tensor,
  tensor,
} from '../../lib/index.js'

const numbers = async (x: Tensor): Promise<number[]> => Array.from((await x.data()) as ArrayLike<number>)
const loss = (...parameters: readonly Tensor[]): Tensor => parameters.map((p) => p.sum()).reduce((a, b) => a.add(b))

describe('learning rates', () => {
  it('are set between steps without a new trace', async () => {
    const p = new Parameter(tensor([1, 2]))
    const sgd = new optim.SGD([p], { lr: 0.5 })
    const step = compile(() => sgd.step(grad(loss(p), [p])))
    await step()
    expect(await numbers(p)).toEqual([0.5, 1.5])
    sgd.lr = 0.25
    await step()
    expect(await numbers(p)).toEqual([0.25, 1.25])
    expect(step.traces).toHaveLength(1)
    expect(sgd.lr).toBe(0.25)
    expect(() => {
      sgd.lr = -1
    }).toThrow(ArgumentError)
  })

  it('follow a schedule inside one trace, and a number after it traces again', async () => {
    const p = new Parameter(tensor([0]))
    const sgd = new optim.SGD([p], { lr: schedule.linear({ start: 1, end: 0, total: 4 }) })
    const step = compile(() => sgd.step(grad(loss(p), [p])))
    const path: number[] = []
    for (let i = 0; i < 6; i++) {
      await step()
      path.push(...(await numbers(p)))
    }
    expect(path).toEqual([-1, -1.75, -2.25, -2.5, -2.5, -2.5])
    expect(step.traces).toHaveLength(1)
    sgd.lr = 0.5
    await step()
    expect(await numbers(p)).toEqual([-3])
    expect(step.traces).toHaveLength(2)
    expect(await sgd.steps.item()).toBe(7n)
  })

  const at = async (rate: optim.Schedule, steps: readonly number[], total?: number): Promise<number[]> =>
    Promise.all(steps.map(async (step) => Number(await rate(tensor(step, { dtype: 'f64' }), total).item())))

  it('have the values of their formulas', async () => {
    const close = (found: readonly number[], wanted: readonly number[]): void =>
      found.forEach((x, i) => expect(x).toBeCloseTo(wanted[i] as number, 12))
    close(await at(schedule.constant(0.3), [0, 100]), [0.3, 0.3])
    close(await at(schedule.cosine({ peak: 2, end: 1, total: 10 }), [0, 5, 10, 20]), [2, 1.5, 1, 1])
    close(await at(schedule.warmupCosine({ peak: 1, warmup: 4 }), [0, 1, 3, 4, 8, 12], 12), [0.25, 0.5, 1, 1, 0.5, 0])
    close(await at(schedule.step({ initial: 1, factor: 0.5, every: 3 }), [0, 2, 3, 5, 6]), [1, 1, 0.5, 0.5, 0.25])
    close(await at(schedule.exponential({ initial: 1, factor: 0.25, every: 2 }), [0, 1, 2]), [1, 0.5, 0.25])
    // Ten steps, three of them up: peak at step 2, the last at step 9.
    close(await at(schedule.oneCycle({ peak: 1, total: 10 }), [0, 1, 2, 9]), [0.04, 0.52, 1, 4e-6])
    await expect(at(schedule.warmupCosine({ peak: 1, warmup: 4 }), [0])).rejects.toThrow(/needs the number of steps/)
  })

  it('keep stairs exact over many steps', async () => {
    const steps = Array.from({ length: 200 }, (_, i) => i * 49)
    const rate = schedule.step({ initial: 1, factor: 0.9, every: 49 })
    const found = await at(rate, steps)
    steps.forEach((step, i) => expect(found[i]).toBeCloseTo(0.9 ** (step / 49), 12))
  })
})

describe('groups', () => {
  it('have a rate factor and a decay of their own', async () => {
    const [a, b] = [new Parameter(tensor([1])), new Parameter(tensor([1]))]
    const sgd = new optim.SGD([{ parameters: [a] }, { parameters: [b], lrFactor: 0.5, weightDecay: 1 }], { lr: 0.5 })
    sgd.step(grad(loss(a, b), [a, b]))
    expect(await numbers(a)).toEqual([0.5])
    expect(await numbers(b)).toEqual([0.5])
  })

  it('refuse a parameter twice, none, and gradients that do not fit', () => {
    const [a, b] = [new Parameter(tensor([1])), new Parameter(tensor([1]))]
    expect(() => new optim.AdamW([{ parameters: [a] }, { parameters: [a] }])).toThrow(/twice/)
    expect(() => new optim.AdamW([])).toThrow(/no parameters/)
    expect(() => new optim.Adam([a], { betas: [0.9, 1] })).toThrow(ArgumentError)
    expect(() => new optim.SGD([a], { lr: 0.1, nesterov: true })).toThrow(/momentum above 0/)
    const adam = new optim.Adam([a])
    expect(() => adam.step(grad(loss(a, b), [a, b]))).toThrow(GradientError)
    expect(() => adam.step(grad(loss(b), [b]))).toThrow(GradientError)
    expect(() => new optim.Adam([a, b]).step(grad(loss(a), [a]))).toThrow(GradientError)
  })
})

describe('clipping', () => {
  it('scales by the global norm, alone and in the kernel alike', async () => {
    const make = (): Parameter[] => [new Parameter(tensor([1, 1])), new Parameter(tensor([[1]]))]
    const gradients = (p: readonly Parameter[]): ReturnType<typeof grad> =>
      grad(loss((p[0] as Parameter).mul(tensor([2, 3])), (p[1] as Parameter).mul(6)), p)
    const [inKernel, alone] = [make(), make()]
    const clipped = optim.clipGradients(gradients(inKernel), { maxNorm: 3.5 })
    expect(await clipped.norm.item()).toBe(7)
    expect((await numbers(clipped.get(inKernel[1] as Parameter)))[0]).toBeCloseTo(3, 5)
    new optim.SGD(inKernel, { lr: 1 }).step(clipped)
    new optim.SGD(alone, { lr: 1 }).step(optim.clipGradients(gradients(alone), { maxNorm: 3.5 }).map((g) => g))
    expect(await numbers(inKernel[0] as Parameter)).toEqual(await numbers(alone[0] as Parameter))
    expect((await numbers(inKernel[0] as Parameter))[1]).toBeCloseTo(-0.5, 5)
  })

  it('leaves small gradients as they are', async () => {
    const p = new Parameter(tensor([1]))
    const clipped = optim.clipGradients(grad(loss(p), [p]), { maxNorm: 2 })
    expect(await clipped.scale.item()).toBe(1)
    expect(await numbers(clipped.get(p))).toEqual([1])
  })
})

describe('penalties', () => {
  it('are sums of absolute values and of squares', async () => {
    const [a, b] = [new Parameter(tensor([1, -2])), new Parameter(tensor([[3]]))]
    expect(await optim.l1Penalty([a, b]).item()).toBe(6)
    expect(await optim.l2Penalty([a, b]).item()).toBe(14)
    expect(await numbers(grad(optim.l1Penalty([a]), [a]).get(a))).toEqual([1, -1])
    expect(() => optim.l2Penalty([])).toThrow(ArgumentError)
  })
})

describe('state', () => {
  it('resumes bit for bit', async () => {
    const make = (): { p: Parameter; adam: optim.Adam; step: () => void } => {
      const p = new Parameter(tensor([1, -1, 2]))
      const adam = new optim.Adam([p], { lr: 0.1, weightDecay: 0.01 })
      return { p, adam, step: () => adam.step(grad(p.mul(p).sum(), [p])) }
    }
    const [a, b] = [make(), make()]
    for (let i = 0; i < 3; i++) a.step()
    b.p.write((await a.p.data()) as Float32Array)
    b.adam.loadStateDict(await a.adam.stateDict())
    for (const { step } of [a, b]) step()
    expect(await numbers(b.p)).toEqual(await numbers(a.p))
    expect(await b.adam.stateDict()).toEqual(await a.adam.stateDict())
    expect(() => a.adam.loadStateDict({})).toThrow(StateDictError)
  })
})

describe('a compiled step', () => {
  it('updates parameters and moments in place', async () => {
    const parameters = [new Parameter(tensor([1, 2, 3])), new Parameter(tensor([[4]]))]
    const adamw = new optim.AdamW(parameters)
    const step = compile(() => adamw.step(grad(loss(...parameters.map((p) => p.mul(p))), parameters)))
    await step()
    const copies = (step.plan?.toString() ?? '').split('\n').filter((line) => line.includes('copy'))
    // The step count is the only cell whose next value has to wait until its present one has been read.
    expect(copies.filter((line) => !line.includes('AdamW_step'))).toEqual([])
  })
})
