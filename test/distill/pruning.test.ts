// Pruning: masks that hold while training goes on, schedules, and units that are removed for good.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { DataLoader } from '../../lib/data/index.js'
import { distill, MagnitudePruning, pruneUnits, sparsityAt } from '../../lib/distill/index.js'
import { ArgumentError, crossEntropy, nn, seed, tensor } from '../../lib/index.js'
import { BertModel, LlamaForCausalLM } from '../../lib/models/index.js'
import { Accuracy, type Callback, train } from '../../lib/train/index.js'
import { adamw, dtypes, forward, labels, mlp, points } from './points.js'

const batches = () => new DataLoader(points, { batchSize: 32, dtypes })
const loss = (model: nn.Sequential, batch: Parameters<typeof labels>[0]) =>
  crossEntropy(forward(model, batch), batch.inside)
const zerosOf = async (layer: unknown): Promise<number> =>
  ((await (layer as nn.Linear).weight.data()) as Float32Array).filter((x) => x === 0).length

describe('MagnitudePruning', () => {
  test('the schedule is that of Zhu and Gupta', () => {
    expect(sparsityAt(0, 0, 100, 0.1, 0.9)).toBeCloseTo(0.1, 12)
    expect(sparsityAt(50, 0, 100, 0.1, 0.9)).toBeCloseTo(0.9 - 0.8 / 8, 12)
    expect([sparsityAt(100, 0, 100, 0, 0.9), sparsityAt(500, 0, 100, 0, 0.9), sparsityAt(3, 5, 100, 0, 0.9)]).toEqual([
      0.9, 0.9, 0,
    ])
  })

  test('at once: by layer, or over all', async () => {
    const make = () => {
      const model = new nn.Sequential(new nn.Linear(2, 2), new nn.Linear(2, 2))
      ;(model[0] as nn.Linear).weight.write(Float32Array.of(1, -2, 3, -4))
      ;(model[1] as nn.Linear).weight.write(Float32Array.of(10, -20, 30, -40))
      return model
    }
    const [byLayer, global] = [make(), make()]
    await new MagnitudePruning(byLayer, { sparsity: 0.5 }).prune(0.5)
    expect([...(await (byLayer[0] as nn.Linear).weight.data())]).toEqual([0, 0, 3, -4])
    expect([...(await (byLayer[1] as nn.Linear).weight.data())]).toEqual([0, 0, 30, -40])
    const pruning = new MagnitudePruning(global, { sparsity: 0.5, scope: 'global' })
    await pruning.prune(0.5)
    expect([await zerosOf(global[0]), await zerosOf(global[1])]).toEqual([4, 0])
    expect(await pruning.sparsity()).toBe(0.5)
    const some = make()
    await new MagnitudePruning(some, { sparsity: 0.5, pattern: '1' }).prune(0.5)
    expect([await zerosOf(some[0]), await zerosOf(some[1])]).toEqual([0, 2])
    expect(() => new MagnitudePruning(make(), { sparsity: 2 })).toThrow(ArgumentError)
    expect(() => new MagnitudePruning(make(), { sparsity: 0.5, pattern: 'nothing' })).toThrow(/fits nothing/)
  })

  test('masks hold during training, and more is pruned step by step', async () => {
    seed(1)
    const model = mlp(32)
    const pruning = new MagnitudePruning(model, { sparsity: 0.75, end: 200, every: 20 })
    const seen: number[] = []
    let before: Float32Array | undefined
    const watch: Callback<nn.Sequential> = {
      onStep: async ({ step }) => {
        if (step % 10 !== 0) return
        seen.push(await pruning.sparsity())
        const now = (await (model[0] as nn.Linear).weight.data()).slice() as Float32Array
        // What is gone stays gone.
        before?.forEach((x, i) => {
          if (x === 0) expect(now[i]).toBe(0)
        })
        before = now
      },
    }
    const run = await train(model, batches(), {
      loss: (network, batch) => ({
        loss: loss(network, batch),
        predictions: forward(network, batch),
        targets: batch.inside,
      }),
      optimizer: adamw,
      epochs: 40,
      progress: false,
      callbacks: [pruning, watch],
      validation: { data: batches(), metrics: { accuracy: new Accuracy() } },
    })
    expect(seen.at(-1)).toBeCloseTo(0.75, 2)
    expect(seen).toEqual([...seen].sort((a, b) => a - b))
    expect(new Set(seen).size).toBeGreaterThan(5)
    expect(Number(run.validation?.['accuracy'])).toBeGreaterThan(0.85)
  })

  test('a run that is gone on with comes to the same', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'heddle-pruning-'))
    onTestFinished(() => rm(folder, { recursive: true, force: true }))
    const run = async (place: string, steps: readonly number[]): Promise<string> => {
      let last = ''
      for (const count of steps) {
        seed(2)
        const model = mlp(16)
        await train(model, batches(), {
          loss,
          optimizer: adamw,
          steps: count,
          progress: false,
          handleSignals: false,
          checkpoint: join(folder, place),
          callbacks: [new MagnitudePruning(model, { sparsity: 0.5, end: 30, every: 4 })],
        })
        last = JSON.stringify(await model.stateDict())
      }
      return last
    }
    expect(await run('cut', [21, 50])).toBe(await run('whole', [50]))
  })
})

describe('pruneUnits', () => {
  test('a smaller network, distilled from the whole, keeps what it knows', async () => {
    seed(3)
    const teacher = mlp(32)
    const common = { optimizer: adamw, progress: false } as const
    await train(teacher, batches(), { ...common, loss, epochs: 40 })
    const student = await pruneUnits(teacher, { share: 0.75 })
    expect((student[0] as nn.Linear).outFeatures).toBe(8)
    const run = await distill(student, teacher, batches(), {
      ...common,
      forward,
      labels,
      epochs: 40,
      validation: { data: batches(), metrics: { accuracy: new Accuracy() } },
    })
    expect(Number(run.validation?.['accuracy'])).toBeGreaterThan(0.85)
  })

  test('over all layers the least important go, and no layer goes whole', async () => {
    seed(4)
    const model = new nn.Sequential(
      new nn.Linear(2, 4),
      new nn.ReLU(),
      new nn.Linear(4, 4),
      new nn.ReLU(),
      new nn.Linear(4, 2),
    )
    ;(model[0] as nn.Linear).weight.write(Float32Array.of(9, 9, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1))
    const student = await pruneUnits(model, { share: 0.5, scope: 'global' })
    const widths = [0, 2].map((i) => (student[i] as nn.Linear).outFeatures)
    expect((widths[0] as number) + (widths[1] as number)).toBe(4)
    expect(widths[0]).toBe(1)
    expect(student.forward(tensor([[1, 2]])).shape).toEqual([1, 2])
    const least = await pruneUnits(model, { share: 0.99, scope: 'global' })
    expect([0, 2].map((i) => (least[i] as nn.Linear).outFeatures)).toEqual([1, 1])
    await expect(pruneUnits(model, { share: 1 })).rejects.toThrow(ArgumentError)
  })

  test('heads and neurons of transformers', async () => {
    seed(5)
    const bert = {
      vocab_size: 20,
      hidden_size: 16,
      num_hidden_layers: 2,
      num_attention_heads: 4,
      intermediate_size: 24,
    }
    const student = await pruneUnits(new BertModel(bert), { share: 0.5 })
    expect(student.config['intermediate_size']).toBe(12)
    const queries = student.namedParameters().filter(([name]) => name.endsWith('query.weight'))
    expect(queries.map(([, { shape }]) => shape)).toEqual([
      [8, 16],
      [8, 16],
    ])
    const neurons = await pruneUnits(new LlamaForCausalLM({ ...bert, num_key_value_heads: 2 }), {
      share: 0.5,
      units: ['neurons'],
    })
    expect(neurons.config).toMatchObject({ intermediate_size: 12, num_attention_heads: 4, num_key_value_heads: 2 })
  })
})
