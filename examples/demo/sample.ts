// Text from the model: one byte after the other, drawn at a temperature.
import { compile, type nn, type Tensor, tensor } from '../../lib/index.js'

function drawByte(logits: Float32Array, temperature: number, random: () => number): number {
  const peak = Math.max(...logits)
  const weights = Array.from(logits, (logit) => Math.exp((logit - peak) / temperature))
  let rest = random() * weights.reduce((sum, weight) => sum + weight, 0)
  return Math.max(
    0,
    weights.findIndex((weight) => (rest -= weight) <= 0),
  )
}

export interface SampleOptions {
  readonly length: number
  readonly temperature: number
  readonly random: () => number
}

/** `prompt` and `length` bytes more. The window has always the model's full length, so one trace serves them all. */
export async function sampleText(
  model: nn.GPT,
  prompt: string,
  { length, temperature, random }: SampleOptions,
): Promise<string> {
  const { context } = model
  const forward = compile((tokens: Tensor) => model.forward(tokens), { name: 'sample' })
  const text = [...Buffer.from(prompt)]
  for (let i = 0; i < length; i++) {
    const window = text.slice(-context)
    using tokens = tensor(
      Int32Array.from({ length: context }, (_, k) => window[k] ?? 0),
      { shape: [1, context] },
    )
    using logits = await forward(tokens)
    const all = (await logits.data()) as Float32Array
    const vocabulary = all.length / context
    const last = (window.length - 1) * vocabulary
    text.push(drawByte(all.subarray(last, last + vocabulary), temperature, random))
  }
  return Buffer.from(text).toString('utf8')
}
