// Tests run from their sources; what they start in workers and processes of its own comes from dist/.
import { defineConfig } from 'vitest/config'

// There every fused program is compiled by the host's C++ compiler.
const emulated = process.env['HEDDLE_CUDA_EMULATION'] === '1'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // A process per file: the addon's devices are process-wide.
    pool: 'forks',
    poolOptions: { forks: { maxForks: 2 } },
    setupFiles: ['test/device.ts'],
    testTimeout: emulated ? 600_000 : 30_000,
  },
  esbuild: { target: 'es2022' },
})
