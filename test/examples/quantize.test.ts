// The example of quantisation, run as people run it, at small size.
import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, it, onTestFinished } from 'vitest'

const program = fileURLToPath(new URL('../../dist/examples/quantize.js', import.meta.url))

it('a network in int8 reads as well, at a quarter of the bytes', { timeout: 240_000 }, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'heddle-quantize-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const file = join(folder, 'figures.json')
  await promisify(execFile)(process.execPath, [program, '--json', file])
  const figures = JSON.parse(readFileSync(file, 'utf8')) as Record<string, { mean: number }>
  const mean = (name: string): number => (figures[name] as { mean: number }).mean
  expect(mean('f32')).toBeGreaterThan(85)
  // Ten of a thousand test digits; the figures of --full are stricter.
  expect(mean('lostAfter')).toBeLessThan(1)
  expect(mean('lostAware')).toBeLessThan(1)
  expect(mean('bytesPercent')).toBeLessThan(30)
  for (const name of ['f32 µs at 1', 'int8 µs at 1', 'f32 µs at 64', 'int8 µs at 64'])
    expect(mean(name)).toBeGreaterThan(0)
})
