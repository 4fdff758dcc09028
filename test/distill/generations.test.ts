// Born-again networks and models that teach one another.
import { expect, test } from 'vitest'
import { DataLoader } from '../../lib/data/index.js'
import { bornAgain, distillMutually } from '../../lib/distill/index.js'
import { ArgumentError, crossEntropy, type nn, optim, seed, softmax, type Tensor } from '../../lib/index.js'
import { Accuracy, train } from '../../lib/train/index.js'
import { adamw, dtypes, forward, labels, mlp, points } from './points.js'

const batches = () => new DataLoader(points, { batchSize: 64, dtypes })
const numbers = async (x: Tensor): Promise<number[]> => [...((await x.data()) as Float32Array)]

test('each generation is the teacher of the next', async () => {
  seed(1)
  const teacher = mlp(16)
  await train(teacher, batches(), {
    loss: (model, batch) => crossEntropy(forward(model, batch), batch.inside),
    optimizer: adamw,
    epochs: 30,
    progress: false,
  })
  const made: nn.Sequential[] = []
  const make = () => {
    made.push(mlp(16))
    return made.at(-1) as nn.Sequential
  }
  const runs = await bornAgain(make, teacher, batches(), {
    forward,
    labels,
    optimizer: adamw,
    epochs: 30,
    generations: 2,
    progress: false,
    validation: { data: batches(), metrics: { accuracy: new Accuracy() } },
  })
  expect(runs.map(({ model }) => model)).toEqual(made)
  for (const run of runs) expect(Number(run.validation?.['accuracy'])).toBeGreaterThan(0.8)
  await expect(
    bornAgain(make, teacher, batches(), { forward, optimizer: adamw, epochs: 1, generations: 0 }),
  ).rejects.toThrow(ArgumentError)
})

test('models taught by one another move as the formula says', async () => {
  seed(2)
  const models = [mlp(4), mlp(6)] as const
  const whole = new DataLoader(points, { batchSize: 256, dtypes })
  let expected: number[] = []
  for await (const { point, inside } of whole) {
    const [a, b] = models.map((model) => model.forward(point)) as [Tensor, Tensor]
    const [p, q] = [await numbers(softmax(a)), await numbers(softmax(b))]
    const divergence = (x: readonly number[], y: readonly number[]): number =>
      x.reduce((total, value, i) => total + value * Math.log(value / (y[i] as number)), 0) / 256
    const hard = [crossEntropy(models[0].forward(point), inside), crossEntropy(models[1].forward(point), inside)]
    expected = [...(await Promise.all(hard.map(numbers))).flat(), divergence(q, p), divergence(p, q)]
  }
  const run = await distillMutually([...models], whole, {
    forward,
    labels,
    optimizer: (parameters) => new optim.SGD(parameters, { lr: 0.1 }),
    epochs: 1,
    progress: false,
  })
  expect(run.model.members).toHaveLength(2)
  expect(run.history[0]?.figures['epoch/loss']).toBeCloseTo(
    expected.reduce((a, b) => a + b, 0),
    4,
  )
  await expect(distillMutually([models[0]], whole, { forward, labels, optimizer: adamw, epochs: 1 })).rejects.toThrow(
    /at least two models/,
  )
})
