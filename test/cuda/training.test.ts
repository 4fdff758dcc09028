// Training on a CUDA device: the CPU's losses, the same bits again, and steps that are replayed.
import { afterAll, describe, expect, it } from 'vitest'
import * as h from '../../lib/index.js'

const name = process.env['HEDDLE_TEST_DEVICE'] ?? 'cpu'
const STEPS = 20
const { BatchNorm2d, Conv2d, Dropout, Flatten, GELU, GPT, Linear, MaxPool2d, ReLU, Sequential } = h.nn

interface Subject {
  readonly make: () => h.nn.Layer & h.nn.Module
  readonly x: () => h.Tensor
  readonly classes: number
  readonly rows: number
  readonly optimizer: (parameters: Iterable<h.Parameter>) => h.optim.Optimizer
}

const SUBJECTS: Record<string, Subject> = {
  'an MLP with momentum': {
    make: () => new Sequential(new Linear(12, 24), new ReLU(), new Linear(24, 24), new GELU(), new Linear(24, 5)),
    x: () => h.randomNormal([16, 12]),
    classes: 5,
    rows: 16,
    optimizer: (parameters) => new h.optim.SGD(parameters, { lr: 0.05, momentum: 0.9, nesterov: true }),
  },
  'a CNN with batch normalisation': {
    make: () =>
      new Sequential(
        new Conv2d(1, 4, 3, { padding: 1 }),
        new BatchNorm2d(4),
        new ReLU(),
        new MaxPool2d(2),
        new Conv2d(4, 6, 3, { padding: 1 }),
        new ReLU(),
        new Flatten(),
        new Dropout(0.1),
        new Linear(6 * 16, 4),
      ),
    x: () => h.randomNormal([8, 1, 8, 8]),
    classes: 4,
    rows: 8,
    optimizer: (parameters) => new h.optim.AdamW(parameters, { lr: 0.01, weightDecay: 0.1 }),
  },
  'a GPT with dropout': {
    make: () => new GPT({ vocabSize: 17, layers: 2, heads: 2, width: 16, context: 8, dropout: 0.1 }),
    x: () =>
      h.tensor(
        Int32Array.from({ length: 16 }, (_, i) => (i * 5) % 17),
        { shape: [2, 8] },
      ),
    classes: 17,
    rows: 16,
    optimizer: (parameters) => new h.optim.AdamW(parameters, { lr: 3e-3 }),
  },
}

async function losses({ make, x, classes, rows, optimizer }: Subject, device: string): Promise<number[]> {
  h.setDefaultDevice(device)
  h.seed(7)
  const model = make()
  const inputs = x()
  const targets = h.tensor(Int32Array.from({ length: rows }, (_, i) => (i * 3) % classes))
  const rule = optimizer(model.parameters())
  const step = h.compile((given: h.Tensor, wanted: h.Tensor) => {
    const loss = h.crossEntropy(model.forward(given).reshape(rows, classes), wanted)
    const gradients = h.grad(loss, model.parameters())
    rule.step(gradients)
    return loss
  })
  const found: number[] = []
  for (let i = 0; i < STEPS; i++) found.push(Number(await (await step(inputs, targets)).item()))
  return found
}

describe.skipIf(!name.startsWith('cuda'))('training on a CUDA device', () => {
  afterAll(() => h.setDefaultDevice(name))

  it.each(Object.entries(SUBJECTS))(
    '%s learns as on the CPU, twice to the same bits, replayed',
    async (_, subject) => {
      const before = h.device(name).memory().replays
      const cuda = await losses(subject, name)
      expect(h.device(name).memory().replays - before).toBeGreaterThanOrEqual(STEPS / 2)
      expect(await losses(subject, name)).toEqual(cuda)
      const cpu = await losses(subject, 'cpu')
      cuda.forEach((loss, i) => {
        expect(Math.abs(loss - (cpu[i] as number)), `step ${i}`).toBeLessThanOrEqual(1e-3 * Math.abs(cpu[i] as number))
      })
      expect(cuda.at(-1)).toBeLessThan(cuda[0] as number)
    },
    300_000,
  )
})
