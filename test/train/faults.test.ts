// train: memory that does not suffice, and numbers that are not finite.
import { afterEach, describe, expect, it } from 'vitest'
import { DataLoader } from '../../lib/data/index.js'
import {
  crossEntropy,
  defaultDevice,
  log,
  mean,
  nn,
  OutOfMemoryError,
  optim,
  type Parameter,
  pow,
  relu,
  seed,
  sub,
  type Tensor,
} from '../../lib/index.js'
import { NonFiniteError, train } from '../../lib/train/index.js'
import { expectClose, keeping, loader, made, type Network, numbers, samples, sgd } from './fixtures.js'

describe('memory that does not suffice', () => {
  afterEach(() => defaultDevice().setMemoryLimit(Number.POSITIVE_INFINITY))

  class Wide extends nn.Module {
    first = new nn.Linear(64, 512)
    last = new nn.Linear(512, 8)

    forward(x: Tensor): Tensor {
      return this.last.forward(relu(this.first.forward(x)))
    }
  }
  const wide = Array.from({ length: 2048 }, (_, i) => ({
    x: Float32Array.from({ length: 64 }, (_, k) => Math.sin(i * k)),
    y: i % 8,
  }))
  const data = () => new DataLoader(wide, { batchSize: 1024, dtypes: { y: 'i32' } })
  const loss = (model: Wide, { x, y }: { x: Tensor; y: Tensor }) => crossEntropy(model.forward(x), y)
  const plain = (parameters: Iterable<Parameter>) => new optim.SGD(parameters, { lr: 0.1 })

  it('halves what goes through the model at once, keeps the step, and says so', async () => {
    seed(1)
    const model = new Wide()
    seed(1)
    const peer = new Wide()
    const noting = keeping()
    const device = defaultDevice()
    device.setMemoryLimit(device.memory().allocated + 3_200_000)
    const run = await train(model, data(), { loss, optimizer: plain, epochs: 2, progress: false, logs: [noting] })
    device.setMemoryLimit(Number.POSITIVE_INFINITY)
    await train(peer, data(), { loss, optimizer: plain, epochs: 2, progress: false })
    expect(run.steps).toBe(4)
    expect(noting.notes.length).toBeGreaterThan(0)
    expect(noting.notes.join('\n')).toMatch(/out of memory: from here on \d+ samples/)
    const [a, b] = [numbers(await model.stateDict()), numbers(await peer.stateDict())]
    expect(Math.max(...a.map((value, i) => Math.abs(value - (b[i] as number))))).toBeLessThan(1e-5)
  })

  it('is an error where not one sample fits', async () => {
    // Gradients of 26 MB, whatever the number of samples.
    const model = new nn.Linear(64, 100_000)
    const device = defaultDevice()
    device.setMemoryLimit(device.memory().allocated + 300_000)
    const run = train(model, data(), {
      loss: (layer, { x }: { x: Tensor }) => mean(layer.forward(x)),
      optimizer: plain,
      epochs: 1,
      progress: false,
    })
    await expect(run).rejects.toThrow(/train: the memory does not suffice for a step with/)
    await expect(run).rejects.toThrow(OutOfMemoryError)
  })
})

describe('what is not finite', () => {
  /** Batch 2 (from 0) of an epoch has a negative number, whose logarithm is NaN. */
  const poisoned = () =>
    new DataLoader(
      samples.map(({ x, y }, i) => ({ x, y, positive: i === 20 ? -1 : 1 })),
      { batchSize: 8, dtypes: { y: 'i32' } },
    )
  const loss = (model: Network, { x, y, positive }: { x: Tensor; y: Tensor; positive: Tensor }) =>
    crossEntropy(model.forward(x), y).add(mean(log(positive)))

  it('stops the run with the op it comes from, and the parameters of the step before', async () => {
    const [model, peer] = [made(), made()]
    const options = { loss, optimizer: sgd(0.1), progress: false } as const
    const error = await train(model, poisoned(), { ...options, epochs: 1 }).then(
      () => undefined,
      (e: unknown) => e,
    )
    expect(error).toBeInstanceOf(NonFiniteError)
    expect(error).toMatchObject({ op: 'log', step: 3 })
    expect((error as Error).message).toMatch(
      /log \(forward\): its result f32\[8\] with 1 of 8 elements not finite; its operands: data f32\[8\] from -1/,
    )
    await train(peer, poisoned(), { ...options, steps: 2 })
    expect(await model.stateDict()).toEqual(await peer.stateDict())
  })

  it('names what has it in the gradients alone', async () => {
    const model = made()
    // The root of 0 is finite, its derivative is not.
    const rooted = (network: Network, { x }: { x: Tensor }) =>
      mean(pow(sub(network.forward(x), network.forward(x)), 2)).sqrt()
    const options = { loss: rooted, optimizer: sgd(0.1), steps: 3, progress: false } as const
    const before = await model.stateDict()
    await expect(train(model, loader(), { ...options, gradientNorm: true })).rejects.toThrow(
      /the gradients of step 1 are not finite.*\(backward\)/,
    )
    expect(await model.stateDict()).toEqual(before)
    // Where nobody looks at the gradients, the next step says which parameter they have reached.
    await expect(train(model, loader(), options)).rejects.toThrow(
      /the loss of step 2 is not finite. first.weight itself is not finite: .* gradientNorm: true/,
    )
  })

  it('is left out where one wants that', async () => {
    const [model, peer] = [made(), made()]
    const run = await train(model, poisoned(), {
      loss,
      optimizer: sgd(0.1),
      epochs: 1,
      nonFinite: 'skip',
      progress: false,
    })
    expect(run.steps).toBe(6)
    const others = samples.filter((_, i) => i < 16 || i >= 24)
    await train(peer, new DataLoader(others, { batchSize: 8, dtypes: { y: 'i32' } }), {
      loss: (network, { x, y }) => crossEntropy(network.forward(x), y),
      optimizer: sgd(0.1),
      epochs: 1,
      progress: false,
    })
    await expectClose(model, peer, 1e-6)
    expect(Number(await run.optimizer.steps.item())).toBe(5)
  })
})
