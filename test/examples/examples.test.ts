// The examples, run as people run them, at small size.
import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'

const root = fileURLToPath(new URL('../..', import.meta.url))
const run = async (example: string, ...options: string[]): Promise<string> => {
  const program = join(root, 'dist', 'examples', `${example}.js`)
  return (await promisify(execFile)(process.execPath, [program, ...options], { maxBuffer: 2 ** 24 })).stdout
}

describe('examples', () => {
  it('the MLP learns digits', { timeout: 120_000 }, async () => {
    const [, percent] = /([\d.]+) % of the test digits/.exec(await run('mlp', '--epochs', '2')) ?? []
    expect(Number(percent)).toBeGreaterThan(85)
  })

  it('the CNN learns digits', { timeout: 240_000 }, async () => {
    const [, percent] = /([\d.]+) % of the test digits/.exec(await run('cnn', '--epochs', '1')) ?? []
    expect(Number(percent)).toBeGreaterThan(85)
  })

  it('the demo learns, samples and writes its figures', { timeout: 240_000 }, async () => {
    const folder = mkdtempSync(join(tmpdir(), 'heddle-demo-'))
    try {
      const file = join(folder, 'figures.json')
      const text = await run('demo', '--seconds', '8', '--json', file)
      const figures = JSON.parse(readFileSync(file, 'utf8')) as Record<string, number>
      expect(text).toMatch(/validation loss/)
      // Far from trained in so short a time, but well below the log(256) = 5.5 of knowing nothing.
      expect(figures['validationLoss']).toBeLessThan(4.8)
      for (const name of [
        'trigramLoss',
        'tokensPerSecond',
        'eventLoopDelayP99Ms',
        'idleDelayP99Ms',
        'peakBytes',
        'plannedBytes',
        'seconds',
      ]) {
        expect(Number.isFinite(figures[name]), name).toBe(true)
      }
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
})
