// Schedules that are joined, and the plateau, in optimizers. Their values are compared in conformance.test.ts.
import { describe, expect, it } from 'vitest'
import { ArgumentError, compile, grad, optim, Parameter, StateDictError, schedule, tensor } from '../../lib/index.js'

describe('sequential', () => {
  it('gives phases their own steps, and the last what is left of the total', async () => {
    const joined = schedule.sequential([
      { schedule: schedule.constant(5), steps: 2 },
      { schedule: schedule.linear({ start: 4, end: 0 }) },
    ])
    const rates = await Promise.all(
      [0, 1, 2, 3, 4, 6].map(async (step) => Number(await joined(tensor(step, { dtype: 'f64' }), 6).item())),
    )
    expect(rates).toEqual([5, 5, 4, 3, 2, 0])
  })

  it('refuses phases without an end before the last', () => {
    expect(() => schedule.sequential([])).toThrow(ArgumentError)
    expect(() => schedule.sequential([{ schedule: schedule.constant(1) }, { schedule: schedule.constant(2) }])).toThrow(
      /phase 0/,
    )
    expect(() => schedule.chain()).toThrow(ArgumentError)
  })
})

describe('ReduceOnPlateau', () => {
  const subject = (): { p: Parameter; sgd: optim.SGD } => {
    const p = new Parameter(tensor([0]))
    return { p, sgd: new optim.SGD([p], { lr: 1 }) }
  }

  it('changes the rate of a compiled step without a new trace', async () => {
    const { p, sgd } = subject()
    const plateau = new optim.ReduceOnPlateau(sgd, { factor: 0.5, patience: 1 })
    const step = compile(() => sgd.step(grad(p.sum(), [p])))
    const fell = []
    for (const metric of [3, 2, 2, Number.NaN, 2]) {
      await step()
      fell.push(plateau.step(metric))
    }
    await step()
    expect(fell).toEqual([false, false, false, true, false])
    expect(Number(await p.sum().item())).toBe(-5)
    expect(step.traces).toHaveLength(1)
  })

  it('resumes where it was', () => {
    const [a, b] = [subject(), subject()]
    const options = { patience: 2, cooldown: 1 }
    const [first, second] = [new optim.ReduceOnPlateau(a.sgd, options), new optim.ReduceOnPlateau(b.sgd, options)]
    for (const metric of [1, 1, 1]) first.step(metric)
    second.loadStateDict(first.stateDict())
    expect([first.step(1), second.step(1)]).toEqual([true, true])
    expect(() => second.loadStateDict({})).toThrow(StateDictError)
  })

  it('refuses a schedule, metrics that are no numbers, and bad options', () => {
    const { p, sgd } = subject()
    const scheduled = new optim.SGD([p], { lr: schedule.constant(1) })
    expect(() => new optim.ReduceOnPlateau(scheduled)).toThrow(/follows a schedule/)
    expect(() => new optim.ReduceOnPlateau(sgd, { factor: 1 })).toThrow(/below 1/)
    expect(() => new optim.ReduceOnPlateau(sgd).step(tensor(1) as never)).toThrow(/await its item/)
  })
})
