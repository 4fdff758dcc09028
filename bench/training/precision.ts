// The loss after many steps in f32 and in bf16: a small GPT learns which letters follow which in a made-up language.
import { crossEntropy, nn, optim, seed, type Tensor, tensor } from '../../lib/index.js'
import { train } from '../../lib/train/index.js'

const VOCABULARY = 64
const [BATCH, CONTEXT] = [16, 64]

export interface PrecisionLoss {
  readonly steps: number
  /** Mean cross entropy of the last fiftieth of the steps, in nats; knowing nothing it is log(64) = 4.16. */
  readonly f32: number
  readonly bf16: number
  /** |bf16 - f32| / f32. */
  readonly difference: number
}

/** Text of a language in which four letters may follow each letter, the first of them far more often than the last. */
function text(length: number): Int32Array {
  let state = 1n
  const random = (): number => {
    state = (state * 6364136223846793005n + 1442695040888963407n) & 0xffffffffffffffffn
    return Number(state >> 40n) / 2 ** 24
  }
  const followers = Int32Array.from({ length: 4 * VOCABULARY }, () => Math.floor(VOCABULARY * random()))
  const letters = new Int32Array(length)
  for (let i = 1; i < length; i++) {
    const rank = Math.floor(4 * random() ** 3)
    letters[i] = followers[4 * (letters[i - 1] as number) + rank] as number
  }
  return letters
}

async function lossAfter(steps: number, precision: 'f32' | 'bf16'): Promise<number> {
  const letters = text(BATCH * CONTEXT * steps + 1)
  async function* batches() {
    for (let i = 0; i < steps; i++) {
      const at = i * BATCH * CONTEXT
      const part = (shift: number): Tensor => tensor(letters.slice(at + shift, at + shift + BATCH * CONTEXT))
      yield { tokens: part(0).reshape(BATCH, CONTEXT), targets: part(1).reshape(BATCH, CONTEXT) }
    }
  }
  seed(5)
  const model = new nn.GPT({ vocabSize: VOCABULARY, layers: 2, heads: 4, width: 128, context: CONTEXT })
  const last: number[] = []
  const tail = Math.ceil(steps / 50)
  await train(model, batches(), {
    loss: (gpt, { tokens, targets }) => crossEntropy(gpt.forward(tokens as Tensor<'i32'>), targets),
    optimizer: (parameters) => new optim.AdamW(parameters, { lr: 2e-3 }),
    epochs: 1,
    precision,
    clipNorm: 1,
    logEvery: 1,
    progress: false,
    logs: [
      {
        write: (step, values) => {
          if (step > steps - tail && 'train/learning rate' in values) last.push(values['train/loss'] as number)
        },
        flush: async () => {},
        close: async () => {},
      },
    ],
  })
  return last.reduce((a, b) => a + b, 0) / last.length
}

export async function lossInPrecision(steps: number): Promise<PrecisionLoss> {
  const [f32, bf16] = [await lossAfter(steps, 'f32'), await lossAfter(steps, 'bf16')]
  return { steps, f32, bf16, difference: Math.abs(bf16 - f32) / f32 }
}
