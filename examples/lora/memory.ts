// Peak memory of fine-tuning the GPT-2 of a folder, batch 1 x 128: all of it or low-rank adapters. Its own process, as the
// device's peak is that of the process.
//   node dist/examples/lora/memory.js FOLDER full|lora
import { compile, crossEntropy, defaultDevice, grad, optim, type Tensor, tensor } from '../../lib/index.js'
import { fromPretrained, GPT2LMHeadModel } from '../../lib/models/index.js'
import { lora } from '../../lib/transfer/index.js'

const [folder, kind] = process.argv.slice(2)
const model = (await fromPretrained(folder as string, { as: GPT2LMHeadModel })).train()
const parameters = kind === 'lora' ? lora(model, { rank: 8 }).parameters() : model.parameters()
const adamw = new optim.AdamW(parameters, { lr: 1e-4 })
const step = compile((tokens: Tensor) => {
  const loss = crossEntropy(model.forward(tokens).reshape(-1, model.vocabSize), tokens.reshape(-1))
  adamw.step(grad(loss, parameters))
  return loss
})
const ids = Int32Array.from({ length: 128 }, (_, i) => (i * 7919) % model.vocabSize)
const tokens = tensor(ids, { shape: [1, 128] })
const times: number[] = []
for (let i = 0; i < 4; i++) {
  const start = performance.now()
  await (await step(tokens)).item()
  times.push(performance.now() - start)
}
const trained = parameters.reduce((sum, { size }) => sum + size, 0)
// The first two make the kernels and choose among them.
console.log(JSON.stringify({ peak: defaultDevice().memory().peak, trained, stepMs: Math.min(...times.slice(2)) }))
