// A process that is killed while it saves: the old or the new checkpoint is there, whole. `npm run test:crash` has more points.
import { expect, test } from 'vitest'
import { crash } from '../crash/points.js'

test('20 points', { timeout: 120_000 }, async () => {
  const faults: string[] = []
  expect(await crash(20, (line) => faults.push(line)), faults.join('\n')).toEqual({ passed: 20, failed: 0 })
})
