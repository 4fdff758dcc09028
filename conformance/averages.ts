// The exponential moving average beside PyTorch's.
import { optim, Parameter, tensor } from '../lib/index.js'
import { type Case, drawer, numbers } from './case.js'

const draw = drawer(23)
const WALK = Array.from({ length: 100 }, () => Array.from({ length: 6 }, () => 2 * draw() - 1))

export const averages: readonly Case[] = [
  {
    case: 'average: exponential',
    calls: { torch: 'average' },
    request: { kind: 'average', decay: 0.9, walk: WALK },
    theirs: (answer) => answer as number[][],
    ours: async () => {
      const f64 = (values: readonly number[]) => tensor([...values], { dtype: 'f64' })
      const p = new Parameter(f64(WALK[0] as number[]))
      const average = new optim.ExponentialMovingAverage([p], { decay: 0.9 })
      const path: number[][] = []
      for (const values of WALK) {
        p.assign(f64(values))
        average.update()
        average.swap()
        path.push(await numbers(p))
        average.restore()
      }
      return path
    },
    steps: WALK.length,
    kept: [1, 2, 10, 100],
  },
]
