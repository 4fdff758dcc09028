// Points in the plane, inside a circle or not: what small teachers and students of the tests learn.
import { nn, optim, type Tensor } from '../../lib/index.js'

export const points = Array.from({ length: 256 }, (_, i) => {
  const [x, y] = [Math.sin(i * 12.9898), Math.cos(i * 78.233)]
  return { point: Float32Array.of(x, y), inside: Number(x * x + y * y < 0.7) }
})

export const mlp = (hidden: number): nn.Sequential =>
  new nn.Sequential(new nn.Linear(2, hidden), new nn.ReLU(), new nn.Linear(hidden, 2))

export interface Points {
  readonly point: Tensor
  readonly inside: Tensor
}

export const forward = (model: nn.Sequential, { point }: Pick<Points, 'point'>): Tensor => model.forward(point)
export const labels = ({ inside }: Points): Tensor => inside
export const adamw = (parameters: ReturnType<nn.Module['parameters']>): optim.Optimizer =>
  new optim.AdamW(parameters, { lr: 0.02 })
export const dtypes = { inside: 'i32' } as const
