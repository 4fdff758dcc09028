// Small models for the tests of serving: what they answer is known for every sample.
import { Cell, full, nn, Parameter, type Tensor, tensor } from '../../lib/index.js'

/** Gives its input times a factor; f32[B,N] -> f32[B,N]. */
export class Scale extends nn.Module {
  readonly factor: Parameter
  readonly offset: Cell

  constructor(factor = 2, offset = 0) {
    super()
    this.factor = new Parameter(full([], factor))
    this.offset = new Cell(tensor(offset))
    this.eval()
  }

  forward(x: Tensor): Tensor {
    return x.mul(this.factor).add(this.offset)
  }
}

/** How each promise ended: its value, or the name of its error. */
export async function endsOf<T>(promises: readonly Promise<T>[]): Promise<(T | string)[]> {
  return (await Promise.allSettled(promises)).map((end) =>
    end.status === 'fulfilled' ? end.value : (end.reason as Error).name,
  )
}

/** A promise that nobody hangs on for longer than a test may take. */
export const soon = <T>(promise: Promise<T>, what: string): Promise<T> =>
  Promise.race([
    promise,
    new Promise<never>((_, reject) => setTimeout(() => reject(new Error(`${what} hangs`)), 10_000).unref()),
  ])
