// Prints how many bytes of resident memory a step adds: a small MLP, every batch new, finalizers off.
import { compile, crossEntropy, defaultDevice, grad, nn, optim, type Tensor, tensor } from '../lib/index.js'
import { useFinalizers } from '../lib/runtime/buffer.js'
import { fillYoungGeneration } from './youngGeneration.js'

useFinalizers(false)
const steps = Number(process.argv[2] ?? 10_000)
const model = new nn.Sequential(new nn.Linear(32, 64), new nn.ReLU(), new nn.Linear(64, 10))
const parameters = model.parameters()
const adamw = new optim.AdamW(parameters, { lr: 1e-3 })
const step = compile((x: Tensor, y: Tensor) => {
  const loss = crossEntropy(model.forward(x), y)
  adamw.step(grad(loss, parameters))
  return loss
})

const memory = async (): Promise<number> => {
  await defaultDevice().synchronize()
  for (let i = 0; i < 3; i++) globalThis.gc?.()
  return process.memoryUsage.rss()
}

fillYoungGeneration()
const settled = Math.floor(steps / 5)
let before = 0
for (let i = 0; i < steps; i++) {
  if (i === settled) before = await memory()
  // What a loader does with its batches: they go when the next is asked for.
  using x = tensor(Float32Array.from({ length: 16 * 32 }, Math.random), { shape: [16, 32] })
  using y = tensor(Int32Array.from({ length: 16 }, () => Math.floor(Math.random() * 10)))
  const loss = await step(x, y)
  if (i % 10 === 0) await loss.item()
}
console.log(((await memory()) - before) / (steps - settled))
