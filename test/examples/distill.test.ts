// The examples on distillation, cascades and sizes, run small: what must hold of them at any size.
import { describe, expect, it } from 'vitest'
import { figuresOf } from './run.js'

describe('examples', () => {
  it('a student learns digits from its teacher', { timeout: 240_000 }, async () => {
    type Runs = { runs: { teacherAccuracy: number; studentAccuracy: number; sizeShare: number }[] }
    const [run] = (await figuresOf<Runs>('distill')).runs
    expect(run?.sizeShare).toBeLessThanOrEqual(0.1)
    expect(run?.studentAccuracy).toBeGreaterThan(0.88)
    expect(run?.teacherAccuracy).toBeGreaterThan(0.9)
  })

  it('a cascade is about as right as its teacher', { timeout: 240_000 }, async () => {
    type Runs = { runs: { teacherAccuracy: number; accuracy: number; bySmall: number; costShare: number }[] }
    const [run] = (await figuresOf<Runs>('cascade')).runs
    expect(run?.accuracy).toBeGreaterThan((run?.teacherAccuracy as number) - 0.03)
    expect(run?.bySmall).toBeGreaterThan(0.4)
    expect(run?.costShare).toBeLessThan(0.8)
  })

  it('sizes are measured, and one is picked', { timeout: 240_000 }, async () => {
    type Sizes = { pick: string; front: string[]; candidates: { name: string; accuracy: number; bytes: number }[] }
    const { pick, front, candidates } = await figuresOf<Sizes>('right-size')
    expect(candidates.map(({ name }) => name)).toContain(pick)
    expect(front.length).toBeGreaterThan(0)
    const [teacher, ...others] = candidates
    for (const other of others) expect(other.bytes).toBeLessThan(teacher?.bytes as number)
  })

  it('an encoder of half the layers comes nearer to its teacher', { timeout: 400_000 }, async () => {
    const figures = await figuresOf<Record<string, number>>('distill-sentences')
    expect(figures['rank correlation kept']).toBeGreaterThan(figures['rank correlation before'] as number)
  })
})
