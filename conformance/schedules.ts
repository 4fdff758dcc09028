// Learning rate schedules beside PyTorch's and optax's, over 101 steps; and the plateau, over a list of metrics.
import { optim, Parameter, schedule, tensor } from '../lib/index.js'
import { type Calls, type Case, drawer, numbers } from './case.js'

const STEPS = 101

const follow = (name: string, base: number, calls: Calls, make: () => optim.Schedule, total?: number): Case => ({
  case: `schedule: ${name}`,
  calls,
  request: { kind: 'schedule', base, steps: STEPS },
  steps: STEPS,
  theirs: (answer) => [answer as number[]],
  ours: async () => {
    const steps = tensor(
      Array.from({ length: STEPS }, (_, i) => i),
      { dtype: 'f64' },
    )
    return [await numbers(make()(steps, total).add(steps.mul(0)))]
  },
})

const METRICS = ((): number[] => {
  const draw = drawer(7)
  return Array.from({ length: 100 }, (_, i) => 1 / (1 + 0.2 * Math.min(i, 30)) + 0.05 * draw())
})()

const plateau = (name: string, call: string, options: optim.PlateauOptions, sign = 1): Case => {
  const metrics = METRICS.map((metric) => sign * metric)
  return {
    case: `schedule: ${name}`,
    calls: { torch: call },
    request: { kind: 'schedule', base: 0.5, metrics },
    steps: metrics.length,
    theirs: (answer) => [answer as number[]],
    ours: async () => {
      const sgd = new optim.SGD([new Parameter(tensor([1]))], { lr: 0.5 })
      const watch = new optim.ReduceOnPlateau(sgd, options)
      return [
        metrics.map((metric) => {
          watch.step(metric)
          return sgd.lr as number
        }),
      ]
    },
  }
}

export const schedules: readonly Case[] = [
  follow('constant', 0.3, { torch: 'S.ConstantLR(o, 1.0, 1)', optax: 'optax.constant_schedule(0.3)' }, () =>
    schedule.constant(0.3),
  ),
  follow(
    'linear',
    0.8,
    {
      torch: 'S.LinearLR(o, 1.0, 0.125, 60)',
      optax: 'optax.linear_schedule(0.8, 0.1, 60)',
    },
    () => schedule.linear({ start: 0.8, end: 0.1, total: 60 }),
  ),
  follow(
    'polynomial',
    0.5,
    { torch: 'S.PolynomialLR(o, 80, 2.5)', optax: 'optax.polynomial_schedule(0.5, 0.0, 2.5, 80)' },
    () => schedule.polynomial({ initial: 0.5, power: 2.5, total: 80 }),
  ),
  follow(
    'cosine',
    2,
    { optax: 'optax.cosine_decay_schedule(2.0, 90, 0.05)' },
    () => schedule.cosine({ peak: 2, end: 0.1 }),
    90,
  ),
  follow(
    'cosine, to its end',
    2,
    { torch: 'S.CosineAnnealingLR(o, 100, 0.1)', optax: 'optax.cosine_decay_schedule(2.0, 100, 0.05)' },
    () => schedule.cosine({ peak: 2, end: 0.1 }),
    100,
  ),
  follow(
    'warmup, then cosine',
    1,
    {
      optax:
        'optax.join_schedules([optax.linear_schedule(0.1, 1.0, 9), optax.cosine_decay_schedule(1.0, 80, 0.01)], [10])',
    },
    () => schedule.warmupCosine({ peak: 1, end: 0.01, warmup: 10, total: 90 }),
  ),
  follow('cosine with restarts', 0.7, { torch: 'S.CosineAnnealingWarmRestarts(o, 30, 1, 0.01)' }, () =>
    schedule.cosineRestarts({ peak: 0.7, end: 0.01, first: 30 }),
  ),
  follow('cosine with restarts, each longer', 0.7, { torch: 'S.CosineAnnealingWarmRestarts(o, 3, 2)' }, () =>
    schedule.cosineRestarts({ peak: 0.7, first: 3, factor: 2 }),
  ),
  follow('step', 1, { torch: 'S.StepLR(o, 7, 0.9)' }, () => schedule.step({ initial: 1, factor: 0.9, every: 7 })),
  follow('multiStep', 1, { torch: 'S.MultiStepLR(o, [10, 30, 31], 0.3)' }, () =>
    schedule.multiStep({ initial: 1, at: [10, 30, 31], factor: 0.3 }),
  ),
  follow('exponential', 1, { torch: 'S.ExponentialLR(o, 0.97)', optax: 'optax.exponential_decay(1.0, 1, 0.97)' }, () =>
    schedule.exponential({ initial: 1, factor: 0.97 }),
  ),
  follow('oneCycle', 0.5, { torch: 'S.OneCycleLR(o, 0.5, total_steps=102, cycle_momentum=False)' }, () =>
    schedule.oneCycle({ peak: 0.5, total: 102 }),
  ),
  follow(
    'sequential',
    1,
    {
      optax:
        'optax.join_schedules([optax.linear_schedule(0.5, 1.0, 20), optax.exponential_decay(1.0, 1, 0.9), optax.constant_schedule(0.01)], [20, 70])',
    },
    () =>
      schedule.sequential([
        { schedule: schedule.linear({ start: 0.5, end: 1 }), steps: 20 },
        { schedule: schedule.exponential({ initial: 1, factor: 0.9 }), steps: 50 },
        { schedule: schedule.constant(0.01) },
      ]),
  ),
  follow('chain', 1, { torch: 'S.ChainedScheduler([S.LinearLR(o, 0.25, 1.0, 10), S.ExponentialLR(o, 0.95)])' }, () =>
    schedule.chain(
      schedule.linear({ start: 0.25, end: 1, total: 10 }),
      schedule.exponential({ initial: 1, factor: 0.95 }),
    ),
  ),
  plateau('plateau', 'S.ReduceLROnPlateau(o, "min", 0.5, 3)', { factor: 0.5, patience: 3 }),
  plateau(
    'plateau, of a metric that should rise',
    'S.ReduceLROnPlateau(o, "max", 0.7, 1, threshold=0.01, threshold_mode="abs", cooldown=4, min_lr=0.05)',
    { mode: 'max', factor: 0.7, patience: 1, threshold: 0.01, thresholdMode: 'absolute', cooldown: 4, minLr: 0.05 },
    -1,
  ),
]
