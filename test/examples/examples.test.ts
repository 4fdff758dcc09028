// The examples, run as people run them, at small size.
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { afterAll, describe, expect, it } from 'vitest'
import { ONE_THREAD } from '../oneThread.js'
import { programOf, root, run, runIn } from './run.js'

const folder = mkdtempSync(join(tmpdir(), 'heddle-examples-'))
afterAll(() => rmSync(folder, { recursive: true }))
const figuresOf = <T>(file: string): T => JSON.parse(readFileSync(file, 'utf8')) as T

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
    const file = join(folder, 'demo.json')
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
  })

  it('a table is trained on beside logistic regression', { timeout: 400_000 }, async () => {
    const install = spawnSync(process.execPath, [join(root, 'scripts/python-peers.mjs')], { encoding: 'utf8' })
    const peers = install.status === 0 ? install.stdout.trim() : undefined
    if (!peers) console.warn(`scikit-learn is not asked: ${install.stderr.trim()}`)
    const file = join(folder, 'churn.json')
    await runIn(peers ? { PYTHONPATH: peers } : {}, 'train-csv', '--rows', '2500', '--json', file)
    type Figures = { accuracy: number; auc: number }
    const { heddle, logistic } = figuresOf<{ heddle: Figures; logistic?: Figures }>(file)
    expect(heddle.auc).toBeGreaterThan(0.72)
    // The rule behind the table is no straight line.
    if (peers) expect(heddle.auc).toBeGreaterThan((logistic as Figures).auc + 0.01)
  })

  it('augmented digits are read, and the report is there', { timeout: 240_000 }, async () => {
    const [file, report] = [join(folder, 'digits.json'), join(folder, 'digits.html')]
    await run('train-digits', '--epochs', '1', '--json', file, '--report', report)
    expect(figuresOf<{ accuracy: number }>(file).accuracy).toBeGreaterThan(0.8)
    expect(readFileSync(report, 'utf8')).toContain('validation/accuracy')
  })

  it('a job goes on where it was killed', { timeout: 120_000 }, async () => {
    // So that no algorithm depends on what is fastest in which process.
    const exact = { ...ONE_THREAD, HEDDLE_DETERMINISTIC: '1' }
    const whole = join(folder, 'whole.json')
    await runIn(exact, 'resume', '--folder', join(folder, 'whole'), '--epochs', '12', '--json', whole)
    const killed = spawn(
      process.execPath,
      [programOf('resume'), '--folder', join(folder, 'killed'), '--epochs', '12'],
      { env: { ...process.env, ...exact }, stdio: 'ignore' },
    )
    while (!existsSync(join(folder, 'killed', 'step-000100'))) await setTimeout(5)
    killed.kill('SIGKILL')
    await once(killed, 'close')
    const rest = join(folder, 'rest.json')
    await runIn(exact, 'resume', '--folder', join(folder, 'killed'), '--epochs', '12', '--json', rest)
    type Figures = { steps: number; weights: number[] }
    expect(figuresOf<Figures>(rest).steps).toBe(276)
    expect(figuresOf<Figures>(rest).weights).toEqual(figuresOf<Figures>(whole).weights)
  })
})
