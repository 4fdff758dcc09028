// scikit-learn's logistic regression on the same features, where it is installed: what a model must beat.
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { HostBatch } from '../lib/data/index.js'
import type { TensorState } from '../lib/index.js'
import { writeNpz } from '../lib/io/index.js'

export interface LogisticResult {
  readonly accuracy: number
  readonly auc: number
}

/** Learns from the features `x` and labels `y` of one part, and is measured on another; undefined without scikit-learn. */
export async function logisticRegression(
  folder: string,
  learn: HostBatch,
  unseen: HostBatch,
): Promise<LogisticResult | undefined> {
  const file = join(folder, 'features.npz')
  const entries = Object.entries({ train: learn, test: unseen }).flatMap(([part, batch]) =>
    ['x', 'y'].map((name) => [`${part}_${name}`, batch[name] as TensorState] as const),
  )
  await writeNpz(file, Object.fromEntries(entries))
  const script = fileURLToPath(new URL('../../examples/logistic.py', import.meta.url))
  const { status, stdout } = spawnSync('python3', [script, file], { encoding: 'utf8' })
  return status === 0 ? (JSON.parse(stdout) as LogisticResult) : undefined
}
