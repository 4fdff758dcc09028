// TypeScript: types of the whole and of the rooms, and a training step.
import { type Compiled, compile, crossEntropy, defaultDevice, grad, type Tensor, tensor } from 'heddle'
import type * as data from 'heddle/data'
import type * as distill from 'heddle/distill'
import type * as io from 'heddle/io'
import type * as models from 'heddle/models'
import { Linear, type Module } from 'heddle/nn'
import { AdamW } from 'heddle/optim'
import type * as training from 'heddle/train'
import type * as transfer from 'heddle/transfer'

export type Rooms = [typeof data, typeof distill, typeof io, typeof models, typeof training, typeof transfer]

const model: Linear & Module = new Linear(4, 3)
const adamw = new AdamW(model.parameters(), { lr: 0.05 })
const step: Compiled<[Tensor, Tensor], Tensor> = compile((x: Tensor, labels: Tensor) => {
  const loss = crossEntropy(model.forward(x), labels)
  adamw.step(grad(loss, model.parameters()))
  return loss
})
const x = tensor(Array.from({ length: 12 }, (_, i) => [0, 1, 2, 3].map((j) => Math.cos((i % 3) * (j + 1)))))
const labels = tensor(Int32Array.from({ length: 12 }, (_, i) => i % 3))
// @ts-expect-error a tensor is no label
const wrong: number = labels
void wrong

const losses: number[] = []
for (let i = 0; i < 25; i++) losses.push(Number(await (await step(x, labels)).item()))
const [first = 0, last = 0] = [losses[0], losses.at(-1)]
if (!(last < first * 0.8)) throw new Error(`the loss does not fall: ${first} at first, ${last} at last`)
const { bun, deno, node } = process.versions as Readonly<Record<string, string | undefined>>
const runtime = bun ? `Bun ${bun}` : deno ? `Deno ${deno}` : `Node ${node}`
console.log(JSON.stringify({ first, last, threads: defaultDevice().threads, runtime }))
