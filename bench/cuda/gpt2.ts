// GPT-2 124M (Radford et al. 2019) as it is trained: nn.GPT, cross entropy and AdamW, on random tokens.
import { cast, compile, crossEntropy, grad, nn, optim, randomUniform, type Tensor } from '../../lib/index.js'
import { heldIn, recordedIn, type StepPrecision } from './precision.js'
import type { StepSubject } from './steps.js'

export interface Gpt2Sizes {
  readonly layers: number
  readonly heads: number
  readonly width: number
  readonly context: number
  readonly vocabSize: number
  readonly batch: number
}

const FULL: Gpt2Sizes = { layers: 12, heads: 12, width: 768, context: 1024, vocabSize: 50304, batch: 16 }
const QUICK: Gpt2Sizes = { layers: 12, heads: 2, width: 16, context: 16, vocabSize: 64, batch: 2 }

export const gpt2Sizes = (quick: boolean): Gpt2Sizes => (quick ? QUICK : FULL)

const indices = (shape: readonly number[], limit: number): Tensor =>
  cast(randomUniform(shape, { high: limit }), 'i32').realize()

/** The optimizer's moments are f32. */
export function gpt2(precision: StepPrecision, given: Gpt2Sizes): StepSubject {
  const { batch, ...sizes } = given
  const model = new nn.GPT({ ...sizes, dtype: heldIn(precision) })
  const parameters = model.parameters()
  const adamw = new optim.AdamW(parameters, { lr: 1e-4 })
  const { context, vocabSize, layers, width } = sizes
  const step = compile(
    (tokens: Tensor, targets: Tensor) => {
      const loss = recordedIn(precision, () => crossEntropy(model.forward(tokens).reshape(-1, vocabSize), targets))
      adamw.step(grad(loss, parameters))
      return loss
    },
    { name: 'gpt2' },
  )
  const weights = parameters.reduce((sum, { size }) => sum + size, 0)
  const tokens = batch * context
  return {
    step,
    inputs: [indices([batch, context], vocabSize), indices([tokens], vocabSize)],
    weights,
    // Six operations per weight and token, and attention's products (Chowdhery et al. 2022, PaLM, appendix B).
    flops: tokens * (6 * weights + 12 * layers * width * context),
    items: tokens,
  }
}
