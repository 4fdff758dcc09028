// The example that generates, small: with and without a cache it chooses the same tokens.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { temporaryFolder } from '../io/folder.js'
import { run } from './run.js'

test('tokens are generated with a cache as without one', { timeout: 120_000 }, async () => {
  const file = join(await temporaryFolder(), 'generate.json')
  const text = await run('generate', '--json', file)
  expect(text).toMatch(/^(\d+ ){24}\.\.\.$/m)
  const figures = JSON.parse(readFileSync(file, 'utf8')) as Record<string, number>
  expect(figures['same token without a cache']).toBe(1)
  expect(figures['last by first']).toBeGreaterThan(0)
  expect(figures['drawn']).toHaveLength(12)
})
