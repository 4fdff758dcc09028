// Saving and loading leave the event loop free: no turn of it waits for more than a part of the work.
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { loadCheckpoint, saveCheckpoint } from '../../lib/io/index.js'
import { temporaryFolder } from './folder.js'

test('timers run while 128 MiB are saved and loaded', async () => {
  const folder = join(await temporaryFolder(), 'a')
  const data = new Float32Array(16 << 20)
  const half = new Float32Array(16 << 20).fill(1.5)
  const tensors = {
    model: {
      w: { dtype: 'f32' as const, shape: [data.length], data },
      h: { dtype: 'bf16' as const, shape: [half.length], data: half },
    },
  }
  let turns = 0
  const timer = setInterval(() => turns++, 1)
  const counted = async (work: () => Promise<unknown>): Promise<number> => {
    turns = 0
    await work()
    return turns
  }
  // 24 pieces of 4 MiB: one that kept the thread for all of them would leave no turn but the first.
  expect(await counted(() => saveCheckpoint(folder, { tensors }))).toBeGreaterThan(8)
  expect(await counted(() => loadCheckpoint(folder))).toBeGreaterThan(8)
  clearInterval(timer)
})
