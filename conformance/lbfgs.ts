// L-BFGS beside PyTorch's: a function with a curved valley and a logistic regression.
import { compile, grad, log1p, optim, Parameter, slice, type Tensor, tensor } from '../lib/index.js'
import { type Case, drawer, numbers } from './case.js'

const draw = drawer(41)
const list = (size: number): number[] => Array.from({ length: size }, () => 2 * draw() - 1)

const [ROWS, COLUMNS] = [30, 6]
const x = Array.from({ length: ROWS }, () => list(COLUMNS))
const y = list(ROWS).map((value) => Math.sign(value))
const f64 = (values: readonly number[], shape: readonly number[] = [values.length]): Tensor =>
  tensor([...values], { dtype: 'f64', shape: [...shape] })

const [features, classes] = [f64(x.flat(), [ROWS, COLUMNS]), f64(y)]

interface Problem {
  readonly start: readonly (readonly number[])[]
  readonly data: Readonly<Record<string, unknown>>
  /** In Python. */
  readonly text: string
  readonly loss: (p: readonly Parameter[]) => Tensor
}

/**
 * Rosenbrock's function (1960), chained over six variables, with 10 for its 100: in so narrow a valley rounding errors of
 * 1e-16 grow to 1e-8 within fifty iterations, whoever makes them.
 */
const valley: Problem = {
  start: [[-1.2, 1, -0.5, 0.8, 1.3, -0.7]],
  data: {},
  text: '(10 * (p[0][1:] - p[0][:-1] ** 2) ** 2 + (1 - p[0][:-1]) ** 2).sum()',
  loss: ([p]) => {
    const [later, earlier] = [slice(p as Tensor, [1]), slice(p as Tensor, [0, 5])]
    const bend = later.sub(earlier.mul(earlier))
    const off = earlier.mul(-1).add(1)
    return bend.mul(bend).mul(10).add(off.mul(off)).sum()
  },
}

const regression: Problem = {
  start: [list(COLUMNS), [0.3]],
  data: { x, y },
  text: 'torch.log1p(torch.exp(-y * (x @ p[0] + p[1]))).mean() + 0.05 * (p[0] ** 2).sum()',
  loss: ([w, b]) => {
    const products = features.mul(w as Tensor)
    const margins = products
      .sum({ axes: -1 })
      .add(b as Tensor)
      .mul(classes)
    const penalty = (w as Tensor)
      .mul(w as Tensor)
      .sum()
      .mul(0.05)
    return log1p(margins.mul(-1).exp()).mean().add(penalty)
  },
}

const lbfgs = (name: string, steps: number, problem: Problem, call: string, options: optim.LBFGSOptions): Case => ({
  case: `L-BFGS: ${name}`,
  calls: { torch: `torch.optim.LBFGS(p, ${call})` },
  request: { kind: 'lbfgs', start: problem.start, data: problem.data, loss: problem.text, steps },
  theirs: (answer) => (answer as number[][][]).map((lists) => lists.flat()),
  steps,
  ours: async () => {
    const parameters = problem.start.map((values) => new Parameter(f64(values)))
    const optimizer = new optim.LBFGS(parameters, options)
    const evaluate = compile(() => {
      const loss = problem.loss(parameters)
      const gradients = grad(loss, parameters)
      return { loss, gradients: parameters.map((parameter) => gradients.get(parameter)) }
    })
    const path: number[][] = []
    for (let i = 0; i < steps; i++) {
      await optimizer.step(evaluate)
      path.push((await Promise.all(parameters.map(numbers))).flat())
    }
    return path
  },
  kept: [1, 2, 10, steps],
})

export const lbfgsCases: readonly Case[] = [
  lbfgs('one iteration a step', 100, regression, 'max_iter=1, history_size=10, lr=0.5', {
    maxIterations: 1,
    lr: 0.5,
  }),
  lbfgs('twenty iterations a step, short history', 10, regression, 'history_size=3, lr=0.8', { history: 3, lr: 0.8 }),
  lbfgs(
    'strong Wolfe, one iteration a step',
    100,
    valley,
    'max_iter=1, max_eval=25, history_size=10, line_search_fn="strong_wolfe"',
    { maxIterations: 1, maxEvaluations: 25, lineSearch: 'strongWolfe' },
  ),
  lbfgs('strong Wolfe, twenty iterations a step', 10, valley, 'history_size=10, line_search_fn="strong_wolfe"', {
    lineSearch: 'strongWolfe',
  }),
]
