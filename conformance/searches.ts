// The line search of L-BFGS beside PyTorch's, along functions made to try such searches.
import { type Point, strongWolfe } from '../lib/optim/lineSearch.js'
import type { Case } from './case.js'

/** Functions of one variable and their derivatives, in both languages, the first two of Moré and Thuente (1994). */
const FUNCTIONS: readonly (readonly [string, string, string, (t: number) => readonly [number, number]])[] = [
  [
    'a single minimum, flat far off',
    '-t / (t * t + 2)',
    '(t * t - 2) / ((t * t + 2) ** 2)',
    (t) => [-t / (t * t + 2), (t * t - 2) / (t * t + 2) ** 2],
  ],
  [
    'a quintic',
    '(t + 0.004) ** 5 - 2 * (t + 0.004) ** 4',
    '5 * (t + 0.004) ** 4 - 8 * (t + 0.004) ** 3',
    (t) => [(t + 0.004) ** 5 - 2 * (t + 0.004) ** 4, 5 * (t + 0.004) ** 4 - 8 * (t + 0.004) ** 3],
  ],
  [
    'a steep wall',
    'math.hypot(1, 3 * (t - 2)) - t + 20 * max(t - 3, 0) ** 4',
    '9 * (t - 2) / math.hypot(1, 3 * (t - 2)) - 1 + 80 * max(t - 3, 0) ** 3',
    (t) => [
      Math.hypot(1, 3 * (t - 2)) - t + 20 * Math.max(t - 3, 0) ** 4,
      (9 * (t - 2)) / Math.hypot(1, 3 * (t - 2)) - 1 + 80 * Math.max(t - 3, 0) ** 3,
    ],
  ],
  [
    'waves',
    '0.02 * t * t - 0.3 * t + math.cos(4 * t)',
    '0.04 * t - 0.3 - 4 * math.sin(4 * t)',
    (t) => [0.02 * t * t - 0.3 * t + Math.cos(4 * t), 0.04 * t - 0.3 - 4 * Math.sin(4 * t)],
  ],
]
const TRIALS = [1e-3, 0.05, 0.3, 1, 2.7, 10, 45, 1e3]

/** The step that is found from each first trial, the value there, and how many evaluations it took. */
export const searches: readonly Case[] = FUNCTIONS.map(([name, value, slope, evaluate]) => ({
  case: `line search: ${name}`,
  calls: { torch: value },
  request: { kind: 'search', slope, trials: TRIALS },
  theirs: (answer) => answer as number[][],
  steps: TRIALS.length,
  ours: async () => {
    const at = (t: number): Point<undefined> => {
      const [loss, derivative] = evaluate(t)
      return { t, loss, slope: derivative, gradient: undefined }
    }
    return Promise.all(
      TRIALS.map(async (trial) => {
        const search = strongWolfe(async (t) => at(t), at(0), trial, { size: 1, toleranceChange: 1e-9 })
        const { point, evaluations } = await search
        return [point.t, point.loss, evaluations]
      }),
    )
  },
}))
