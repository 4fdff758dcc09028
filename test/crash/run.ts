// A run that saves checkpoints whose contents follow from their step, so that anybody can tell whether one is whole.
import { type Checkpoint, type CheckpointContent, CheckpointStore } from '../../lib/io/index.js'

/** Two groups, one of them bigger than a piece of the hash, and the rest as JSON. */
export function contentOf(step: number): CheckpointContent {
  const wide = new Float32Array(1_100_000)
  for (let i = 0; i < wide.length; i += 997) wide[i] = step + i
  return {
    tensors: {
      model: {
        weight: { dtype: 'f32', shape: [1100, 1000], data: wide },
        bias: { dtype: 'bf16', shape: [5], data: Uint16Array.of(step, 1, 2, 3, 4) },
      },
      optimizer: { step: { dtype: 'i64', shape: [], data: BigInt64Array.of(BigInt(step)) } },
    },
    json: { step, position: { epoch: 1, offset: step * 32 } },
  }
}

/** What is not as it was saved, in words; undefined where everything is. */
export function differenceOf(checkpoint: Checkpoint): string | undefined {
  const expected = contentOf(checkpoint.step)
  if (JSON.stringify(checkpoint.json) !== JSON.stringify(expected.json)) return 'the JSON is another one'
  for (const [group, state] of Object.entries(expected.tensors))
    for (const [name, { data }] of Object.entries(state)) {
      const found = checkpoint.tensors[group]?.[name]?.data
      if (!found) return `${group}.${name} is not there`
      const bytes = (view: ArrayBufferView): Buffer => Buffer.from(view.buffer, view.byteOffset, view.byteLength)
      if (!bytes(found).equals(bytes(data))) return `${group}.${name} is another one`
    }
  return undefined
}

/** The loss has its minimum now and then, so that the best is not the newest. */
export const lossOf = (step: number): number => ((step * 7919) % 101) / 101

export const storeAt = (root: string, onProblem: (error: Error) => void): CheckpointStore =>
  new CheckpointStore(root, { keep: 2, keepBest: { metric: 'loss', mode: 'min', count: 1 }, onProblem })
