// The examples of transfer learning, run as people run them, at small size.
import { describe, expect, it } from 'vitest'
import { figuresOf } from './run.js'

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
