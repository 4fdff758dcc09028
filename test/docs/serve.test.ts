// The code of the pages about serving runs, and gives what the pages say.
import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'
import { runPage } from './page.js'

async function linesOf(page: string, before = ''): Promise<{ lines: string[]; folder: string }> {
  const { folder, output } = await runPage(page, { before })
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  return { lines: output.trim().split('\n'), folder }
}

test('docs/serve.md', { timeout: 60_000 }, async () => {
  expect((await linesOf('serve.md')).lines).toEqual([
    '3 [ 3 ]',
    'ok ShapeError ArgumentError DTypeError Error DeadlineError ok',
    '744 true',
    'true',
    '200 400 400',
    'true false',
  ])
})

test('docs/batch.md', { timeout: 60_000 }, async () => {
  const parquet = fileURLToPath(new URL('../data/files/snappy.parquet', import.meta.url))
  const copy = `import { copyFileSync } from 'node:fs'\ncopyFileSync(${JSON.stringify(parquet)}, 'rows.parquet')`
  const { lines, folder } = await linesOf('batch.md', copy)
  expect(lines).toEqual(['4 6 10', '10'])
  const scores = (await readFile(join(folder, 'scores.jsonl'), 'utf8')).trim().split('\n')
  expect(scores.map((line) => (JSON.parse(line) as { id: number }).id)).toEqual(scores.map((_, id) => id))
})

test('docs/events.md', { timeout: 60_000 }, async () => {
  expect((await linesOf('events.md')).lines).toEqual(['{ acknowledged: 495, deadLettered: 5 } 495 5', 'true'])
})

test('docs/observe.md', { timeout: 60_000 }, async () => {
  const { lines } = await linesOf('observe.md')
  expect(lines.slice(0, 6)).toEqual([
    'false it has not been warmed up',
    'true ready',
    'true',
    'true',
    'true',
    '3 48 tensor f32[4]',
  ])
  expect(lines[6]).toMatch(/page\.mjs:\d+:\d+$/)
  expect(lines[7]).toBe('0 buffers, 0 bytes')
})
