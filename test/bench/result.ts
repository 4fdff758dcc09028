// A benchmark as it might have been, for tests.
import type { BenchResult, Measured, Row } from '../../lib/bench/result.js'

const measured = (p50: number): Measured => ({
  p50,
  p99: p50 * 1.2,
  least: p50 * 0.9,
  low: p50 * 0.99,
  high: p50 * 1.01,
  samples: 20,
  cycles: 1,
  roofline: 0.5,
  gflops: 1,
  gbPerS: 8,
})

export const rowOf = (changes: Partial<Row> & { readonly seconds?: number } = {}): Row => {
  const { seconds = 1e-3, ...others } = changes
  return {
    case: 'softmax: softmax of rows of 512',
    family: 'softmax',
    dtype: 'f32',
    shapes: [[16384, 512]],
    small: false,
    work: { operations: 5e6, bytes: 8e6, steps: 1 },
    memory: { arenaBytes: 0, allocatedBytes: 2 ** 26 },
    bound: 'memory',
    warm: measured(seconds / 2),
    cold: measured(seconds),
    roofline: 0.5,
    ...others,
  }
}

export const resultOf = (rows: readonly Row[], machine: Partial<BenchResult['machine']> = {}): BenchResult => ({
  format: 'heddle bench 1',
  heddle: '0.1.0',
  node: '20.0.0',
  written: '2026-01-01T00:00:00.000Z',
  machine: {
    device: 'cpu',
    kind: 'cpu',
    instructionSet: 'avx2',
    threads: 2,
    copyBytesPerSecond: 2e10,
    ordinaryCopyBytesPerSecond: 1.5e10,
    peaks: { f32: { flopsPerSecond: 2e11, by: 'multiply-adds in registers' } },
    callSeconds: 3e-5,
    ...machine,
  },
  rows,
  failed: [],
})
