// L-BFGS: closures, frozen parameters, state, errors. Its path is compared in conformance.test.ts.
import { describe, expect, it } from 'vitest'
import { ArgumentError, compile, grad, optim, Parameter, type Tensor, tensor } from '../../lib/index.js'

const numbers = async (x: Tensor): Promise<number[]> => Array.from((await x.data()) as ArrayLike<number>)
const bowl = (p: Tensor): Tensor =>
  p
    .sub(1)
    .mul(p.sub(1))
    .mul(tensor([1, 4, 9]))
    .sum()

describe('LBFGS', () => {
  it('finds a minimum, with f32 parameters and a plain closure', async () => {
    const p = new Parameter(tensor([3, -2, 5]))
    const lbfgs = new optim.LBFGS([p], { lineSearch: 'strongWolfe' })
    const closure = (): optim.Evaluation => {
      const loss = bowl(p)
      return { loss, gradients: grad(loss, [p]) }
    }
    expect(await lbfgs.step(closure)).toBe(4 + 36 + 144)
    for (const x of await numbers(p)) expect(x).toBeCloseTo(1, 4)
    const before = await numbers(p)
    await lbfgs.step(closure)
    for (const [i, x] of (await numbers(p)).entries()) expect(x).toBeCloseTo(before[i] as number, 4)
  })

  it('refuses gradients with a condition', async () => {
    const p = new Parameter(tensor([3, -2, 5]))
    const lbfgs = new optim.LBFGS([p])
    const scaler = new optim.LossScale()
    const closure = (): optim.Evaluation => {
      const loss = bowl(p)
      return { loss, gradients: scaler.unscale(grad(scaler.scale(loss), [p])) }
    }
    await expect(lbfgs.step(closure)).rejects.toThrow(ArgumentError)
    await expect(lbfgs.step(closure)).rejects.toThrow(/without a condition/)
    expect(await numbers(p)).toEqual([3, -2, 5])
  })

  it('leaves frozen parameters alone', async () => {
    const [p, frozen] = [new Parameter(tensor([3, -2, 5])), new Parameter(tensor([2]))]
    frozen.trainable = false
    const lbfgs = new optim.LBFGS([frozen, p], { lineSearch: 'strongWolfe' })
    await lbfgs.step(() => {
      const loss = bowl(p).mul(frozen.sum())
      return { loss, gradients: grad(loss, [p]) }
    })
    expect(await numbers(frozen)).toEqual([2])
    for (const x of await numbers(p)) expect(x).toBeCloseTo(1, 4)
  })

  it('resumes bit for bit', async () => {
    const make = (values: readonly number[]) => {
      const p = new Parameter(tensor([...values], { dtype: 'f64' }))
      const lbfgs = new optim.LBFGS([p], { maxIterations: 2, lr: 0.3, history: 2 })
      const evaluate = compile(() => {
        const loss = p.mul(p).mul(p).mul(p).add(p.mul(0.5)).sum()
        return { loss, gradients: [grad(loss, [p]).get(p)] }
      })
      return { p, lbfgs, evaluate }
    }
    const first = make([1.5, -0.7, 0.2])
    for (let i = 0; i < 3; i++) await first.lbfgs.step(first.evaluate)
    const second = make(await numbers(first.p))
    second.lbfgs.loadStateDict(await first.lbfgs.stateDict())
    for (const { lbfgs, evaluate } of [first, second]) for (let i = 0; i < 3; i++) await lbfgs.step(evaluate)
    expect(await numbers(second.p)).toEqual(await numbers(first.p))
  })

  it('refuses a step during a step, gradients that are missing, and bad options', async () => {
    const p = new Parameter(tensor([3, -2, 5]))
    const lbfgs = new optim.LBFGS([p])
    const running = lbfgs.step(() => ({ loss: bowl(p), gradients: grad(bowl(p), [p]) }))
    await expect(lbfgs.step(() => ({ loss: bowl(p), gradients: [] }))).rejects.toThrow(/is not done/)
    await running
    await expect(lbfgs.step(() => ({ loss: bowl(p), gradients: [] }))).rejects.toThrow(/no gradient of/)
    await expect(lbfgs.step(3 as never)).rejects.toThrow(/closure/)
    expect(() => new optim.LBFGS([])).toThrow(ArgumentError)
    expect(() => new optim.LBFGS([p], { history: 0 })).toThrow(ArgumentError)
    expect(() => new optim.LBFGS([p], { lineSearch: 'armijo' as never })).toThrow(/strongWolfe/)
  })
})
