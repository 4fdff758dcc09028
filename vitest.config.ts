// Tests run from their sources; what they start in workers and processes of its own comes from dist/.
import { defineConfig } from 'vitest/config'
import { BaseSequencer, type TestSpecification } from 'vitest/node'

// There every fused program is compiled by the host's C++ compiler.
const emulated = process.env['HEDDLE_CUDA_EMULATION'] === '1'

/** The files that take longest, the longest first: begun last, one of them would keep a core busy while others are idle. */
const LONGEST = [
  'native/emulation',
  'examples/distill',
  'examples/examples',
  'examples/transfer',
  'ops/norm',
  'serve/soak',
  'optim/conformance',
  'docs/benchmark',
  'native/suites',
]

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const place = ({ moduleId }: TestSpecification): number => {
      const found = LONGEST.findIndex((name) => moduleId.endsWith(`/test/${name}.test.ts`))
      return found < 0 ? LONGEST.length : found
    }
    return (await super.sort(files)).toSorted((a, b) => place(a) - place(b))
  }
}

export default defineConfig({
  test: {
    sequence: { sequencer: LongestFirst },
    include: ['test/**/*.test.ts'],
    // A process per file: the addon's devices are process-wide.
    pool: 'forks',
    // The few tests of one file that may run side by side: they keep a core busy each.
    maxConcurrency: 2,
    poolOptions: { forks: { maxForks: 2 } },
    setupFiles: ['test/device.ts'],
    testTimeout: emulated ? 600_000 : 30_000,
  },
  esbuild: { target: 'es2022' },
})
