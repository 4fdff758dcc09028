// train: what its steps compute, beside loops written out.
import { describe, expect, it } from 'vitest'
import { compile, crossEntropy, grad, optim, type Tensor } from '../../lib/index.js'
import { Accuracy, train } from '../../lib/train/index.js'
import { expectClose, loader, made, type Network, scored, scored64, sgd } from './fixtures.js'

describe('steps', () => {
  it('are those of a loop written out, to the last bit', async () => {
    const [model, peer] = [made(), made()]
    const run = await train(model, loader(), {
      loss: (network, { x, y }) => crossEntropy(network.forward(x), y),
      optimizer: (parameters) => new optim.AdamW(parameters, { lr: 0.01 }),
      epochs: 3,
      progress: false,
    })
    const adamw = new optim.AdamW(peer.parameters(), { lr: 0.01 })
    const step = compile((x: Tensor, y: Tensor) => {
      adamw.step(grad(crossEntropy(peer.forward(x), y), peer.parameters()))
    })
    const data = loader()
    for (let epoch = 0; epoch < 3; epoch++) for await (const { x, y } of data) await step(x, y)
    expect(run).toMatchObject({ steps: 18, epochs: 3, stopped: 'finished' })
    expect(await model.stateDict()).toEqual(await peer.stateDict())
  })

  it.each([
    ['batches of a step', { accumulate: 2 }],
    ['pieces of a batch', { microBatch: 5 }],
    ['pieces of batches of a step', { accumulate: 3, microBatch: 3 }],
  ])('put %s together to the gradient of all samples', async (_, options) => {
    const [model, peer] = [made('f64'), made('f64')]
    const size = 8 * ((options as { accumulate?: number }).accumulate ?? 1)
    const common = { loss: scored64, optimizer: sgd(0.1), epochs: 2, clipNorm: 0.5, progress: false }
    await train(model, loader(8), { ...common, ...options })
    await train(peer, loader(size), common)
    await expectClose(model, peer, 1e-13)
  })

  it('count the last step of an epoch by the samples it has', async () => {
    const [model, peer] = [made('f64'), made('f64')]
    const common = { loss: scored64, optimizer: sgd(0.1), epochs: 1, progress: false }
    // 5 batches of 8 and one of 3: steps of 16, 16 and 11 samples.
    await train(model, loader(8, 43), { ...common, accumulate: 2 })
    const run = await train(peer, loader(16, 43), common)
    expect(run.steps).toBe(3)
    await expectClose(model, peer, 1e-13)
  })

  it('weigh parts as the loss function says', async () => {
    const [model, peer] = [made('f64'), made('f64')]
    // Samples of class 0 do not count, and are not evenly spread over the parts.
    const weighted = (network: Network, { x, y }: { x: Tensor; y: Tensor }) => {
      const counted = y.ne(0)
      const each = crossEntropy(network.forward(x.cast('f64')), y, { reduction: 'none' })
      const weight = counted.cast('f64').sum()
      return { loss: each.mul(counted.cast('f64')).sum().div(weight), weight }
    }
    const common = { loss: weighted, optimizer: sgd(0.1), epochs: 1, progress: false }
    await train(model, loader(16), { ...common, microBatch: 5 })
    await train(peer, loader(16), common)
    await expectClose(model, peer, 1e-13)
  })

  it('take trainable parameters alone', async () => {
    const model = made()
    model.freeze('first.*')
    const before = await model.stateDict()
    await train(model, loader(), { loss: scored, optimizer: sgd(0.1), steps: 3, progress: false })
    const after = await model.stateDict()
    expect(after['first.weight']).toEqual(before['first.weight'])
    expect(after['last.weight']).not.toEqual(before['last.weight'])
  })

  it('follow f16 with a loss scale, and bf16 without', async () => {
    for (const precision of ['f16', 'bf16'] as const) {
      const model = made()
      const run = await train(model, loader(), {
        loss: scored,
        optimizer: sgd(0.05),
        precision,
        epochs: 15,
        progress: false,
        validation: { data: loader(), metrics: { accuracy: new Accuracy() } },
      })
      expect(run.history.at(-1)?.figures['validation/loss']).toBeLessThan(
        run.history[0]?.figures['validation/loss'] as number,
      )
      expect(Number.isFinite(run.history.at(-1)?.figures['train/loss'])).toBe(true)
    }
  })
})
