// The example that generates, small: with and without a cache it chooses the same tokens.
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { temporaryFolder } from '../io/folder.js'

const program = fileURLToPath(new URL('../../dist/examples/generate.js', import.meta.url))

test('tokens are generated with a cache as without one', { timeout: 120_000 }, async () => {
  const file = join(await temporaryFolder(), 'generate.json')
  const text = execFileSync(process.execPath, [program, '--json', file], { encoding: 'utf8' })
  expect(text).toMatch(/^(\d+ ){24}\.\.\.$/m)
  const figures = JSON.parse(readFileSync(file, 'utf8')) as Record<string, number>
  expect(figures['same token without a cache']).toBe(1)
  expect(figures['last by first']).toBeGreaterThan(0)
  expect(figures['drawn']).toHaveLength(12)
})
