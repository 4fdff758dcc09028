// What shows a machine's limits: a large copy, and multiply-adds that stay in registers.
import { compile, type Device, type DType, type Generator, type Tensor } from '../index.js'
import { MULTIPLY_ADD_ELEMENTS, multiplyAdd, streamingCopy } from '../ops/machine.js'
import { bytesOf } from '../schema/dtype.js'
import { drawn } from './operands.js'

/** Something that runs, and how much of what it is about one run does. */
export interface Probe {
  readonly run: () => Promise<Tensor>
  /** Bytes, or operations, of one run. */
  readonly work: number
  /** Gives its operand back. */
  readonly dispose: () => void
}

/** Copies so many bytes; reading and writing both count. */
export async function copyProbe(device: Device, bytes: number, generator: Generator): Promise<Probe> {
  const x = await drawn({ shape: [bytes / bytesOf('f32')] }, 'f32', generator)
  // A GPU's stores go to memory as they are; a processor's fetch each line first unless they stream.
  const copy = compile((operand: Tensor) => (device.kind === 'cpu' ? streamingCopy(operand) : operand.mul(0.5)), {
    name: 'a large copy',
  })
  return { run: () => copy(x), work: 2 * bytes, dispose: () => x.dispose() }
}

/** Multiply-adds of all threads of a processor, each `repeats` times on what its registers hold. */
export async function arithmeticProbe(
  device: Device,
  dtype: DType,
  repeats: number,
  generator: Generator,
): Promise<Probe> {
  const size = device.threads * MULTIPLY_ADD_ELEMENTS
  const x = await drawn({ shape: [size] }, dtype, generator)
  const run = compile((operand: Tensor) => multiplyAdd(operand, repeats), { name: 'multiplyAdd' })
  return { run: () => run(x), work: 2 * repeats * size, dispose: () => x.dispose() }
}
