// The exponential moving average: inside compiled steps, swapped in and out, its state.
import { describe, expect, it } from 'vitest'
import {
  ArgumentError,
  cast,
  compile,
  grad,
  optim,
  Parameter,
  type Tensor,
  TraceError,
  tensor,
} from '../../lib/index.js'

const numbers = async (x: Tensor): Promise<number[]> => Array.from((await x.data()) as ArrayLike<number>)

describe('ExponentialMovingAverage', () => {
  it('takes what the step before it assigned, in one compiled function', async () => {
    const p = new Parameter(tensor([4]))
    const sgd = new optim.SGD([p], { lr: 1 })
    const average = new optim.ExponentialMovingAverage([p], { decay: 0.5 })
    const step = compile(() => {
      sgd.step(grad(p.sum(), [p]))
      average.update()
    })
    await step()
    await step()
    average.swap()
    // 4 -> (4 + 3) / 2 -> (3.5 + 2) / 2.
    expect(await numbers(p)).toEqual([2.75])
    average.restore()
    expect(await numbers(p)).toEqual([2])
    await step()
    expect(await numbers(p)).toEqual([1])
    expect(step.traces).toHaveLength(1)
  })

  it('weighs the first values less with a warmup', async () => {
    const p = new Parameter(tensor([0], { dtype: 'f64' }))
    const average = new optim.ExponentialMovingAverage([p], { decay: 0.2, warmup: true })
    p.assign(tensor([1], { dtype: 'f64' }))
    average.update()
    average.update()
    average.update()
    average.swap()
    // 1 - 1/10 * 2/11 * min(1/5, 3/12).
    expect((await numbers(p))[0]).toBeCloseTo(1 - (1 / 10) * (2 / 11) * 0.2, 12)
  })

  it('of 16-bit parameters is kept in f32, and resumes', async () => {
    const make = (): [Parameter, optim.ExponentialMovingAverage] => {
      const p = new Parameter(cast(tensor([1]), 'bf16'))
      return [p, new optim.ExponentialMovingAverage([p], { decay: 0.999 })]
    }
    const [p, average] = make()
    p.assign(cast(tensor([2]), 'bf16'))
    for (let i = 0; i < 10; i++) average.update()
    const state = await average.stateDict()
    expect(state['average.0']?.dtype).toBe('f32')
    expect(Number(state['average.0']?.data[0])).toBeCloseTo(2 - 0.999 ** 10, 6)
    const [, other] = make()
    other.loadStateDict(state)
    expect(await other.stateDict()).toEqual(state)
  })

  it('refuses what it can not do', () => {
    const p = new Parameter(tensor([1]))
    const average = new optim.ExponentialMovingAverage([p])
    expect(() => average.restore()).toThrow(/swap first/)
    average.swap()
    expect(() => average.swap()).toThrow(/already/)
    expect(() => average.update()).toThrow(/restore first/)
    expect(() => new optim.ExponentialMovingAverage([])).toThrow(ArgumentError)
    expect(() => new optim.ExponentialMovingAverage([p], { decay: 2 })).toThrow(ArgumentError)
    expect(() => new optim.ExponentialMovingAverage([tensor([1]) as Parameter])).toThrow(/parameters/)
  })

  it('refuses a compiled update while it is swapped', async () => {
    const p = new Parameter(tensor([1]))
    const average = new optim.ExponentialMovingAverage([p])
    const step = compile(() => average.update())
    await step()
    average.swap()
    await expect(step()).rejects.toThrow(/restore first/)
    average.restore()
    await step()
    expect(step.traces).toHaveLength(1)
  })

  it('is not swapped inside a compiled function', async () => {
    const average = new optim.ExponentialMovingAverage([new Parameter(tensor([1]))])
    await expect(compile(() => average.swap())()).rejects.toThrow(TraceError)
  })
})
