// Runs the command `heddle`.
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { root } from '../runtime/addon.js'

export const heddle = (argv: readonly string[], env: Record<string, string> = {}) =>
  spawnSync(process.execPath, [join(root, 'dist/lib/cli/heddle.js'), ...argv], {
    encoding: 'utf8',
    env: { ...process.env, ...env },
  })
