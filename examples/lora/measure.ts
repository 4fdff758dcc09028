// What fine-tuning GPT-2's 124 million weights takes, all of them and by low-rank adapters, each in a process of its own.
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { GPT2LMHeadModel, savePretrained } from '../../lib/models/index.js'

export interface Measured {
  /** Bytes on the device at most. */
  readonly peak: number
  /** Elements that are trained. */
  readonly trained: number
  readonly stepMs: number
}

/** Peak memory at batch 1 x 128; the weights, random ones, are written to the folder first. */
export async function measureGpt2(folder: string) {
  const weights = join(folder, 'gpt2')
  await savePretrained(new GPT2LMHeadModel({}), weights)
  const measure = (kind: 'full' | 'lora'): Measured => {
    const program = fileURLToPath(new URL('memory.js', import.meta.url))
    const { stdout, stderr } = spawnSync(process.execPath, [program, weights, kind], { encoding: 'utf8' })
    if (!stdout) throw new Error(stderr)
    return JSON.parse(stdout) as Measured
  }
  const whole = measure('full')
  const lora = measure('lora')
  return { whole, lora, peakOfWhole: lora.peak / whole.peak }
}
