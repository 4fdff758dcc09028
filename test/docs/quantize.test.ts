// The code of docs/quantize.md runs.
import { access, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { runPage } from './page.js'

test('docs/quantize.md', { timeout: 120_000 }, async () => {
  const { folder, output } = await runPage('quantize.md')
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  expect(output.match(/^layer \d: [\d.]+ dB$/gm)).toHaveLength(2)
  const [, before, after] = output.match(/(\d+) bytes became (\d+)/) ?? []
  expect(Number(after)).toBeLessThan(0.3 * Number(before))
  expect(output).toMatch(/^0 parameters are left to train$/m)
  expect(Number(output.match(/^loss (\S+)$/m)?.[1])).toBeGreaterThan(0)
  expect(output).toMatch(/^32 numbers$/m)
  await access(join(folder, 'int8.safetensors'))
})
