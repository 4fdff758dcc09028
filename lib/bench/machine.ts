// The machine's own limits, measured: arithmetic per second by dtype, and bytes per second of a large copy and of reading.
import {
  compile,
  concat,
  type Device,
  type DType,
  Generator,
  matmul,
  quantizedLinear,
  reshape,
  type Tensor,
} from '../index.js'
import { MULTIPLY_ADD_ELEMENTS, multiplyAdd, streamingCopy, streamingRead } from '../ops/machine.js'
import { bytesOf } from '../schema/dtype.js'
import { drawn } from './operands.js'
import { sample } from './sampling.js'

/** The most arithmetic per second, and what showed it. */
export interface Peak {
  readonly flopsPerSecond: number
  readonly by: 'multiply-adds in registers' | 'a large product'
}

/** What a kernel is held against. */
export interface Machine {
  readonly device: string
  readonly kind: string
  readonly instructionSet: string
  readonly threads: number
  /** Bytes read and written per second by a copy of 256 MiB, or of 2 GiB on a GPU. */
  readonly copyBytesPerSecond: number
  /** The same by a copy with ordinary stores, which fetch each line before they write it; the C library's on a CPU. */
  readonly ordinaryCopyBytesPerSecond: number
  /** Bytes per second where as many are only read. Results of earlier versions do not have it. */
  readonly readBytesPerSecond?: number
  readonly peaks: Readonly<Partial<Record<DType, Peak>>>
  /** Seconds from a call to its result, of a run that does next to nothing. */
  readonly callSeconds: number
  /** The same of each of many calls, one behind the other. */
  readonly queuedCallSeconds: number
}

const COPY_BYTES = { cpu: 2 ** 28, cuda: 2 ** 31 }
const PRODUCT = { cpu: 2048, cuda: 8192 }
/** What neighbours leave of the memory changes from one moment to the next, so copies are timed this many times as long. */
const MEMORY_TIMES = 4
const WARM_UP_MS = 200

/** Integers of other widths are computed as these. */
const STAND_INS: Partial<Record<DType, DType>> = { i64: 'f64', u8: 'i8', bool: 'i32' }

/** The peak a dtype's arithmetic is held against. */
export const peakOf = ({ peaks }: Machine, dtype: DType): Peak | undefined => peaks[STAND_INS[dtype] ?? dtype]

type Run = () => Promise<Tensor>

/** The least seconds of one run. */
async function least(device: Device, run: Run, seconds: number): Promise<number> {
  const timing = await sample(
    async (cycles) => {
      for (let i = 0; i < cycles; i++) (await run()).dispose()
      await device.synchronize()
    },
    { seconds, minSamples: 5 },
  )
  return timing.least
}

async function registersPeak(device: Device, dtype: DType, generator: Generator, seconds: number): Promise<Peak> {
  const shape = [device.threads * MULTIPLY_ADD_ELEMENTS]
  const x = await drawn({ shape }, dtype, generator)
  // Some ten milliseconds, beside which neither the call is anything nor what its threads begin apart.
  const repeats = 2_000_000
  const run = compile((operand: Tensor) => multiplyAdd(operand, repeats), { name: 'multiplyAdd' })
  const best = await least(device, () => run(x), seconds)
  x.dispose()
  return { flopsPerSecond: (2 * repeats * (shape[0] as number)) / best, by: 'multiply-adds in registers' }
}

/** Squares of the dtype; of i8, a quantized layer. */
async function productPeak(device: Device, dtype: DType, generator: Generator, seconds: number): Promise<Peak> {
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
  const best = await least(device, () => run(a, b, scale), seconds)
  for (const operand of [a, b, scale]) operand.dispose()
  return { flopsPerSecond: (2 * n ** 3) / best, by: 'a large product' }
}

const larger = (a: Peak, b: Peak): Peak => (b.flopsPerSecond > a.flopsPerSecond ? b : a)

async function peaksOf(
  device: Device,
  dtypes: ReadonlySet<DType>,
  generator: Generator,
  seconds: number,
): Promise<Machine['peaks']> {
  const peaks: Partial<Record<DType, Peak>> = {}
  if (device.kind === 'cpu') {
    for (const dtype of ['f32', 'f64', 'i32'] as const)
      peaks[dtype] = await registersPeak(device, dtype, generator, seconds)
    // Halves and bytes have units of their own on some processors and are computed as these on others.
    for (const [dtype, otherwise] of [
      ['bf16', 'f32'],
      ['f16', 'f32'],
      ['i8', 'i32'],
    ] as const)
      if (dtypes.has(dtype))
        peaks[dtype] = larger(peaks[otherwise] as Peak, await productPeak(device, dtype, generator, seconds))
    return peaks
  }
  for (const dtype of new Set<DType>(['f32', ...dtypes]))
    if (dtype !== 'bool') peaks[dtype] = await productPeak(device, dtype, generator, seconds)
  return peaks
}

/** Seconds in which both halves of `x` are joined again, row by row with memcpy. */
function ordinaryCopySeconds(device: Device, x: Tensor, seconds: number): Promise<number> {
  const copy = compile(
    (operand: Tensor) => {
      const rows = reshape(operand, [2, -1, 4096])
      return concat([rows.slice(0), rows.slice(1)], { axis: 1 })
    },
    { name: 'an ordinary copy' },
  )
  return least(device, () => copy(x), seconds)
}

/** Measures a device, each limit for `seconds`; `dtypes` are those a run asks for beyond f32, f64 and i32. */
export async function measureMachine(device: Device, dtypes: ReadonlySet<DType>, seconds: number): Promise<Machine> {
  const generator = new Generator(1)
  const { name, kind, instructionSet, threads } = device
  const bytes = COPY_BYTES[kind]
  const x = await drawn({ shape: [bytes / bytesOf('f32')] }, 'f32', generator)
  // A GPU's stores go to memory as they are; a processor's fetch each line first unless they stream.
  const copy = compile((operand: Tensor) => (kind === 'cpu' ? streamingCopy(operand) : operand.mul(0.5)), {
    name: 'a large copy',
  })
  const copySeconds = await least(device, () => copy(x), MEMORY_TIMES * seconds)
  const ordinarySeconds = kind === 'cpu' ? await ordinaryCopySeconds(device, x, seconds) : copySeconds
  const read = compile((operand: Tensor) => (kind === 'cpu' ? streamingRead(operand) : operand.sum()), {
    name: 'reading',
  })
  const readSeconds = await least(device, () => read(x), MEMORY_TIMES * seconds)
  x.dispose()
  const nothing = await drawn({ shape: [1] }, 'f32', generator)
  const call = compile((operand: Tensor) => operand.add(1), { name: 'next to nothing' })
  const calls = async (count: number): Promise<void> => {
    for (let i = 0; i < count; i++) (await call(nothing)).dispose()
    await device.synchronize()
  }
  // Until what a call runs through is compiled, where nothing else delays it.
  for (const end = performance.now() + WARM_UP_MS; performance.now() < end; ) await calls(4)
  const idle = await sample(() => calls(1), { seconds: 0.1, cycles: 1 })
  const queued = await sample(calls, { seconds: 0.1 })
  return {
    device: name,
    kind,
    instructionSet,
    threads,
    copyBytesPerSecond: (2 * bytes) / copySeconds,
    ordinaryCopyBytesPerSecond: (2 * bytes) / ordinarySeconds,
    readBytesPerSecond: bytes / readSeconds,
    peaks: await peaksOf(device, dtypes, generator, seconds),
    callSeconds: idle.p50,
    queuedCallSeconds: queued.p50,
  }
}
