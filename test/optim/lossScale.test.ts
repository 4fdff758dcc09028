// Loss scaling: its rules against a model of PyTorch's, what it does to a step, clipping with it, state, errors.
import { describe, expect, it } from 'vitest'
import {
  ArgumentError,
  autocast,
  cast,
  compile,
  DTypeError,
  Gradients,
  grad,
  optim,
  Parameter,
  ShapeError,
  StateDictError,
  type Tensor,
  tensor,
  zeros,
} from '../../lib/index.js'

const { LossScale, SGD, ScaledGradients, clipGradients } = optim
const numbers = async (x: Tensor): Promise<number[]> => Array.from((await x.data()) as ArrayLike<number>)
const scalar = async (x: Tensor): Promise<number> => Number(await x.item())
const vector = (): Parameter => new Parameter(tensor([1, -2, 0.5]))

/** torch.amp.GradScaler's update. */
class Model {
  streak = 0
  skipped = 0
  constructor(
    public scale: number,
    private readonly growth: number,
    private readonly backoff: number,
    private readonly interval: number,
  ) {}
  update(finite: boolean): void {
    if (!finite) {
      this.scale = Math.max(Math.fround(this.scale * this.backoff), 2 ** -126)
      this.streak = 0
      this.skipped++
    } else if (++this.streak === this.interval) {
      const grown = Math.fround(this.scale * this.growth)
      if (Number.isFinite(grown)) this.scale = grown
      this.streak = 0
    }
  }
}

/** Gradients of their own, without a network. */
const step = (p: Parameter, scaler: optim.LossScale, sgd: optim.SGD) => (gradient: Tensor) =>
  sgd.step(scaler.unscale(new Gradients([[p, gradient]])))

describe('the scale', () => {
  const bad = new Set([0, 1, 7, 20, 21, 22, 40, 41, 60, 99])
  const options = [
    {},
    { initial: 1024, growthFactor: 1.7, backoffFactor: 0.3, growthInterval: 3 },
    { initial: 1e38, growthInterval: 2 },
    { initial: 2 ** -124, growthInterval: 50 },
  ]
  it.each(options)('follows GradScaler over 100 steps with %o', async (given) => {
    const p = vector()
    const scaler = new LossScale(given)
    const run = compile(step(p, scaler, new SGD([p], { lr: 0.5 })))
    const { initial = 65536, growthFactor = 2, backoffFactor = 0.5, growthInterval = 2000 } = given
    const model = new Model(Math.fround(initial), growthFactor, backoffFactor, growthInterval)
    const [found, wanted]: [number[][], number[][]] = [[], []]
    for (let i = 0; i < 100; i++) {
      const worst = i % 2 === 0 ? Number.POSITIVE_INFINITY : Number.NaN
      await run(tensor([1, bad.has(i) ? worst : 2, 3]))
      model.update(!bad.has(i))
      const { scale, streak, skipped } = await scaler.stateDict()
      found.push([scale, streak, skipped].map((state) => Number(state?.data[0])))
      wanted.push([model.scale, model.streak, model.skipped])
    }
    expect(found).toEqual(wanted)
    expect(run.traces).toHaveLength(1)
    expect(await scalar(scaler.skipped)).toBe(bad.size)
    expect(await scalar(scaler.value)).toBe(model.scale)
  })

  it('multiplies a loss, and its gradients are those of the loss in the end', async () => {
    const [p, q] = [vector(), vector()]
    const scaler = new LossScale()
    const [scaled, plain] = [new SGD([p], { lr: 0.1 }), new SGD([q], { lr: 0.1 })]
    const loss = (x: Tensor): Tensor => x.mul(x).sum()
    const both = compile(() => {
      scaled.step(scaler.unscale(grad(scaler.scale(loss(p)), [p])))
      plain.step(grad(loss(q), [q]))
    })
    for (let i = 0; i < 3; i++) await both()
    expect(await numbers(p)).toEqual(await numbers(q))
    scaled.step(scaler.unscale(grad(scaler.scale(loss(p)), [p])))
    plain.step(grad(loss(q), [q]))
    expect(await numbers(p)).toEqual(await numbers(q))
    expect(await scalar(scaler.scale(tensor(2)))).toBe(2 * 65536)
    expect(await scalar(scaler.scale(cast(tensor(2), 'f16')))).toBe(2 * 65536)
  })

  it('finds the largest scale that f16 gradients bear', async () => {
    const p = new Parameter(cast(tensor([0.5, -0.25]), 'f16'))
    const scaler = new LossScale({ initial: 2 ** 20, growthInterval: 1000 })
    const sgd = new SGD([p], { lr: 0.125 })
    const run = compile((x: Tensor) =>
      autocast('f16', () => sgd.step(scaler.unscale(grad(scaler.scale(cast(p.mul(x), 'f32').sum()), [p])))),
    )
    const x = cast(tensor([1, 3]), 'f16')
    for (let i = 0; i < 10; i++) await run(x)
    // 3 times 16384 is below f16's 65504, 3 times 32768 is not; six steps were left out on the way down.
    expect(await scalar(scaler.value)).toBe(16384)
    expect(await scalar(scaler.skipped)).toBe(6)
    expect(await sgd.steps.item()).toBe(4n)
    expect(await numbers(p)).toEqual([0, -1.75])
  })

  it.each(['f32', 'bf16', 'f64'] as const)('takes the largest finite %s gradients', async (dtype) => {
    const p = new Parameter(cast(tensor([1, 1, 1, 1]), dtype))
    const scaler = new LossScale({ initial: 1 })
    const sgd = new SGD([p], { lr: 0 })
    const largest = dtype === 'f64' ? 1e308 : 3.3e38
    const run = step(p, scaler, sgd)
    run(cast(tensor(new Float64Array(4).fill(-largest)), dtype))
    expect(await sgd.steps.item()).toBe(1n)
    run(cast(tensor(Float64Array.of(1, 2, Number.NEGATIVE_INFINITY, 0)), dtype))
    expect([await sgd.steps.item(), await scalar(scaler.skipped)]).toEqual([1n, 1])
  })
})

describe('clipping', () => {
  const gradient = [3, -4, 12]
  const of = (p: Parameter, data: readonly number[]): Gradients => new Gradients([[p, tensor(data)]])
  const clipped = async (
    data: readonly number[],
    clip: (gradients: Gradients) => optim.ScaledGradients,
  ): Promise<number[]> => {
    const p = vector()
    const sgd = new SGD([p], { lr: 1 })
    const given = of(p, data)
    await compile(() => sgd.step(clip(given)))()
    return numbers(p)
  }

  it('takes the unscaled norm', async () => {
    const plain = await clipped(gradient, (gradients) => clipGradients(gradients, { maxNorm: 1 }))
    for (const initial of [1, 65536, 2 ** 100]) {
      const large = gradient.map((x) => x * initial)
      const scaler = new LossScale({ initial })
      const clip = (gradients: Gradients): optim.ClippedGradients =>
        clipGradients(scaler.unscale(gradients), { maxNorm: 1 })
      expect(await clipped(large, clip)).toEqual(plain)
      const scaled = clip(of(vector(), large))
      expect([scaled.norm.dtype, await scalar(scaled.norm)]).toEqual(['f32', 13])
      expect(scaled.applies && (await scaled.applies.item())).toBe(true)
    }
  })

  it('may come before', async () => {
    const scaler = new LossScale({ initial: 2 })
    const found = await clipped(gradient, (gradients) => scaler.unscale(clipGradients(gradients, { maxNorm: 6.5 })))
    const wanted = [1 - 0.75, -2 + 1, 0.5 - 3]
    found.forEach((x, i) => expect(x).toBeCloseTo(wanted[i] as number, 6))
  })

  it('keeps the condition, as changing the gradients does', async () => {
    const [p, q] = [vector(), vector()]
    const sgd = new SGD([p], { lr: 1 })
    const scaler = new LossScale()
    const infinite = new Gradients([[p, tensor([1, Number.POSITIVE_INFINITY, 2])]])
    sgd.step(clipGradients(scaler.unscale(infinite), { maxNorm: 1 }))
    sgd.step(scaler.unscale(infinite).map((x) => x.add(1)))
    sgd.step(new ScaledGradients(scaler.unscale(infinite), tensor(2)))
    expect(await numbers(p)).toEqual(await numbers(q))
    expect([await sgd.steps.item(), await scalar(scaler.skipped)]).toEqual([0n, 3])
    expect(await scalar(scaler.value)).toBe(8192)
  })

  it('does not lose a factor that 16 bits can not hold', async () => {
    const p = new Parameter(cast(tensor([1]), 'f16'))
    const scaled = new LossScale({ initial: 2 ** 26 }).unscale(new Gradients([[p, cast(tensor([2 ** 15]), 'f16')]]))
    expect(await numbers(scaled.get(p))).toEqual([2 ** -11])
  })
})

describe('a scaler', () => {
  it('resumes where it was', async () => {
    const p = vector()
    const first = new LossScale({ growthInterval: 3 })
    const sgd = new SGD([p], { lr: 0 })
    for (const x of [1, Number.NaN, 1, 1]) step(p, first, sgd)(tensor([x, 0, 0]))
    const state = await first.stateDict()
    const second = new LossScale({ growthInterval: 3 })
    second.loadStateDict(state)
    expect(await second.stateDict()).toEqual(state)
    step(p, second, sgd)(tensor([1, 0, 0]))
    expect([await scalar(second.value), await scalar(second.skipped)]).toEqual([65536, 1])
    expect(() => second.loadStateDict({})).toThrow(StateDictError)
  })

  it.each([
    [{ initial: 0 }, /initial/],
    [{ initial: 1e39 }, /initial/],
    [{ growthFactor: 1 }, /growthFactor/],
    [{ growthFactor: Number.POSITIVE_INFINITY }, /growthFactor/],
    [{ backoffFactor: 0 }, /backoffFactor/],
    [{ backoffFactor: 1 }, /backoffFactor/],
    [{ growthInterval: 0 }, /growthInterval/],
    [{ growthInterval: 1.5 }, /growthInterval/],
    [{ growthInterval: 2 ** 31 }, /growthInterval/],
  ])('refuses %o', (options, message) => {
    expect(() => new LossScale(options)).toThrow(ArgumentError)
    expect(() => new LossScale(options)).toThrow(message)
  })

  it('refuses what are no gradients, and conditions that are none', () => {
    const scaler = new LossScale()
    expect(() => scaler.unscale([] as never)).toThrow(ArgumentError)
    expect(() => scaler.unscale(new Gradients([]))).toThrow(/no gradients/)
    expect(() => new ScaledGradients(new Gradients([]), tensor(1), tensor(1) as never)).toThrow(DTypeError)
    const list = zeros([2], { dtype: 'bool' }) as Tensor<'bool'>
    expect(() => new ScaledGradients(new Gradients([]), tensor(1), list)).toThrow(ShapeError)
  })
})
