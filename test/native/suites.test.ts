// Runs every program of kernel tests (native/test/<suite>) and expects each of its comparisons to pass.
import { execFile } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { root } from '../runtime/addon.js'

const folder = join(root, 'build/Test')
const suites = readdirSync(join(root, 'native/test')).filter((name) =>
  existsSync(join(root, 'native/test', name, 'main.cpp')),
)

describe('native test suites', () => {
  it.each(suites)(
    '%s',
    async (suite) => {
      const { stdout } = await promisify(execFile)(join(folder, `test-${suite}`), { maxBuffer: 2 ** 24 })
      expect(stdout.trimEnd().split('\n').at(-1)).toMatch(/^[1-9]\d* passed, 0 failed$/)
    },
    300_000,
  )
})
