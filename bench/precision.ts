// A training step in f32 and in mixed precision, in turns: `npm run bench:precision`.

import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { median } from './median.js'
import { benchmark, trainingStep } from './models.js'

const PAIRS = 8
const STEPS = 8

interface PrecisionRow {
  readonly case: string
  readonly f32Ms: number
  readonly bf16Ms: number
  /** f32Ms / bf16Ms. */
  readonly ratio: number
}

/** Milliseconds of one step, as a function that runs some. */
function timed(name: 'mlp' | 'cnn' | 'gpt', precision: 'f32' | 'bf16'): () => Promise<number> {
  const subject = benchmark(name)
  const step = trainingStep(subject, 'adamw', precision)
  return async () => {
    const start = performance.now()
    let loss = await step(subject.x, subject.y)
    for (let i = 1; i < STEPS; i++) loss = await step(subject.x, subject.y)
    await loss.item()
    return (performance.now() - start) / STEPS
  }
}

async function compare(name: 'mlp' | 'cnn' | 'gpt'): Promise<PrecisionRow> {
  const [full, mixed] = [timed(name, 'f32'), timed(name, 'bf16')]
  await full()
  await mixed()
  const times: [number, number][] = []
  for (let pair = 0; pair < PAIRS; pair++) times.push([await full(), await mixed()])
  const [f32Ms, bf16Ms] = [median(times.map(([a]) => a)), median(times.map(([, b]) => b))]
  return { case: name, f32Ms, bf16Ms, ratio: median(times.map(([a, b]) => a / b)) }
}

const { values } = parseArgs({ options: { json: { type: 'string' } } })
const rows = [await compare('mlp'), await compare('cnn'), await compare('gpt')]
console.table(rows)
if (values.json) writeFileSync(values.json, `${JSON.stringify(rows, null, 2)}\n`)
