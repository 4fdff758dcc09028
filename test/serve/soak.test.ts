// The long run, short: requests of every kind, out-of-memory recoveries and new weights, and nothing that grows.
import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'
import { temporaryFolder } from '../io/folder.js'

it('many requests and recoveries leave nothing behind', { timeout: 240_000 }, async () => {
  const program = fileURLToPath(new URL('../../dist/bench/soak.js', import.meta.url))
  const file = join(await temporaryFolder(), 'soak.json')
  const size = ['--minutes', '0', '--requests', '40000', '--recoveries', '30']
  await promisify(execFile)(process.execPath, ['--expose-gc', program, ...size, '--json', file])
  const figures = JSON.parse(await readFile(file, 'utf8')) as Record<string, number>
  expect(figures['unexpected']).toBe(0)
  expect(figures['requests']).toBeGreaterThanOrEqual(40_000)
  expect(figures['recoveries']).toBeGreaterThanOrEqual(30)
  expect(figures['swaps']).toBeGreaterThan(10)
  for (const kind of ['ok', 'overloaded', 'outOfMemory', 'badRequests']) expect(figures[kind], kind).toBeGreaterThan(0)
  expect(figures['buffersGrowth']).toBe(0)
  expect(figures['deviceGrowthBytes']).toBe(0)
  // A short run still grows its heap; the long one is held to 10 MB.
  expect(figures['rssGrowthBytes']).toBeLessThan(64 << 20)
})
