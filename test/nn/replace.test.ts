// Replacing submodules in place.
import { describe, expect, it } from 'vitest'
import { compile, nn, ones } from '../../lib/index.js'

const { Linear, Module, ReLU, replaceModules, Sequential, Tanh } = nn

class Shared extends Module {
  readonly inner = new Linear(4, 4)
  readonly again = this.inner
  readonly parts = { list: [new ReLU(), this.inner] }
}

describe('replaceModules', () => {
  it('puts new modules where the pattern fits and make wants it', () => {
    const model = new Sequential(new Linear(4, 4), new ReLU(), new Sequential(new Linear(4, 2), new ReLU()))
    const made = replaceModules(model, (module) => (module instanceof ReLU ? new Tanh() : undefined), /^2/)
    expect(made.map(({ name }) => name)).toEqual(['2.1'])
    const kinds = model.namedModules().map(([, module]) => module.constructor.name)
    expect(kinds).toEqual(['Linear', 'ReLU', 'Sequential', 'Linear', 'Tanh'])
  })

  it('replaces a module in all its places, and asks once', () => {
    const model = new Shared()
    const after = new Linear(4, 4)
    let asked = 0
    replaceModules(model, (module) => {
      if (module instanceof Linear) asked++
      return module instanceof Linear ? after : undefined
    })
    expect(asked).toBe(1)
    expect(model.inner).toBe(after)
    expect(model.again).toBe(after)
    expect(model.parts.list[1]).toBe(after)
  })

  it('does not ask for what is inside a replaced one', () => {
    const model = new Sequential(new Sequential(new Linear(4, 4)))
    const asked: string[] = []
    replaceModules(model, (module, name) => {
      asked.push(name)
      return module instanceof Sequential ? new Tanh() : undefined
    })
    expect(asked).toEqual(['0'])
  })

  it('makes a compiled function trace again', async () => {
    const model = new Sequential(new ReLU())
    const run = compile((x: ReturnType<typeof ones>) => model.forward(x))
    expect(await (await run(ones([1]))).item()).toBe(1)
    replaceModules(model, () => new Tanh())
    expect(await (await run(ones([1]))).item()).toBeCloseTo(Math.tanh(1), 6)
  })

  it('changes nothing where nothing fits or make throws', () => {
    const model = new Sequential(new Linear(4, 4), new ReLU())
    const before = [...model.layers]
    expect(() => replaceModules(model, () => new Tanh(), 'encoder')).toThrow(
      /no module's name fits encoder; the first names are 0/,
    )
    expect(() => replaceModules(model, () => undefined)).toThrow(/of 2 modules that fit \* none can be replaced/)
    const failing = (_: unknown, name: string) => {
      if (name === '1') throw new Error('no')
      return new Tanh()
    }
    expect(() => replaceModules(model, failing)).toThrow('no')
    expect(() => replaceModules(model, () => 3 as never)).toThrow(/0 can be replaced by a module, not by/)
    expect(model.layers).toEqual(before)
  })
})
