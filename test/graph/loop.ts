// Started by memory.test.ts as a process of its own: 3,000 steps without finalizers, and the bytes held before and after.
import * as h from '../../lib/index.js'
import { useFinalizers } from '../../lib/runtime/buffer.js'

useFinalizers(false)
const STEPS = 3000

const noise = new h.Generator(1)
const draw = (shape: readonly number[]): h.Tensor => h.randomNormal(shape, { generator: noise }).mul(0.2)
const [w1, w2] = [new h.Parameter(draw([12, 32])), new h.Parameter(draw([32, 3]))]
const step = h.compile((x: h.Tensor, targets: h.Tensor) => {
  const loss = h.crossEntropy(h.dropout(h.gelu(x.matmul(w1)), 0.05, { generator: noise }).matmul(w2), targets)
  const found = h.grad(loss, [w1, w2])
  h.assign([w1, w2].map((p) => [p, p.sub(found.get(p).mul(0.3))] as const))
  return loss
})

const data = Float32Array.from({ length: 24 * 12 }, (_, i) => Math.sin(i * i))
const classes = Int32Array.from({ length: 24 }, (_, i) => i % 3)
const losses: number[] = []

async function train(steps: number): Promise<void> {
  for (let i = 0; i < steps; i++) {
    using x = h.tensor(data, { shape: [24, 12] })
    using targets = h.tensor(classes)
    const loss = await step(x, targets)
    if (i % 100 === 0) losses.push(Number(await loss.item()))
  }
  await h.defaultDevice().synchronize()
}

const held = (): number[] => {
  const { allocated, arenaBytes } = h.defaultDevice().memory()
  return [allocated, arenaBytes]
}

await train(100)
const warm = held()
await train(STEPS)
console.log(JSON.stringify({ warm, end: held(), losses }))
