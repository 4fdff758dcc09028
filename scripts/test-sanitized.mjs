// Runs the emulated CUDA backend with AddressSanitizer: its kernels' own tests, and some ops through the whole backend.
import { execFileSync, spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { root } from './wheels.mjs'

const folder = join(root, '.cmake-sanitized')
const sanitizer = execFileSync(process.env.CC ?? 'cc', ['-print-file-name=libasan.so'], { encoding: 'utf8' }).trim()
const environment = { ...process.env, LD_PRELOAD: sanitizer, ASAN_OPTIONS: 'detect_leaks=0' }
/** All of test/ops takes a quarter of an hour like this; these go through uploads, fused programs, kernels and reads. */
const OPS = ['softmax', 'gather']

const runs = [
  [join(folder, 'test-cuda'), [], { LD_LIBRARY_PATH: join(folder, 'emulation') }],
  [
    process.execPath,
    [join(root, 'node_modules/vitest/vitest.mjs'), 'run', ...OPS.map((op) => `test/ops/${op}.test.ts`)],
    { HEDDLE_CUDA_EMULATION: join(folder, 'emulation'), HEDDLE_TEST_DEVICE: 'cuda' },
  ],
]
for (const [program, options, own] of runs) {
  const { status } = spawnSync(program, options, { cwd: root, stdio: 'inherit', env: { ...environment, ...own } })
  if (status !== 0) process.exit(status ?? 1)
}
