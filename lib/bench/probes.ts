// Runs that show what a device gives at most: copies, reading, and arithmetic by dtype. They are timed before all cases, and
// in turn with each.
import {
  compile,
  concat,
  type Device,
  type DType,
  type Generator,
  matmul,
  quantizedLinear,
  reshape,
  type Tensor,
} from '../index.js'
import { MULTIPLY_ADD_ELEMENTS, multiplyAdd, streamingCopy, streamingRead } from '../ops/machine.js'
import { bytesOf } from '../schema/dtype.js'
import { drawn } from './operands.js'

export interface Probe {
  /** Bytes that one run moves, or operations it computes. */
  readonly amount: number
  /** Runs as often, and settles when all is done. */
  readonly run: (cycles: number) => Promise<void>
  readonly dispose: () => void
}

/** What shows a dtype's arithmetic. */
export type ArithmeticBy = 'multiply-adds in registers' | 'a large product'

/** Halves and bytes have units of their own on some processors, and are computed as these on others. */
export const COMPUTED_AS: Readonly<Partial<Record<DType, DType>>> = { bf16: 'f32', f16: 'f32', i8: 'i32' }

const PRODUCT = { cpu: 2048, cuda: 8192 }

function probeOf(device: Device, amount: number, operands: readonly Tensor[], call: () => Promise<Tensor>): Probe {
  return {
    amount,
    run: async (cycles) => {
      for (let i = 0; i < cycles; i++) (await call()).dispose()
      await device.synchronize()
    },
    dispose: () => {
      for (const operand of operands) operand.dispose()
    },
  }
}

const floats = (bytes: number, generator: Generator): Promise<Tensor> =>
  drawn({ shape: [bytes / bytesOf('f32')] }, 'f32', generator)

/** Reads and writes as many bytes each, past the caches: a GPU's stores go there as they are, a processor's must stream. */
export async function copyProbe(device: Device, bytes: number, generator: Generator): Promise<Probe> {
  const x = await floats(bytes, generator)
  const copy = compile((operand: Tensor) => (device.kind === 'cpu' ? streamingCopy(operand) : operand.mul(0.5)), {
    name: 'a large copy',
  })
  return probeOf(device, 2 * bytes, [x], () => copy(x))
}

/** The same with stores that fetch each line first: both halves of as many bytes are joined again, row by row with memcpy. */
export async function ordinaryCopyProbe(device: Device, bytes: number, generator: Generator): Promise<Probe> {
  const x = await floats(bytes, generator)
  const copy = compile(
    (operand: Tensor) => {
      const rows = reshape(operand, [2, -1, 4096])
      return concat([rows.slice(0), rows.slice(1)], { axis: 1 })
    },
    { name: 'an ordinary copy' },
  )
  return probeOf(device, 2 * bytes, [x], () => copy(x))
}

/** Only reads as many bytes, with all threads. */
export async function readProbe(device: Device, bytes: number, generator: Generator): Promise<Probe> {
  const x = await floats(bytes, generator)
  const read = compile((operand: Tensor) => (device.kind === 'cpu' ? streamingRead(operand) : operand.sum()), {
    name: 'reading',
  })
  return probeOf(device, bytes, [x], () => read(x))
}

/** Multiply-adds in registers, of f32, f64 and i32, or of the one a dtype is computed as. */
async function registersProbe(device: Device, dtype: DType, generator: Generator): Promise<Probe> {
  const shape = [device.threads * MULTIPLY_ADD_ELEMENTS]
  const x = await drawn({ shape }, COMPUTED_AS[dtype] ?? dtype, generator)
  // Some ten milliseconds, beside which neither the call is anything nor what its threads begin apart.
  const repeats = 2_000_000
  const run = compile((operand: Tensor) => multiplyAdd(operand, repeats), { name: 'multiplyAdd' })
  return probeOf(device, 2 * repeats * (shape[0] as number), [x], () => run(x))
}

/** A product of squares of the dtype; of i8, a quantized layer. */
async function productProbe(device: Device, dtype: DType, generator: Generator): Promise<Probe> {
  const n = PRODUCT[device.kind]
  const square = { shape: [n, n], ...(dtype === 'i8' && { low: -128, high: 128, integers: true }) }
  const [a, b, scale] = [
    await drawn(square, dtype === 'i8' ? 'u8' : dtype, generator),
    await drawn(square, dtype, generator),
    await drawn({ shape: [n], low: 1, high: 2 }, 'f32', generator),
  ]
  const run = compile(
    (x: Tensor, y: Tensor, scales: Tensor) =>
      dtype === 'i8' ? quantizedLinear(x, y, scales, { input: { scale: 1 } }) : matmul(x, y),
    { name: 'a large product' },
  )
  return probeOf(device, 2 * n ** 3, [a, b, scale], () => run(a, b, scale))
}

export const arithmeticProbe = (device: Device, dtype: DType, by: ArithmeticBy, generator: Generator): Promise<Probe> =>
  (by === 'a large product' ? productProbe : registersProbe)(device, dtype, generator)
