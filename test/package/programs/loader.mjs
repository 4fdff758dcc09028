// A loader whose batches a thread of its own makes: the thread's file is found in the package.
import { DataLoader, fromModule } from 'heddle/data'
import { runtime } from './training.mjs'

const samples = await fromModule(new URL('./samples.mjs', import.meta.url), { export: 'rows', args: [8] })
const loader = new DataLoader(samples, { batchSize: 4, workers: 1 })
let sum = 0
for await (const { x } of loader) sum += await x.sum().item()
if (sum !== 28) throw new Error(`the batches add up to ${sum} instead of 28`)
console.log(JSON.stringify({ sum, runtime: runtime() }))
