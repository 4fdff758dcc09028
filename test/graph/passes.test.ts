// What the passes and lowering make of graphs, read from their plans.
import { describe, expect, it } from 'vitest'
import {
  arange,
  compile,
  crossEntropy,
  eye,
  full,
  gelu,
  grad,
  matmul,
  maxPool2d,
  mul,
  nn,
  optim,
  Parameter,
  randomNormal,
  type Tensor,
  tensor,
  transpose,
} from '../../lib/index.js'

/** The ops of a function's steps, in order. */
async function stepsOf(fn: (...tensors: Tensor[]) => Tensor | Tensor[], ...tensors: Tensor[]): Promise<string[]> {
  const compiled = compile((operands: Tensor[]) => fn(...operands))
  await compiled(tensors)
  const listing = compiled.plan?.toString().split('\n').slice(0, -1) ?? []
  return listing.map((line) => (/^ *\d+ +(\S+)/.exec(line) as RegExpExecArray)[1] as string)
}

const matrix = (rows: number, columns: number): Tensor => randomNormal([rows, columns]).realize()

describe('passes', () => {
  it('a chain of elementwise ops is one step', async () => {
    expect(await stepsOf((x) => gelu(x.mul(2).add(1).tanh()), matrix(8, 8))).toEqual(['mul'])
  })

  it('a bias becomes part of its product', async () => {
    const operands = [matrix(4, 8), matrix(8, 6), randomNormal([6]).realize()]
    expect(await stepsOf((x, w, b) => matmul(x as Tensor, w as Tensor).add(b as Tensor), ...operands)).toEqual([
      'matmul',
    ])
  })

  it('a product used transposed is computed that way round', async () => {
    const operands = [matrix(8, 4), matrix(8, 6)]
    expect(await stepsOf((x, y) => transpose(matmul(transpose(x as Tensor), y as Tensor)), ...operands)).toEqual([
      'matmul',
    ])
  })

  it('constants are folded and neutral operands vanish', async () => {
    expect(
      await stepsOf((x) => x.mul(1).add(0).reshape(4, 4).reshape(16).neg().neg(), tensor(new Float32Array(16))),
    ).toEqual(['copy'])
  })

  it('a maximum keeps positions only where a gradient asks for them', async () => {
    const images = randomNormal([1, 2, 4, 4]).realize()
    const forward = compile((x: Tensor) => maxPool2d(x, 2))
    const backward = compile((x: Tensor) => grad(maxPool2d(x, 2).sum(), x).get(x))
    await forward(images)
    await backward(images)
    expect(forward.plan?.toString()).toMatch(/maxPool -> f32\[1,2,2,2\] \(/)
    expect(backward.plan?.toString()).toMatch(/maxPool -> f32\[1,2,2,2\] i32\[1,2,2,2\] \(/)
  })

  it('equal values are computed once', async () => {
    const steps = await stepsOf((x) => [matmul(x, x).sum(), matmul(x, x).max()], matrix(8, 8))
    expect(steps.filter((step) => step === 'matmul')).toHaveLength(1)
  })

  it('equal values with numbers in them are computed once', async () => {
    const once = (x: Tensor): Tensor => matmul(x.mul(0.5).sub(1), x)
    const steps = await stepsOf((x) => [once(x).sum(), once(x).max()], matrix(8, 8))
    expect(steps.filter((step) => step === 'matmul')).toHaveLength(1)
  })

  it.each<[string, () => Tensor]>([
    ['constants', () => full([3, 3], 2)],
    ['sequences', () => arange(1, 10, 1, { dtype: 'f32' }).reshape(3, 3)],
    ['diagonals', () => eye(3)],
  ])('equal %s are told apart where a gradient is asked for one', async (_, make) => {
    const x = matrix(3, 3)
    const step = compile((y: Tensor) => {
      const [a, b] = [make(), make()]
      return [grad(mul(mul(a, b), y).sum(), [a]).get(a), mul(b, y)] as [Tensor, Tensor]
    })
    const [found, wanted] = await step(x)
    expect(await found.data()).toEqual(await wanted.data())
  })

  it('what no result depends on is not computed', async () => {
    expect(
      await stepsOf(
        (x) => {
          matmul(x, x).exp()
          return x.add(1)
        },
        matrix(8, 8),
      ),
    ).toEqual(['add'])
  })

  it('a layer is updated before the gradients of the layers below it are made', async () => {
    const model = new nn.Sequential(
      new nn.Linear(256, 512),
      new nn.ReLU(),
      new nn.Linear(512, 512),
      new nn.ReLU(),
      new nn.Linear(512, 10),
    )
    const sgd = new optim.SGD(model.parameters(), { lr: 0.1 })
    const step = (x: Tensor, y: Tensor): Tensor => {
      const loss = crossEntropy(model.forward(x), y)
      sgd.step(grad(loss, model.parameters()))
      return loss
    }
    const steps = await stepsOf((x, y) => step(x as Tensor, y as Tensor), matrix(32, 256), tensor(new Int32Array(32)))
    const first = steps.indexOf('sgd')
    expect(steps.filter((name) => name === 'sgd').length).toBeGreaterThan(1)
    expect(steps.slice(first).includes('matmul')).toBe(true)
    expect(steps.includes('copy')).toBe(false)
  })

  it('an assignment is computed in the memory of its cell', async () => {
    const p = new Parameter(matrix(64, 64))
    const steps = await stepsOf(
      (x) => {
        p.assign(p.sub(x.mul(0.1)))
        return x.sum()
      },
      matrix(64, 64),
    )
    expect(steps).not.toContain('copy')
  })
})
