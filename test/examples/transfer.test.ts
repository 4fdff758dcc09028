// The examples of transfer learning, run as people run them, at small size.
import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, describe, expect, it } from 'vitest'

const root = fileURLToPath(new URL('../..', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'heddle-examples-'))
afterAll(() => rmSync(folder, { recursive: true }))

async function figuresOf<T>(example: string): Promise<T> {
  const file = join(folder, `${example}.json`)
  await promisify(execFile)(process.execPath, [join(root, `dist/examples/${example}.js`), '--json', file])
  return JSON.parse(readFileSync(file, 'utf8')) as T
}

describe('examples', () => {
  it('a language model learns another language by adapters, saved, loaded and merged', {
    timeout: 240_000,
  }, async () => {
    type Figures = Record<'before' | 'adapted' | 'merged' | 'trained' | 'frozen', number> & { text: string }
    const { before, adapted, merged, trained, frozen, text } = await figuresOf<Figures>('lora')
    expect(adapted).toBeLessThan(before - 0.2)
    // The folder and the merged weights are the adapter that was trained.
    expect(Math.abs(merged - adapted)).toBeLessThan(1e-4)
    expect(trained).toBeLessThan(0.15 * frozen)
    expect(text.length).toBeGreaterThan(50)
  })

  it('an encoder is fine-tuned to classify', { timeout: 240_000 }, async () => {
    type Figures = Record<'chance' | 'before' | 'probe' | 'accuracy', number>
    const { chance, probe, accuracy } = await figuresOf<Figures>('fine-tune')
    expect(probe).toBeGreaterThan(chance)
    // No word alone decides, which a probe on random layers hardly sees.
    expect(accuracy).toBeGreaterThan(0.85)
    expect(accuracy).toBeGreaterThan(probe)
  })

  it('digits are learnt from few examples', { timeout: 240_000 }, async () => {
    type Figures = Record<'scratch' | 'probe' | 'transferred', { mean: number }>
    const { scratch, probe, transferred } = await figuresOf<Figures>('transfer-learning')
    // Small, both learn; the gain is a figure of --full.
    for (const { mean } of [scratch, transferred]) expect(mean).toBeGreaterThan(75)
    expect(probe.mean).toBeGreaterThan(50)
  })
})
