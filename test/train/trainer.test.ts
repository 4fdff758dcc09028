// train: what its steps compute, beside loops written out, and what it does along the way.
import { afterEach, describe, expect, it } from 'vitest'
import { DataLoader } from '../../lib/data/index.js'
import {
  ArgumentError,
  compile,
  crossEntropy,
  defaultDevice,
  GradientError,
  grad,
  log,
  mean,
  nn,
  OutOfMemoryError,
  optim,
  pow,
  relu,
  ShapeError,
  type StateDict,
  seed,
  sub,
  type Tensor,
} from '../../lib/index.js'
import { Accuracy, Mean, NonFiniteError, type TrainOptions, train } from '../../lib/train/index.js'

class Network extends nn.Module {
  first: nn.Linear
  last: nn.Linear

  constructor(dtype: 'f32' | 'f64' = 'f32') {
    super()
    this.first = new nn.Linear(4, 8, { dtype })
    this.last = new nn.Linear(8, 3, { dtype })
  }

  forward(x: Tensor): Tensor {
    return this.last.forward(relu(this.first.forward(x)))
  }
}

const samples = Array.from({ length: 48 }, (_, i) => ({
  x: Float32Array.from({ length: 4 }, (_, k) => Math.sin(i * (k + 2))),
  y: i % 3,
  name: `sample ${i}`,
}))
const loader = (batchSize = 8, count = samples.length) =>
  new DataLoader(samples.slice(0, count), { batchSize, dtypes: { y: 'i32' } })

type Batch = { x: Tensor; y: Tensor; name: string[] }
const scored = (model: Network, { x, y }: { x: Tensor; y: Tensor }) => {
  const predictions = model.forward(x)
  return { loss: crossEntropy(predictions, y), predictions, targets: y }
}
const sgd = (lr: number) => (parameters: Iterable<import('../../lib/index.js').Parameter>) =>
  new optim.SGD(parameters, { lr, momentum: 0.9 })

function made(dtype: 'f32' | 'f64' = 'f32'): Network {
  seed(11)
  return new Network(dtype)
}

const numbers = (state: StateDict): number[] =>
  Object.values(state).flatMap(({ data }) => Array.from(data as Float64Array))
async function expectClose(a: Network, b: Network, atMost: number): Promise<void> {
  const [first, second] = [numbers(await a.stateDict()), numbers(await b.stateDict())]
  const worst = Math.max(...first.map((value, i) => Math.abs(value - (second[i] as number))))
  expect(worst).toBeLessThanOrEqual(atMost)
}

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

const scored64 = (model: Network, { x, y }: { x: Tensor; y: Tensor }) => ({
  loss: crossEntropy(model.forward(x.cast('f64')), y),
})

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
  const plain = (parameters: Iterable<import('../../lib/index.js').Parameter>) => new optim.SGD(parameters, { lr: 0.1 })

  it('halves what goes through the model at once, keeps the step, and says so', async () => {
    seed(1)
    const model = new Wide()
    seed(1)
    const peer = new Wide()
    const notes: string[] = []
    const noting = {
      write: () => {},
      note: (_: number, text: string) => notes.push(text),
      flush: async () => {},
      close: async () => {},
    }
    const device = defaultDevice()
    device.setMemoryLimit(device.memory().allocated + 3_200_000)
    const run = await train(model, data(), { loss, optimizer: plain, epochs: 2, progress: false, logs: [noting] })
    device.setMemoryLimit(Number.POSITIVE_INFINITY)
    await train(peer, data(), { loss, optimizer: plain, epochs: 2, progress: false })
    expect(run.steps).toBe(4)
    expect(notes.length).toBeGreaterThan(0)
    expect(notes.join('\n')).toMatch(/out of memory: from here on \d+ samples/)
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

describe('along the way', () => {
  it('measures training and validation', async () => {
    const model = made()
    const written: [number, Readonly<Record<string, number>>][] = []
    const sink = {
      write: (step: number, values: Readonly<Record<string, number>>) => written.push([step, values]),
      flush: async () => {},
      close: async () => {},
    }
    const score = new Mean()
    const run = await train(model, loader(), {
      loss: scored,
      optimizer: sgd(0.1),
      epochs: 2,
      logEvery: 2,
      metrics: { accuracy: new Accuracy() },
      validation: {
        data: loader(5),
        metrics: {
          accuracy: new Accuracy(),
          score: { metric: score, measure: ({ predictions }) => score.update(predictions) },
        },
      },
      logs: [sink],
      progress: false,
    })
    expect(run.history.map(({ step, epoch }) => [step, epoch])).toEqual([
      [6, 1],
      [12, 2],
    ])
    expect(written.filter(([, values]) => 'time/step ms' in values).map(([step]) => step)).toEqual([2, 4, 6, 8, 10, 12])
    // The model at the end, measured by hand.
    let right = 0
    model.eval()
    for (const { x, y } of samples) {
      const { argmax, tensor } = await import('../../lib/index.js')
      right += Number(await argmax(model.forward(tensor(x, { shape: [1, 4] })), { axis: 1 }).item()) === y ? 1 : 0
    }
    expect(run.history[1]?.figures['validation/accuracy']).toBeCloseTo(right / samples.length, 12)
    expect(run.validation).toMatchObject({ accuracy: expect.any(Number), score: expect.any(Number) })
    expect(model.training).toBe(false)
  })

  it('holds no more memory after many epochs than after some', async () => {
    const held: number[] = []
    const device = defaultDevice()
    await train(made(), loader(), {
      loss: scored,
      optimizer: sgd(0.01),
      epochs: 60,
      metrics: { accuracy: new Accuracy() },
      validation: { data: loader(), metrics: { accuracy: new Accuracy() } },
      average: { decay: 0.9 },
      callbacks: [{ onEpoch: () => void held.push(device.memory().allocated) }],
      progress: false,
    })
    // What is on its way out at the moment differs; a leak would be 64 bytes an epoch at least, 2,560 in all.
    expect(Math.min(...held.slice(50))).toBeLessThanOrEqual(Math.min(...held.slice(10, 20)) + 1024)
  })

  it('stops early and gives back the best parameters', async () => {
    const model = made()
    const states: StateDict[] = []
    const losses: number[] = []
    const run = await train(model, loader(), {
      loss: scored,
      // It learns for some epochs, and then a rate far too high spoils it.
      optimizer: sgd(0.05),
      epochs: 50,
      validation: { data: loader() },
      earlyStopping: { patience: 2 },
      callbacks: [
        {
          onEpoch: ({ optimizer, epoch }) => {
            if (epoch === 3) optimizer.lr = 40
          },
          onValidation: async ({ model: at }, { loss }) => {
            states.push(await at.stateDict())
            losses.push(loss)
          },
        },
      ],
      progress: false,
    })
    expect(run.stopped).toBe('early stopping')
    const best = losses.indexOf(Math.min(...losses))
    expect(losses.length - 1 - best).toBe(3)
    expect(run.best).toEqual({ value: losses[best], step: (best + 1) * 6 })
    expect(await model.stateDict()).toEqual(states[best])
  })

  it('ends where a callback or a signal says', async () => {
    const stopped = await train(made(), loader(), {
      loss: scored,
      optimizer: sgd(0.1),
      epochs: 5,
      callbacks: [{ onStep: ({ step, stop }) => (step === 4 ? stop('enough') : undefined) }],
      progress: false,
    })
    expect(stopped).toMatchObject({ stopped: 'enough', steps: 4, epochs: 0 })
    const abort = new AbortController()
    const aborted = await train(made(), loader(), {
      loss: scored,
      optimizer: sgd(0.1),
      epochs: 5,
      signal: abort.signal,
      callbacks: [{ onStep: ({ step }) => (step === 9 ? abort.abort() : undefined) }],
      progress: false,
    })
    expect(aborted).toMatchObject({ stopped: 'aborted', steps: 9, epochs: 1 })
  })

  it('rejects with what a callback or the data throw', async () => {
    const options = { loss: scored, optimizer: sgd(0.1), epochs: 2, progress: false } as const
    const failing = { onStep: () => Promise.reject(new Error('no more')) }
    await expect(train(made(), loader(), { ...options, callbacks: [failing] })).rejects.toThrow('no more')
    const refusing = { write: () => expect.unreachable('no place'), flush: async () => {}, close: async () => {} }
    await expect(train(made(), loader(), { ...options, logs: [refusing], logEvery: 1 })).rejects.toThrow('no place')
    async function* broken() {
      yield* loader()
      throw new Error('the disk is gone')
    }
    await expect(train(made(), broken(), { ...options })).rejects.toThrow('the disk is gone')
  })

  it('says what is wrong with its arguments', async () => {
    const options: TrainOptions<Network, Batch, { loss: Tensor }> = {
      loss: scored,
      optimizer: sgd(0.1),
      epochs: 1,
      progress: false,
    }
    const failing = (change: object, pattern: RegExp, type: unknown = ArgumentError) => {
      const run = train(made(), loader() as never, { ...options, ...change })
      return Promise.all([expect(run).rejects.toThrow(pattern), expect(run).rejects.toBeInstanceOf(type)])
    }
    await failing({ epochs: undefined }, /say how long it goes/)
    await failing({ steps: 1.5 }, /steps must be an integer from 1 up/)
    await failing({ precision: 'f8' }, /precision must be one of/)
    await failing({ earlyStopping: {} }, /give validation/)
    await failing(
      { metrics: { accuracy: new Accuracy() }, loss: scored64 },
      /let the loss function give \{ loss, predictions, targets \}/,
    )
    await failing({ metrics: { accuracy: 3 } }, /neither a metric/)
    await failing({ loss: ({ forward }: Network) => forward }, /must give a tensor or/)
    await failing({ loss: (model: Network, { x }: Batch) => model.forward(x) }, /take its mean or sum/, ShapeError)
    await failing({ loss: (_: Network, { x }: Batch) => mean(x) }, /./, GradientError)
    await failing({ optimizer: 'adam' }, /optimizer must be an optimizer/)
    const stream = { async *[Symbol.asyncIterator]() {} }
    const checkpointed = train(made(), stream, { ...options, checkpoint: '/tmp/none' } as never)
    await expect(checkpointed).rejects.toThrow(/need state\(\) and load\(\)/)
    await expect(train(made(), stream, options as never)).rejects.toThrow(/gave no batch/)
  })
})
