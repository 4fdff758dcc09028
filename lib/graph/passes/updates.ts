// Splits one update of many tensors into several, so that each runs as soon as its gradients are there and frees them.
import { bytesOf } from '../../schema/dtype.js'
import { sizeOf } from '../../schema/shape.js'
import type { Graph } from '../lower.js'
import { apply, type Node, type Value } from '../node.js'
import { rewrite } from './rewrite.js'

/** Parameters of at least so many bytes share a launch: enough to keep every thread busy for many times its cost. */
const CHUNK_BYTES = 1 << 18

/** Positions in the order in which their operands become known, in chunks of `CHUNK_BYTES`. */
function chunksOf(count: number, groups: readonly (readonly Value[])[]): number[][] {
  const ready = (position: number): number => Math.max(...groups.map((group) => (group[position] as Value).node.id))
  const order = Array.from({ length: count }, (_, position) => position).sort((a, b) => ready(a) - ready(b))
  const chunks: number[][] = []
  let bytes = CHUNK_BYTES
  for (const position of order) {
    if (bytes >= CHUNK_BYTES) {
      chunks.push([])
      bytes = 0
    }
    chunks.at(-1)?.push(position)
    const { shape, dtype } = (groups[0] as readonly Value[])[position] as Value
    bytes += sizeOf(shape) * bytesOf(dtype)
  }
  return chunks
}

function splitOne(node: Node, inputs: readonly Value[], scalars: number): readonly Value[] {
  const count = node.params['count'] as number
  const groups = Array.from({ length: (inputs.length - scalars) / count }, (_, g) =>
    inputs.slice(scalars + g * count, scalars + (g + 1) * count),
  )
  const results = new Array<Value>(node.outputs.length)
  for (const chunk of chunksOf(count, groups)) {
    const operands = [
      ...inputs.slice(0, scalars),
      ...groups.flatMap((group) => chunk.map((position) => group[position] as Value)),
    ]
    const part = apply(node.op, { ...node.params, count: chunk.length }, operands, node.region)
    part.outputs.forEach((output, i) => {
      results[Math.floor(i / chunk.length) * count + (chunk[i % chunk.length] as number)] = output
    })
  }
  return results
}

/** For devices where a launch costs little and memory near the processor much. */
export const splitUpdates = (graph: Graph): Graph =>
  rewrite(graph, (node, inputs) => {
    const scalars = node.op.leadingScalars?.(node.params as never)
    return scalars === undefined ? undefined : splitOne(node, inputs, scalars)
  })
