// The learning-rate finder and the batch-size finder: what they find where the answer is known, and that they leave no trace.
import { afterEach, describe, expect, it } from 'vitest'
import { DataLoader } from '../../lib/data/index.js'
import {
  ArgumentError,
  defaultDevice,
  defaultGenerator,
  mean,
  nn,
  OutOfMemoryError,
  optim,
  type Parameter,
  pow,
  randomNormal,
  seed,
  sub,
  type Tensor,
} from '../../lib/index.js'
import { findBatchSize, findLearningRate } from '../../lib/train/index.js'

const samples = Array.from({ length: 64 }, (_, i) => {
  const x = Float32Array.from({ length: 8 }, (_, k) => Math.sin(i * 7 + k * 3))
  return { x, y: Float32Array.of((x[0] as number) - 2 * (x[3] as number)) }
})
const loader = () => new DataLoader(samples, { batchSize: 16, shuffle: true })
const loss = (model: nn.Linear, { x, y }: { x: Tensor; y: Tensor }) => mean(pow(sub(model.forward(x), y), 2))
const sgd = (parameters: Parameter[]) => new optim.SGD(parameters, { lr: 1 })

describe('the learning rate', () => {
  it('is found between too slow and diverging', async () => {
    seed(1)
    const model = new nn.Linear(8, 1)
    const data = loader()
    for await (const _ of data) break
    const [before, random, position] = [await model.stateDict(), await defaultGenerator().stateDict(), data.state()]
    const { points, suggestion } = await findLearningRate(model, data, { loss, optimizer: sgd, steps: 60 })
    // Of this quadratic, gradient descent diverges beyond 2 divided by its greatest curvature, which is about 2.
    expect(suggestion).toBeGreaterThan(1e-3)
    expect(suggestion).toBeLessThan(2)
    expect(points.length).toBeLessThan(60)
    expect(points[0]?.lr).toBe(1e-7)
    expect([await model.stateDict(), await defaultGenerator().stateDict(), data.state()]).toEqual([
      before,
      random,
      position,
    ])
  })

  it('says what is wrong', async () => {
    const model = new nn.Linear(8, 1)
    const find = (options: object) => findLearningRate(model, loader(), { loss, optimizer: sgd, ...options })
    expect(() => find({ from: 0 })).toThrow(ArgumentError)
    expect(() => find({ from: 1, to: 0.1 })).toThrow(/to must be a number from 1 up/)
    expect(() => find({ smoothing: 1 })).toThrow(/below 1/)
    await expect(
      findLearningRate(model, new DataLoader([], {}), { loss: loss as never, optimizer: sgd }),
    ).rejects.toThrow(/gave no batch/)
  })
})

describe('the batch size', () => {
  afterEach(() => defaultDevice().setMemoryLimit(Number.POSITIVE_INFINITY))

  it('is the greatest that fits', async () => {
    seed(2)
    const model = new nn.Sequential(new nn.Linear(32, 1024), new nn.ReLU(), new nn.Linear(1024, 1))
    const before = await model.stateDict()
    const regress = (m: typeof model, { x }: { x: Tensor }) => mean(pow(m.forward(x), 2))
    const memoryBytes = defaultDevice().memory().allocated + 4_000_000
    const found = await findBatchSize(model, (n) => ({ x: randomNormal([n, 32]) }), {
      loss: regress,
      optimizer: sgd,
      memoryBytes,
      least: 4,
      most: 65536,
      steps: 1,
    })
    expect(found.largest).toBeGreaterThanOrEqual(32)
    // A batch of 4,096 has 16 MB of activations.
    expect(found.largest).toBeLessThan(4096)
    expect(found.trials.map(({ samples: n }) => n)).toContain(found.fastest)
    expect(await model.stateDict()).toEqual(before)
    // The limit is what it was: this does not fit into what was allowed.
    expect((await randomNormal([2048, 1024]).data()).length).toBe(2048 * 1024)
  })

  it('is an error where nothing fits', async () => {
    const model = new nn.Linear(8, 1)
    const find = findBatchSize(model, (n) => ({ x: randomNormal([n, 8]), y: randomNormal([n, 1]) }), {
      loss,
      optimizer: sgd,
      memoryBytes: defaultDevice().memory().allocated + 100_000,
      least: 65536,
      most: 65536,
    })
    await expect(find).rejects.toThrow(OutOfMemoryError)
  })
})
