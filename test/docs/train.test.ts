// The code of docs/train.md and docs/resume.md runs, and gives what the pages say.
import { readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { runPage } from './page.js'

test('docs/train.md', { timeout: 120_000 }, async () => {
  const { folder, output } = await runPage('train.md')
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  // `finished` or `early stopping`, the steps, and the accuracy.
  const [first = ''] = output.split('\n')
  expect(first).toMatch(/^(finished|early stopping) \d+ 0\.\d+$|^(finished|early stopping) \d+ 1$/)
  expect(Number(first.split(' ').at(-1))).toBeGreaterThan(0.85)
  expect(output).toMatch(/the loss of step \d+ is not finite\. log \(forward\): its result f32\[\] with 1 of 1/)
  expect(await readFile(join(folder, 'runs/report.html'), 'utf8')).toContain('validation/loss')
  expect((await readFile(join(folder, 'runs/loss.csv'), 'utf8')).split('\n')[0]).toBe('step,train/loss,validation/loss')
  expect((await readdir(join(folder, 'runs/tensorboard'))).length).toBe(1)
})

test('docs/resume.md', { timeout: 60_000 }, async () => {
  const { folder, output } = await runPage('resume.md')
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  expect(output.trim().split('\n')).toEqual(['60', '60'])
})
