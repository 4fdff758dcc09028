// train: what it does along the way, when it ends, and what it refuses.
import { describe, expect, it } from 'vitest'
import {
  ArgumentError,
  defaultDevice,
  GradientError,
  mean,
  ShapeError,
  type StateDict,
  type Tensor,
} from '../../lib/index.js'
import { Accuracy, Mean, type TrainOptions, train } from '../../lib/train/index.js'
import { type Batch, keeping, loader, made, type Network, samples, scored, scored64, sgd } from './fixtures.js'

describe('along the way', () => {
  it('measures training and validation', async () => {
    const model = made()
    const sink = keeping()
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
    expect(sink.written.filter(([, values]) => 'time/step ms' in values).map(([step]) => step)).toEqual([
      2, 4, 6, 8, 10, 12,
    ])
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
