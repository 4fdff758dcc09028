// Modules: names, modes, guards, freezing, state dicts.
import { describe, expect, it } from 'vitest'
import {
  ArgumentError,
  compile,
  functional as F,
  GradientError,
  grad,
  nn,
  ones,
  optim,
  type Parameter,
  randomNormal,
  StateDictError,
  seed,
  type Tensor,
  tensor,
} from '../../lib/index.js'

class Tied extends nn.Module {
  readonly embedding = new nn.Embedding(5, 3)
  readonly heads: readonly nn.Linear[]
  readonly parts = { gate: new nn.Linear(3, 1, { bias: false }) }

  constructor() {
    super()
    const head = new nn.Linear(3, 5, { bias: false })
    Object.defineProperty(head, 'weight', { value: this.embedding.weight, enumerable: true })
    this.heads = [head, new nn.Linear(3, 2)]
  }
}

const numbers = async (x: Tensor): Promise<number[]> => Array.from((await x.data()) as ArrayLike<number>)

describe('names', () => {
  it('are paths through properties, arrays and objects; a tied parameter has one', () => {
    const names = new Tied().namedParameters().map(([name]) => name)
    expect(names).toEqual(['embedding.weight', 'heads.1.weight', 'heads.1.bias', 'parts.gate.weight'])
  })

  it('number the layers of a sequence', () => {
    const model = new nn.Sequential(new nn.Linear(2, 3), new nn.ReLU(), new nn.BatchNorm1d(3))
    expect(model.namedParameters().map(([name]) => name)).toEqual(['0.weight', '0.bias', '2.weight', '2.bias'])
    expect(model.namedBuffers().map(([name]) => name)).toEqual(['2.runningMean', '2.runningVariance'])
    expect(model.namedModules().map(([name]) => name)).toEqual(['0', '1', '2'])
  })

  it('reach into a GPT', () => {
    const model = new nn.GPT({ vocabSize: 7, layers: 2, heads: 2, width: 4, context: 3 })
    const names = model.namedParameters().map(([name]) => name)
    expect(names).toContain('blocks.1.attention.qkv.weight')
    expect(names).not.toContain('head.weight')
    const untied = new nn.GPT({ vocabSize: 7, layers: 1, heads: 2, width: 4, context: 3, tieWeights: false })
    expect(untied.namedParameters().map(([name]) => name)).toContain('head.weight')
  })
})

describe('guards', () => {
  it('eval() traces a compiled function again, and train() finds the first trace', async () => {
    const model = new nn.Sequential(new nn.Dropout(0.5))
    const run = compile((x: Tensor) => model.forward(x))
    const x = ones([1000])
    expect(await numbers(await run(x))).toContain(0)
    model.eval()
    expect(await numbers(await run(x))).toEqual(new Array(1000).fill(1))
    expect(run.traces).toHaveLength(2)
    expect(run.traces[1]).toMatch(/training was true and is false/)
    model.train()
    expect(await numbers(await run(x))).toContain(0)
    expect(run.traces).toHaveLength(2)
  })

  it('another parameter, submodule or list of submodules traces again', async () => {
    class Stack extends nn.Module {
      layers: nn.Layer[] = [new nn.Linear(2, 2)]
      forward(x: Tensor): Tensor {
        return this.layers.reduce((y, layer) => layer.forward(y), x)
      }
    }
    const model = new Stack()
    const run = compile((x: Tensor) => model.forward(x))
    const x = ones([1, 2])
    await run(x)
    model.layers.push(new nn.Linear(2, 3))
    expect((await run(x)).shape).toEqual([1, 3])
    model.layers = [new nn.Linear(2, 4)]
    expect((await run(x)).shape).toEqual([1, 4])
    expect(run.traces).toHaveLength(3)
  })

  it('freezing a parameter makes a gradient of it an error, and leaving it out works', async () => {
    const model = new nn.Sequential(new nn.Linear(2, 2), new nn.Linear(2, 1))
    const sgd = new optim.SGD(model.parameters(), { lr: 0.1 })
    const all = compile((x: Tensor) => sgd.step(grad(model.forward(x).sum(), model.parameters())))
    const some = compile((x: Tensor) => sgd.step(grad(model.forward(x).sum(), model.parameters({ trainable: true }))))
    await all(ones([1, 2]))
    model.freeze('0')
    const before = await numbers(model.parameters()[0] as Parameter)
    await expect(all(ones([1, 2]))).rejects.toThrow(GradientError)
    const last = await numbers(model.parameters()[2] as Parameter)
    await some(ones([1, 2]))
    expect(await numbers(model.parameters()[0] as Parameter)).toEqual(before)
    expect(await numbers(model.parameters()[2] as Parameter)).not.toEqual(last)
    model.unfreeze()
    await some(ones([1, 2]))
    expect(await numbers(model.parameters()[0] as Parameter)).not.toEqual(before)
    expect(some.traces).toHaveLength(2)
  })

  it('a pattern that fits nothing is an error', () => {
    const model = new nn.GPT({ vocabSize: 7, layers: 3, heads: 1, width: 4, context: 3 })
    model.freeze(['blocks.[0-1].*', /Embedding/])
    const free = model.namedParameters({ trainable: true }).map(([name]) => name)
    expect(free.every((name) => name.startsWith('blocks.2.') || name.startsWith('norm.'))).toBe(true)
    expect(free).toHaveLength(14)
    expect(() => model.freeze('block.*')).toThrow(ArgumentError)
    expect(() => model.freeze('block.*')).toThrow(
      /no parameter's name fits block\.\*; the first names are tokenEmbedding\.weight/,
    )
  })
})

describe('state dicts', () => {
  const make = (): nn.Sequential => new nn.Sequential(new nn.Linear(2, 3), new nn.BatchNorm1d(3))

  it('come back as they were', async () => {
    const [from, to] = [make(), make()]
    from.forward(randomNormal([8, 2]))
    const state = await from.stateDict()
    expect(Object.keys(state)).toEqual([
      '0.weight',
      '0.bias',
      '1.weight',
      '1.bias',
      '1.runningMean',
      '1.runningVariance',
    ])
    to.loadStateDict(state)
    expect(await to.stateDict()).toEqual(state)
  })

  it('are checked as a whole before anything is written', async () => {
    const model = make()
    const before = await model.stateDict()
    const state: Record<string, nn.TensorState> = {
      ...(await make().stateDict()),
      extra: { data: Float32Array.of(1), shape: [1], dtype: 'f32' },
    }
    delete state['0.bias']
    state['1.weight'] = { data: new Float32Array(4), shape: [4], dtype: 'f32' }
    const load = (): void => model.loadStateDict(state)
    expect(load).toThrow(StateDictError)
    expect(load).toThrow(
      /missing:\n {4}0\.bias\n {2}unexpected:\n {4}extra\n {2}of another shape or dtype:\n {4}1\.weight: \[4\], expected \[3\]/,
    )
    expect(await model.stateDict()).toEqual(before)
    expect(() => model.loadStateDict(state, { strict: false })).toThrow(/1\.weight/)
    delete state['1.weight']
    model.loadStateDict(state, { strict: false })
    const after = await model.stateDict()
    expect(after['0.weight']).toEqual(state['0.weight'])
    expect(after['0.bias']).toEqual(before['0.bias'])
  })

  it('accept a tied parameter under any of its names', async () => {
    const model = new Tied()
    const state: Record<string, nn.TensorState> = { ...(await model.stateDict()) }
    state['heads.0.weight'] = { data: new Float32Array(15).fill(2), shape: [5, 3], dtype: 'f32' }
    delete state['embedding.weight']
    model.loadStateDict(state)
    expect(await numbers(model.embedding.weight)).toEqual(new Array(15).fill(2))
  })

  it('convert floats', async () => {
    const [narrow, wide] = [new nn.Linear(1, 1, { dtype: 'bf16' }), new nn.Linear(1, 1)]
    narrow.loadStateDict({
      weight: { data: Float64Array.of(1.00390625), shape: [1, 1], dtype: 'f64' },
      bias: { data: Float32Array.of(3), shape: [1], dtype: 'f32' },
    })
    wide.loadStateDict(await narrow.stateDict())
    expect(await numbers(wide.weight)).toEqual([1])
    expect(await numbers(wide.bias as Parameter)).toEqual([3])
  })
})

describe('initial values', () => {
  it('have the deviations the schemes say', async () => {
    seed(5)
    const deviation = async (x: Tensor): Promise<number> => Number(await x.mul(x).mean().sqrt().item())
    const shape = [200, 300]
    expect(await deviation(nn.initialize.kaimingNormal(shape, { nonlinearity: 'relu' }))).toBeCloseTo(
      Math.sqrt(2 / 300),
      3,
    )
    expect(
      await deviation(nn.initialize.kaimingUniform(shape, { mode: 'fanOut', nonlinearity: 'linear' })),
    ).toBeCloseTo(Math.sqrt(1 / 200), 3)
    expect(await deviation(nn.initialize.xavierUniform(shape))).toBeCloseTo(Math.sqrt(2 / 500), 3)
    expect(await deviation(nn.initialize.xavierNormal(shape, { gain: 2 }))).toBeCloseTo(2 * Math.sqrt(2 / 500), 3)
    expect(await deviation(new nn.Linear(300, 200).weight)).toBeCloseTo(1 / Math.sqrt(3 * 300), 3)
  })

  it('of a GPT are those of GPT-2', async () => {
    seed(6)
    const model = new nn.GPT({ vocabSize: 100, layers: 8, heads: 4, width: 64, context: 32 })
    const named = new Map(model.namedParameters())
    const deviation = async (name: string): Promise<number> => {
      const x = named.get(name) as Parameter
      return Number(await x.mul(x).mean().sqrt().item())
    }
    expect(await deviation('tokenEmbedding.weight')).toBeCloseTo(0.02, 3)
    expect(await deviation('blocks.3.attention.qkv.weight')).toBeCloseTo(0.02, 3)
    expect(await deviation('blocks.3.attention.projection.weight')).toBeCloseTo(0.02 / 4, 3)
    expect(await deviation('blocks.3.contract.weight')).toBeCloseTo(0.02 / 4, 3)
    expect(await deviation('blocks.3.expand.bias')).toBe(0)
    expect(await deviation('norm.weight')).toBe(1)
  })

  it('repeat from a seed', async () => {
    const draw = async (): Promise<number[]> => numbers(seed(9) ?? new nn.Linear(4, 4).weight)
    expect(await draw()).toEqual(await draw())
  })
})

describe('batch norm', () => {
  it('normalises by the batch, moves its statistics, and uses them in eval mode', async () => {
    const norm = new nn.BatchNorm1d(2, { momentum: 0.5, eps: 0 })
    const x = tensor([
      [1, 10],
      [3, 30],
    ])
    expect(await norm.forward(x).array()).toEqual([
      [-1, -1],
      [1, 1],
    ])
    expect(await numbers(norm.runningMean)).toEqual([1, 10])
    // Unbiased variances 2 and 200, from 1.
    expect(await numbers(norm.runningVariance)).toEqual([1.5, 100.5])
    norm.eval()
    const [[first]] = (await norm.forward(x).array()) as [[number]]
    expect(first).toBe(0)
    expect(await numbers(norm.runningMean)).toEqual([1, 10])
  })
})

describe('learning', () => {
  const train = async (model: nn.Layer & nn.Module, x: Tensor, targets: Tensor, steps: number): Promise<number[]> => {
    const adamw = new optim.AdamW(model.parameters(), { lr: 1e-2 })
    const step = compile((input: Tensor, wanted: Tensor) => {
      const loss = F.crossEntropy(model.forward(input), wanted)
      adamw.step(grad(loss, model.parameters()))
      return loss
    })
    const losses: number[] = []
    for (let i = 0; i < steps; i++) losses.push(Number(await (await step(x, targets)).item()))
    expect(step.traces).toHaveLength(1)
    return losses
  }

  it('a convolutional network learns its batch', async () => {
    seed(1)
    const model = new nn.Sequential(
      new nn.Conv2d(1, 4, 3, { padding: 1 }),
      new nn.BatchNorm2d(4),
      new nn.ReLU(),
      new nn.MaxPool2d(2),
      new nn.Flatten(),
      new nn.Linear(64, 3),
    )
    const losses = await train(model, randomNormal([6, 1, 8, 8]).realize(), tensor(Int32Array.of(0, 1, 2, 0, 1, 2)), 30)
    expect(losses.at(-1)).toBeLessThan(0.1)
  })

  it('a GPT with grouped heads and dropout learns its batch', async () => {
    seed(2)
    const model = new nn.GPT({ vocabSize: 11, layers: 2, heads: 4, keyHeads: 2, width: 16, context: 8, dropout: 0.05 })
    const tokens = Int32Array.from({ length: 18 }, (_, i) => (i * 7) % 11)
    const cut = (from: number): Tensor =>
      tensor(Int32Array.from([...tokens.slice(from, from + 8), ...tokens.slice(from + 8, from + 16)]), {
        shape: [2, 8],
      })
    const losses = await train(model, cut(0), cut(1), 60)
    expect(losses[0]).toBeGreaterThan(2)
    expect(losses.at(-1)).toBeLessThan(0.2)
  })
})
