// A small network, its samples and its loss: what the trainer's tests train.
import { expect } from 'vitest'
import { DataLoader } from '../../lib/data/index.js'
import { crossEntropy, nn, optim, type Parameter, relu, type StateDict, seed, type Tensor } from '../../lib/index.js'
import type { Log } from '../../lib/train/index.js'

export class Network extends nn.Module {
  first: nn.Linear
  last: nn.Linear

  constructor(dtype: 'f32' | 'f64' = 'f32') {
    super()
    this.first = new nn.Linear(4, 8, { dtype })
    this.last = new nn.Linear(8, 3, { dtype })
  }

  forward(x: Tensor): Tensor {
    return this.last.forward(relu(this.first.forward(x)))
  }
}

export const samples = Array.from({ length: 48 }, (_, i) => ({
  x: Float32Array.from({ length: 4 }, (_, k) => Math.sin(i * (k + 2))),
  y: i % 3,
  name: `sample ${i}`,
}))
export const loader = (batchSize = 8, count = samples.length) =>
  new DataLoader(samples.slice(0, count), { batchSize, dtypes: { y: 'i32' } })

export type Batch = { x: Tensor; y: Tensor; name: string[] }
export const scored = (model: Network, { x, y }: { x: Tensor; y: Tensor }) => {
  const predictions = model.forward(x)
  return { loss: crossEntropy(predictions, y), predictions, targets: y }
}
export const sgd = (lr: number) => (parameters: Iterable<Parameter>) => new optim.SGD(parameters, { lr, momentum: 0.9 })

export function made(dtype: 'f32' | 'f64' = 'f32'): Network {
  seed(11)
  return new Network(dtype)
}

export const numbers = (state: StateDict): number[] =>
  Object.values(state).flatMap(({ data }) => Array.from(data as Float64Array))
export async function expectClose(a: Network, b: Network, atMost: number): Promise<void> {
  const [first, second] = [numbers(await a.stateDict()), numbers(await b.stateDict())]
  const worst = Math.max(...first.map((value, i) => Math.abs(value - (second[i] as number))))
  expect(worst).toBeLessThanOrEqual(atMost)
}

export const scored64 = (model: Network, { x, y }: { x: Tensor; y: Tensor }) => ({
  loss: crossEntropy(model.forward(x.cast('f64')), y),
})

/** A log that keeps what it is told. */
export function keeping(): Log & {
  readonly written: [step: number, values: Readonly<Record<string, number>>][]
  readonly notes: string[]
} {
  const written: [number, Readonly<Record<string, number>>][] = []
  const notes: string[] = []
  return {
    written,
    notes,
    write: (step, values) => void written.push([step, values]),
    note: (_, text) => void notes.push(text),
    flush: async () => {},
    close: async () => {},
  }
}
