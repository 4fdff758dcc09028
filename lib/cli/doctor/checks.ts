// Small computations with known answers, on one device: a product, a gradient, a training step.
import { compile, device, grad, matmul, Parameter, type Tensor, tanh, tensor } from '../../index.js'
import type { Check } from './diagnosis.js'

type Numbers = readonly number[]

/** What each gives, and what it must give. */
const CHECKS: readonly (readonly [name: string, found: (on: string) => Promise<Numbers>, wanted: Numbers])[] = [
  [
    'matmul',
    // Integers, whose products are exact in any order and on any unit.
    async (on) => {
      const a = tensor([1, 2, 3, 4, 5, 6], { shape: [2, 3], device: on })
      const b = tensor([7, 8, 9, 10, 11, 12], { shape: [3, 2], device: on })
      return numbers(matmul(a, b))
    },
    [58, 64, 139, 154],
  ],
  [
    'gradient',
    async (on) => {
      const x = tensor([0, 0.5, -1], { device: on })
      return numbers(grad(tanh(x).sum(), [x]).get(x))
    },
    // 1 - tanh(x)^2.
    [1, 0.7864477329659274, 0.41997434161402614],
  ],
  [
    'training step',
    async (on) => {
      const w = new Parameter(tensor([1, -2], { device: on }))
      const step = compile((x: Tensor) => {
        const loss = matmul(x, w).mul(matmul(x, w)).sum()
        w.assign(w.sub(grad(loss, [w]).get(w).mul(0.1)))
        return loss
      })
      const x = tensor([3, 1], { shape: [1, 2], device: on })
      await step(x)
      return numbers(w)
    },
    // (w x)^2 with w x = 1: the gradient is 2 x.
    [0.4, -2.2],
  ],
]

async function numbers(result: Tensor): Promise<number[]> {
  return Array.from((await result.data()) as Float32Array)
}

/** Runs every check on the device of that name. */
export async function check(name: string): Promise<Check[]> {
  const results: Check[] = []
  for (const [what, compute, wanted] of CHECKS) {
    let error = ''
    try {
      const found = await compute(device(name).name)
      const right = found.length === wanted.length && found.every((x, i) => Math.abs(x - (wanted[i] as number)) < 1e-5)
      if (!right) error = `it gave [${found.join(', ')}], not [${wanted.join(', ')}]`
    } catch (cause) {
      error = (cause as Error).message
    }
    results.push({ device: name, name: what, passed: error === '', error })
  }
  return results
}
