// Tests run from their sources; what they start in workers and processes of its own comes from dist/.
import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // A process per file: the addon's devices are process-wide.
    pool: 'forks',
    poolOptions: { forks: { maxForks: 2 } },
    setupFiles: ['test/device.ts'],
    testTimeout: 30_000,
  },
  esbuild: { target: 'es2022' },
})
