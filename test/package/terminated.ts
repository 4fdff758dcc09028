// Workers that are created, used and terminated in the middle of their runs: nothing crashes, no memory stays.
import { join } from 'node:path'
import { project } from './install.js'
import { figures, node } from './isolated.js'
import type { Results } from './results.js'

const MOST_GROWTH = 10e6

export async function checkTerminated(results: Results, workers: number): Promise<void> {
  await results.check('workers', `${workers} created, used and terminated in their runs`, async () => {
    const line = [node, '--expose-gc', join(project, 'terminated.mjs'), String(workers)]
    const found = await figures(line, { cwd: project, timeout: 60_000 + workers * 1000 })
    if (Number(found['growth']) > MOST_GROWTH)
      throw new Error(`resident memory grew by ${(Number(found['growth']) / 1e6).toFixed(1)} MB after the warm-up`)
    return found
  })
}
