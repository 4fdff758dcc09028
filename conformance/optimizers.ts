// Optimizers beside PyTorch's and optax's: 100 compiled steps in f64, each on a quadratic of its own.
import { compile, grad, optim, Parameter, type Tensor, tensor } from '../lib/index.js'
import { type Calls, type Case, drawer, numbers, type Path } from './case.js'

const STEPS = 100
const SHAPES = [[4, 3], [5], [2, 3, 4]] as const
const sizes = SHAPES.map((shape) => shape.reduce((a: number, b) => a * b, 1))

type Lists = readonly (readonly number[])[]

/** Where the parameters start, and c and d of the loss c p^2 / 2 + d p of each step, per tensor. */
function problem(): { start: Lists; data: readonly (readonly (readonly [readonly number[], readonly number[]])[])[] } {
  const draw = drawer(2026)
  const list = (size: number, low: number, high: number): number[] =>
    Array.from({ length: size }, () => low + (high - low) * draw())
  return {
    start: sizes.map((size) => list(size, -1, 1)),
    data: Array.from({ length: STEPS }, () => sizes.map((size) => [list(size, 0.5, 1.5), list(size, -1, 1)] as const)),
  }
}

async function trajectory(make: (parameters: Parameter[]) => optim.Optimizer, clip?: number): Promise<Path> {
  const { start, data } = problem()
  const f64 = (values: readonly number[], i: number): Tensor =>
    tensor([...values], { dtype: 'f64', shape: [...(SHAPES[i] as readonly number[])] })
  const parameters = start.map((values, i) => new Parameter(f64(values, i)))
  const optimizer = make(parameters)
  const step = compile((coefficients: [Tensor, Tensor][]) => {
    const loss = parameters
      .map((p, i) => {
        const [c, d] = coefficients[i] as [Tensor, Tensor]
        return p.mul(p).mul(c).mul(0.5).add(p.mul(d)).sum()
      })
      .reduce((a, b) => a.add(b))
    const gradients = grad(loss, parameters)
    optimizer.step(clip === undefined ? gradients : optim.clipGradients(gradients, { maxNorm: clip }))
  })
  const path: number[][] = []
  for (const coefficients of data) {
    await step(coefficients.map(([c, d], i) => [f64(c, i), f64(d, i)]))
    path.push((await Promise.all(parameters.map(numbers))).flat())
  }
  return path
}

const optimizer = (
  name: string,
  calls: Calls,
  make: (parameters: Parameter[]) => optim.Optimizer,
  clip?: number,
): Case => ({
  case: `optimizer: ${name}`,
  calls,
  request: { kind: 'optimizer', shapes: SHAPES, ...problem(), clip: clip ?? null },
  theirs: (answer) => (answer as number[][][]).map((lists) => lists.flat()),
  ours: () => trajectory(make, clip),
  steps: STEPS,
  kept: [1, 2, 10, STEPS],
})

export const optimizers: readonly Case[] = [
  optimizer(
    'SGD',
    { torch: 'torch.optim.SGD(p, lr=0.05)', optax: 'optax.sgd(0.05)' },
    (p) => new optim.SGD(p, { lr: 0.05 }),
  ),
  optimizer(
    'SGD, momentum, dampening, weight decay',
    { torch: 'torch.optim.SGD(p, lr=0.05, momentum=0.9, dampening=0.2, weight_decay=0.1)' },
    (p) => new optim.SGD(p, { lr: 0.05, momentum: 0.9, dampening: 0.2, weightDecay: 0.1 }),
  ),
  optimizer(
    'SGD, Nesterov',
    {
      torch: 'torch.optim.SGD(p, lr=0.05, momentum=0.9, nesterov=True)',
      optax: 'optax.sgd(0.05, momentum=0.9, nesterov=True)',
    },
    (p) => new optim.SGD(p, { lr: 0.05, momentum: 0.9, nesterov: true }),
  ),
  optimizer(
    'Adam',
    { torch: 'torch.optim.Adam(p, lr=0.01)', optax: 'optax.adam(0.01)' },
    (p) => new optim.Adam(p, { lr: 0.01 }),
  ),
  optimizer(
    'Adam, weight decay',
    { torch: 'torch.optim.Adam(p, lr=0.01, betas=(0.8, 0.95), eps=1e-6, weight_decay=0.1)' },
    (p) => new optim.Adam(p, { lr: 0.01, betas: [0.8, 0.95], eps: 1e-6, weightDecay: 0.1 }),
  ),
  optimizer(
    'AdamW',
    { torch: 'torch.optim.AdamW(p, lr=0.01, weight_decay=0.1)', optax: 'optax.adamw(0.01, weight_decay=0.1)' },
    (p) => new optim.AdamW(p, { lr: 0.01, weightDecay: 0.1 }),
  ),
  optimizer(
    'AdamW, clipped by the global norm',
    { torch: 'torch.optim.AdamW(p, lr=0.01)' },
    (p) => new optim.AdamW(p, { lr: 0.01 }),
    1.5,
  ),
  optimizer(
    'RMSprop',
    {
      torch: 'torch.optim.RMSprop(p, lr=0.01)',
      optax: 'optax.rmsprop(0.01, decay=0.99, eps=1e-8, eps_in_sqrt=False)',
    },
    (p) => new optim.RMSprop(p),
  ),
  optimizer(
    'RMSprop, centered, momentum, weight decay',
    { torch: 'torch.optim.RMSprop(p, lr=0.005, alpha=0.9, eps=1e-4, momentum=0.8, centered=True, weight_decay=0.1)' },
    (p) => new optim.RMSprop(p, { lr: 0.005, alpha: 0.9, eps: 1e-4, momentum: 0.8, centered: true, weightDecay: 0.1 }),
  ),
  optimizer('Adagrad', { torch: 'torch.optim.Adagrad(p)' }, (p) => new optim.Adagrad(p)),
  optimizer(
    'Adagrad, decay of the rate, initial accumulator, weight decay',
    { torch: 'torch.optim.Adagrad(p, lr=0.1, lr_decay=0.01, initial_accumulator_value=0.5, weight_decay=0.1)' },
    (p) => new optim.Adagrad(p, { lr: 0.1, lrDecay: 0.01, initialAccumulator: 0.5, weightDecay: 0.1 }),
  ),
  optimizer('Lion', { optax: 'optax.lion(1e-2, weight_decay=0)' }, (p) => new optim.Lion(p, { lr: 1e-2 })),
  optimizer(
    'Lion, weight decay',
    { optax: 'optax.lion(1e-2, b1=0.8, b2=0.95, weight_decay=0.1)' },
    (p) => new optim.Lion(p, { lr: 1e-2, betas: [0.8, 0.95], weightDecay: 0.1 }),
  ),
  optimizer('LAMB', { optax: 'optax.lamb(1e-2)' }, (p) => new optim.LAMB(p, { lr: 1e-2 })),
  optimizer(
    'LAMB, weight decay',
    { optax: 'optax.lamb(1e-2, b1=0.8, b2=0.95, weight_decay=0.1)' },
    (p) => new optim.LAMB(p, { lr: 1e-2, betas: [0.8, 0.95], weightDecay: 0.1 }),
  ),
  optimizer(
    'Adafactor, of a given rate',
    { optax: 'adafactor(lr=0.05)' },
    (p) => new optim.Adafactor(p, { lr: 0.05, minSizeToFactor: 2 }),
  ),
  optimizer(
    'Adafactor, by relative steps',
    { optax: 'adafactor(lr=lambda i: jnp.minimum(1e-2, (i.astype(jnp.float64) + 1) ** -0.5))' },
    (p) => new optim.Adafactor(p, { minSizeToFactor: 2 }),
  ),
  optimizer(
    'Adafactor, momentum, weight decay, nothing factored or scaled',
    { optax: 'adafactor(lr=0.01, momentum=0.9, weight_decay=0.01, threshold=1.5, scale=False, smallest=128)' },
    (p) =>
      new optim.Adafactor(p, {
        lr: 0.01,
        momentum: 0.9,
        weightDecay: 0.01,
        clippingThreshold: 1.5,
        scaleByParameter: false,
      }),
  ),
  optimizer('Muon', { optax: 'muon(0.02)' }, (p) => new optim.Muon(p)),
  optimizer(
    'Muon, not looking ahead, weight decay',
    {
      optax:
        'optax.contrib.muon(0.01, beta=0.9, nesterov=False, weight_decay=0.1, adam_weight_decay=0.1, muon_weight_dimension_numbers=rows)',
    },
    (p) => new optim.Muon(p, { lr: 0.01, momentum: 0.9, nesterov: false, weightDecay: 0.1 }),
  ),
]
