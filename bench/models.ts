// The models of the end-to-end benchmarks, with random data: an MLP, a CNN and a GPT, each with a training step.
import {
  autocast,
  type Compiled,
  compile,
  crossEntropy,
  grad,
  nn,
  optim,
  type Precision,
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

/** What the models are made of: as they are compared, and as small as can be. */
const SIZES = {
  full: {
    mlp: { batch: 128, inputs: 784, hidden: 512, classes: 10 },
    cnn: { batch: 64, extent: 28, channels: [32, 64], hidden: 128, classes: 10 },
    gpt: { batch: 8, layers: 4, heads: 4, width: 256, context: 128, vocabSize: 512 },
  },
  quick: {
    mlp: { batch: 16, inputs: 12, hidden: 24, classes: 5 },
    cnn: { batch: 4, extent: 8, channels: [4, 6], hidden: 8, classes: 4 },
    gpt: { batch: 2, layers: 2, heads: 2, width: 16, context: 8, vocabSize: 17 },
  },
} as const
type Sizes = (typeof SIZES)['full' | 'quick']

function mlp({ mlp: { batch, inputs, hidden, classes: count } }: Sizes): Benchmark {
  const { Linear, ReLU, Sequential } = nn
  const model = new Sequential(
    new Linear(inputs, hidden),
    new ReLU(),
    new Linear(hidden, hidden),
    new ReLU(),
    new Linear(hidden, count),
  )
  return { name: 'mlp', model, x: randomNormal([batch, inputs]), y: classes(batch, count), facts: {} }
}

function cnn({ cnn: { batch, extent, channels, hidden, classes: count } }: Sizes): Benchmark {
  const { Conv2d, Flatten, Linear, MaxPool2d, ReLU, Sequential } = nn
  const model = new Sequential(
    new Conv2d(1, channels[0], 3, { padding: 1 }),
    new ReLU(),
    new MaxPool2d(2),
    new Conv2d(channels[0], channels[1], 3, { padding: 1 }),
    new ReLU(),
    new MaxPool2d(2),
    new Flatten(),
    new Linear(channels[1] * (extent / 4) ** 2, hidden),
    new ReLU(),
    new Linear(hidden, count),
  )
  return { name: 'cnn', model, x: randomNormal([batch, 1, extent, extent]), y: classes(batch, count), facts: {} }
}

function gpt({ gpt: { batch, ...shape } }: Sizes): Benchmark {
  const model = new nn.GPT({ ...shape, tieWeights: false })
  const { context, vocabSize, layers, heads } = shape
  const tokens = tensor(integers(batch * context, vocabSize), { shape: [batch, context] })
  return { name: 'gpt', model, x: tokens, y: classes(batch * context, vocabSize), facts: { layers, heads } }
}

/** Makes one of them, always with the same weights and data; `quick` ones are there to be run, not to be timed. */
export function benchmark(name: 'mlp' | 'cnn' | 'gpt', size: 'full' | 'quick' = 'full'): Benchmark {
  seed(1)
  const made = { mlp, cnn, gpt }[name](SIZES[size])
  made.x.realize()
  return made
}

/** Forward, backward and update as one compiled function. */
export function trainingStep(
  { name, model }: Benchmark,
  optimizer: OptimizerName,
  precision: Precision = 'f32',
): Compiled<[Tensor, Tensor], Tensor> {
  const parameters = model.parameters()
  const rule =
    optimizer === 'sgd'
      ? new optim.SGD(parameters, { lr: RATES.sgd })
      : new optim.AdamW(parameters, { lr: RATES.adamw })
  return compile(
    (x: Tensor, y: Tensor) => {
      const loss = autocast(precision, () => {
        const logits = model.forward(x)
        return crossEntropy(logits.reshape(-1, logits.shape.at(-1) as number), y)
      })
      rule.step(grad(loss, parameters))
      return loss
    },
    { name: `${name} ${optimizer}` },
  )
}
