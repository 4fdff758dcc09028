// Losses beside PyTorch's: the value, and the gradient by the prediction.
import { functional as F, grad, type Tensor, tensor } from '../lib/index.js'
import { type Case, drawer, numbers } from './case.js'

const ROWS = 6
const CLASSES = 5
const draw = drawer(11)
const list = (size: number, low: number, high: number): number[] =>
  Array.from({ length: size }, () => low + (high - low) * draw())

const values = list(ROWS * CLASSES, -3, 3)
const others = list(ROWS * CLASSES, -3, 3)
const shares = list(ROWS * CLASSES, 0, 1)
const labels = [3, 0, 4, 2, 2, 1]

/** Rows of probabilities, or their logarithms. */
const rows = (logarithms: boolean): number[] =>
  Array.from({ length: ROWS }, (_, i) => {
    const row = shares.slice(i * CLASSES, (i + 1) * CLASSES)
    const total = row.reduce((a, b) => a + b)
    return row.map((x) => (logarithms ? Math.log(x / total) : x / total))
  }).flat()

interface Given {
  readonly values: readonly number[]
  readonly shape: readonly number[]
  readonly integers: boolean
}
const floats = (of: readonly number[]): Given => ({ values: of, shape: [ROWS, CLASSES], integers: false })
const classes = (of: readonly number[]): Given => ({ values: of, shape: [ROWS], integers: true })

const loss = (
  name: string,
  call: string,
  target: Given,
  ours: (x: Tensor, t: Tensor) => Tensor,
  input: readonly number[] = values,
): Case => ({
  case: `loss: ${name}`,
  calls: { torch: call },
  request: { kind: 'loss', input: floats(input), target },
  steps: 1,
  theirs: (answer) => answer as number[][],
  ours: async () => {
    const x = tensor([...input], { dtype: 'f64', shape: [ROWS, CLASSES] })
    const t: Tensor = tensor([...target.values], {
      dtype: target.integers ? 'i64' : 'f64',
      shape: [...target.shape],
    })
    const value = ours(x, t)
    const gradient = grad(value.sum(), [x]).get(x)
    return [await numbers(value), await numbers(gradient)]
  },
})

export const losses: readonly Case[] = [
  loss('mse', 'F.mse_loss(x, t)', floats(others), (x, t) => F.mseLoss(x, t)),
  loss('mse, sum', 'F.mse_loss(x, t, reduction="sum")', floats(others), (x, t) =>
    F.mseLoss(x, t, { reduction: 'sum' }),
  ),
  loss('l1', 'F.l1_loss(x, t)', floats(others), (x, t) => F.l1Loss(x, t)),
  loss('huber', 'F.huber_loss(x, t, delta=0.7)', floats(others), (x, t) => F.huberLoss(x, t, { delta: 0.7 })),
  loss('huber, none', 'F.huber_loss(x, t, reduction="none")', floats(others), (x, t) =>
    F.huberLoss(x, t, { reduction: 'none' }),
  ),
  loss('binary cross entropy', 'F.binary_cross_entropy_with_logits(x, t)', floats(shares), (x, t) =>
    F.binaryCrossEntropyWithLogits(x, t),
  ),
  loss(
    'binary cross entropy, positive weight',
    'F.binary_cross_entropy_with_logits(x, t, pos_weight=torch.tensor(2.5, dtype=torch.float64))',
    floats(shares),
    (x, t) => F.binaryCrossEntropyWithLogits(x, t, { positiveWeight: 2.5 }),
  ),
  loss('kl', 'F.kl_div(x, t, reduction="batchmean")', floats(rows(false)), (x, t) => F.klDivergence(x, t)),
  loss('kl, logarithms', 'F.kl_div(x, t, log_target=True, reduction="mean")', floats(rows(true)), (x, t) =>
    F.klDivergence(x, t, { logTarget: true, reduction: 'mean' }),
  ),
  loss('cross entropy', 'F.cross_entropy(x, t)', classes(labels), (x, t) => F.crossEntropy(x, t)),
  loss(
    'cross entropy, smoothed, a class ignored',
    'F.cross_entropy(x, t, label_smoothing=0.1, ignore_index=2)',
    classes(labels),
    (x, t) => F.crossEntropy(x, t, { labelSmoothing: 0.1, ignoreIndex: 2 }),
  ),
  loss(
    'nll',
    'F.nll_loss(x, t, ignore_index=4)',
    classes(labels),
    (x, t) => F.nllLoss(x, t, { ignoreIndex: 4 }),
    rows(true),
  ),
]
