// What is frozen costs nothing backward: no gradient is made of it, and nothing is kept for one. Shown from the plans.
import { describe, expect, it } from 'vitest'
import { compile, crossEntropy, grad, nn, type Plan, type Tensor, tensor } from '../../lib/index.js'
import { lora } from '../../lib/transfer/index.js'

const [LAYERS, WIDTH, TOKENS, VOCABULARY] = [4, 64, 32, 96]
const tokens = tensor(
  Int32Array.from({ length: TOKENS }, (_, i) => (i * 7) % VOCABULARY),
  { shape: [1, TOKENS] },
)
const gpt = () =>
  new nn.GPT({ vocabSize: VOCABULARY, layers: LAYERS, heads: 4, width: WIDTH, context: TOKENS, tieWeights: false })

/** The plan of the loss, alone or with the gradients of all that is trainable. */
async function planOf(model: nn.Module & { forward(x: Tensor): Tensor }, backward: boolean): Promise<Plan> {
  const parameters = backward ? model.parameters({ trainable: true }) : []
  const run = compile((x: Tensor) => {
    const loss = crossEntropy(model.forward(x).reshape(TOKENS, VOCABULARY), x.reshape(TOKENS))
    const gradients = grad(loss, parameters)
    return [loss, ...parameters.map((parameter) => gradients.get(parameter))]
  })
  await (await run(tokens))[0]?.data()
  return run.plan as Plan
}

const sizeOf = (model: nn.Module): number =>
  model.parameters({ trainable: true }).reduce((sum, { size }) => sum + size, 0)
/** Of one product of all tokens with a weight of this many elements. */
const product = (elements: number): number => 2 * TOKENS * elements
const block = { weights: 12 * WIDTH * WIDTH, attention: (2 * TOKENS * TOKENS * WIDTH * 5) / 2 }
/** Bytes of one value per token and channel. */
const row = 4 * TOKENS * WIDTH
const head = VOCABULARY * WIDTH

describe('frozen parts', () => {
  it('cost a half-frozen GPT no backward work, no gradients and no activations', async () => {
    const forward = await planOf(gpt(), false)
    const whole = await planOf(gpt(), true)
    const model = gpt().freeze(['tokenEmbedding', 'positionEmbedding', 'blocks.[01]'])
    const half = await planOf(model, true)
    const backward = ({ work }: Plan): number => work.flops - forward.work.flops
    // Gradients of inputs and of weights, and attention's five products instead of two.
    const perBlock = 2 * product(block.weights) + block.attention
    expect(backward(whole)).toBe(LAYERS * perBlock + 2 * product(head))
    expect(backward(half)).toBe((LAYERS / 2) * perBlock + 2 * product(head))
    // The loss, and a gradient of each trainable parameter.
    expect(half.resultBytes).toBe(4 * (1 + sizeOf(model)))
    expect(whole.resultBytes).toBe(4 * (1 + sizeOf(gpt())))
    const steps = ({ work }: Plan): number => work.steps - forward.work.steps
    expect(steps(half)).toBeLessThan(0.6 * steps(whole))
    // Activations of frozen blocks are not kept: their inputs, norms, projections, sums, and four wide ones twice.
    expect(whole.memory.live - half.memory.live).toBeGreaterThan((LAYERS / 2) * 15 * row)
    expect(String(half)).not.toMatch(/indexAdd/)
  })

  it('cost nothing where only what comes last is trained', async () => {
    const forward = await planOf(gpt(), false)
    const model = gpt().freeze()
    model.unfreeze('head')
    const probe = await planOf(model, true)
    expect(probe.work.flops - forward.work.flops).toBe(product(head))
    expect(probe.memory.live).toBeLessThan(1.5 * forward.memory.live)
  })

  it('keep nothing for the weights beside low-rank adapters', async () => {
    const whole = await planOf(gpt(), true)
    const model = gpt()
    const adapter = lora(model, { rank: 2, targets: '*.qkv' })
    const forward = await planOf(model, false)
    const adapted = await planOf(model, true)
    const low = 2 * TOKENS * 2 * (WIDTH + 3 * WIDTH)
    // Products with weights once, towards the inputs, but for the first block's; with the adapter's factors twice.
    const inputs = LAYERS * (product(block.weights) + block.attention) - product(3 * WIDTH * WIDTH) + product(head)
    const factors = LAYERS * 2 * low - product(2 * WIDTH)
    expect(adapted.work.flops - forward.work.flops).toBe(inputs + factors)
    expect(adapted.resultBytes).toBe(4 * (1 + LAYERS * 2 * (WIDTH + 3 * WIDTH)))
    expect(sizeOf(model)).toBe(adapter.parameters().reduce((sum, { size }) => sum + size, 0))
    // The second norm and the activation, four times as wide, were kept for weights alone; of one block they are at work.
    expect(whole.memory.live - adapted.memory.live).toBeGreaterThan((LAYERS - 1) * 5 * row)
  })
})
