// The models of the end-to-end benchmarks, with random data: an MLP, a CNN and a GPT, each with a training step.
import {
  type Compiled,
  compile,
  crossEntropy,
  grad,
  nn,
  optim,
  randomNormal,
  seed,
  type Tensor,
  tensor,
} from '../lib/index.js'

export type OptimizerName = 'sgd' | 'adamw'

/** The stated rates; AdamW's other settings are PyTorch's defaults. */
export const RATES: Record<OptimizerName, number> = { sgd: 0.05, adamw: 1e-3 }
export const ADAMW = { beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: 0.01 } as const

export interface Benchmark {
  readonly name: string
  readonly model: nn.Layer & nn.Module
  readonly x: Tensor
  readonly y: Tensor
  /** What the peer has to know beyond the weights. */
  readonly facts: Readonly<Record<string, number>>
}

/** Integers below `limit`, from a generator of their own (a linear congruence, Knuth's constants). */
function integers(count: number, limit: number): Int32Array {
  let state = 12345n
  return Int32Array.from({ length: count }, () => {
    state = (state * 6364136223846793005n + 1442695040888963407n) & 0xffffffffffffffffn
    return Number((state >> 33n) % BigInt(limit))
  })
}

const classes = (count: number, limit: number): Tensor => tensor(integers(count, limit), { shape: [count] })

function mlp(): Benchmark {
  const { Linear, ReLU, Sequential } = nn
  const model = new Sequential(new Linear(784, 512), new ReLU(), new Linear(512, 512), new ReLU(), new Linear(512, 10))
  return { name: 'mlp', model, x: randomNormal([128, 784]), y: classes(128, 10), facts: {} }
}

function cnn(): Benchmark {
  const { Conv2d, Flatten, Linear, MaxPool2d, ReLU, Sequential } = nn
  const model = new Sequential(
    new Conv2d(1, 32, 3, { padding: 1 }),
    new ReLU(),
    new MaxPool2d(2),
    new Conv2d(32, 64, 3, { padding: 1 }),
    new ReLU(),
    new MaxPool2d(2),
    new Flatten(),
    new Linear(64 * 7 * 7, 128),
    new ReLU(),
    new Linear(128, 10),
  )
  return { name: 'cnn', model, x: randomNormal([64, 1, 28, 28]), y: classes(64, 10), facts: {} }
}

function gpt(): Benchmark {
  const shape = { layers: 4, heads: 4, width: 256, context: 128, vocabSize: 512 }
  const model = new nn.GPT({ ...shape, tieWeights: false })
  const tokens = tensor(integers(8 * 128, 512), { shape: [8, 128] })
  return {
    name: 'gpt',
    model,
    x: tokens,
    y: classes(8 * 128, 512),
    facts: { layers: shape.layers, heads: shape.heads },
  }
}

/** Makes one of them, always with the same weights and data. */
export function benchmark(name: 'mlp' | 'cnn' | 'gpt'): Benchmark {
  seed(1)
  const made = { mlp, cnn, gpt }[name]()
  made.x.realize()
  return made
}

/** Forward, backward and update as one compiled function. */
export function trainingStep({ name, model }: Benchmark, optimizer: OptimizerName): Compiled<[Tensor, Tensor], Tensor> {
  const parameters = model.parameters()
  const rule =
    optimizer === 'sgd'
      ? new optim.SGD(parameters, { lr: RATES.sgd })
      : new optim.AdamW(parameters, { lr: RATES.adamw })
  return compile(
    (x: Tensor, y: Tensor) => {
      const logits = model.forward(x)
      const loss = crossEntropy(logits.reshape(-1, logits.shape.at(-1) as number), y)
      rule.step(grad(loss, parameters))
      return loss
    },
    { name: `${name} ${optimizer}` },
  )
}
