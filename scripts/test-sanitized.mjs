// Runs the emulated CUDA backend with AddressSanitizer: its kernels' own tests, and ops through the whole backend: some, or
// with `--all` every one and the training runs.
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { root } from './wheels.mjs'

const folder = join(root, '.cmake-sanitized')
const sanitizer = execFileSync(process.env.CC ?? 'cc', ['-print-file-name=libasan.so'], { encoding: 'utf8' }).trim()
const environment = { ...process.env, LD_PRELOAD: sanitizer, ASAN_OPTIONS: 'detect_leaks=0' }
/** All of them take a quarter of an hour like this; these go through uploads, fused programs, kernels and reads. */
const SOME = ['test/ops/softmax.test.ts', 'test/ops/gather.test.ts']
const { values } = parseArgs({ options: { all: { type: 'boolean', default: false } } })
const tests = values.all ? ['test/ops', 'test/cuda'] : SOME

const statuses = []
async function run(program, options, own) {
  const child = spawn(program, options, { cwd: root, stdio: 'inherit', env: { ...environment, ...own } })
  const [status] = await once(child, 'close')
  statuses.push(status ?? 1)
}

// The kernels' tests, a family on a core at a time.
const program = join(folder, 'test-cuda')
const own = { LD_LIBRARY_PATH: join(folder, 'emulation') }
const list = execFileSync(program, ['--list'], { encoding: 'utf8', env: { ...environment, ...own } })
const families = list.trim().split('\n')
const runFamilies = async () => {
  while (families.length > 0) await run(program, [families.shift()], own)
}
await Promise.all(Array.from({ length: availableParallelism() }, runFamilies))

await run(process.execPath, [join(root, 'node_modules/vitest/vitest.mjs'), 'run', '--testTimeout=120000', ...tests], {
  HEDDLE_CUDA_EMULATION: join(folder, 'emulation'),
  HEDDLE_TEST_DEVICE: 'cuda',
  // The addon has a C++ runtime of its own inside, whose operators the sanitizer does not see: what the backend
  // allocates and the addon gives back would look like a mismatch. The runs above look for those.
  ASAN_OPTIONS: `${environment.ASAN_OPTIONS}:alloc_dealloc_mismatch=0`,
})
process.exitCode = statuses.find((status) => status !== 0) ?? 0
