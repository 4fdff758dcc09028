// The code of docs/distill.md, docs/right-size.md and docs/cascade.md runs, and gives what the pages say.
import { rm } from 'node:fs/promises'
import { expect, onTestFinished, test } from 'vitest'
import { runPage } from './page.js'

const lineOf = (output: string, name: string): string[] =>
  output.match(new RegExp(`^${name} (.*)$`, 'm'))?.[1]?.split(' ') ?? []

test('docs/distill.md', { timeout: 180_000 }, async () => {
  const { folder, output } = await runPage('distill.md')
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  expect(Number(lineOf(output, 'student')[0])).toBeGreaterThan(0.8)
  expect(lineOf(output, 'computed')).toEqual(['300'])
  expect(lineOf(output, 'layers')).toEqual(['3'])
  expect(lineOf(output, 'neurons')).toEqual(['16'])
  expect(lineOf(output, 'sparsity')).toEqual(['0.80'])
  expect(lineOf(output, 'left')).toEqual(['16'])
  expect(lineOf(output, 'steps')).toEqual(['3'])
})

test('docs/right-size.md', { timeout: 120_000 }, async () => {
  const { folder, output } = await runPage('right-size.md')
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  expect(output).toMatch(/^candidate +accuracy +bytes +parameters +latency$/m)
  expect(output).toMatch(/^teacher .*over budget$/m)
  expect(['a sixteenth, pruned', 'a quarter of its width', 'tiny']).toContain(lineOf(output, 'pick').join(' '))
  expect(lineOf(output, 'front')[2]).toBe('4')
})

test('docs/cascade.md', { timeout: 120_000 }, async () => {
  const { folder, output } = await runPage('cascade.md')
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  const [accuracy, share] = lineOf(output, 'held out').map(Number)
  expect(accuracy).toBeGreaterThan(0.85)
  expect(share).toBeLessThan(1)
  const [right, small, large, cheaper, count] = lineOf(output, 'test')
  expect(Number(right)).toBeGreaterThan(0.8)
  expect(Number(small) + Number(large)).toBe(200)
  expect([cheaper, count]).toEqual(['true', '200'])
})
