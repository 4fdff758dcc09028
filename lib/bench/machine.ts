// The machine's own limits, measured: arithmetic per second by dtype, and bytes per second of a large copy and of reading.
import { compile, type Device, type DType, Generator, type Tensor } from '../index.js'
import { drawn } from './operands.js'
import {
  type ArithmeticBy,
  arithmeticProbe,
  COMPUTED_AS,
  copyProbe,
  ordinaryCopyProbe,
  type Probe,
  readProbe,
} from './probes.js'
import { sample } from './sampling.js'

/** The most arithmetic per second, and what showed it. */
export interface Peak {
  readonly flopsPerSecond: number
  readonly by: ArithmeticBy
}

/** What a kernel is held against. */
export interface Limits {
  /** Bytes read and written per second by a large copy past the caches. */
  readonly copyBytesPerSecond: number
  /** Bytes per second where as many are only read. Results of earlier versions do not have it. */
  readonly readBytesPerSecond?: number
  readonly peaks: Readonly<Partial<Record<DType, Peak>>>
}

/** A device and its limits, the best of their samples: a copy of 256 MiB, or of 2 GiB on a GPU. */
export interface Machine extends Limits {
  readonly device: string
  readonly kind: string
  readonly instructionSet: string
  readonly threads: number
  /** The copy with ordinary stores, which fetch each line before they write it; the C library's on a CPU. */
  readonly ordinaryCopyBytesPerSecond: number
  /** Seconds from a call to its result, of a run that does next to nothing. */
  readonly callSeconds: number
}

const COPY_BYTES = { cpu: 2 ** 28, cuda: 2 ** 31 }
/** What neighbours leave of the memory changes from one moment to the next, so copies are timed this many times as long. */
const MEMORY_TIMES = 4
const WARM_UP_MS = 200
/** Longer than a neighbour holds a virtual machine's processors at a time. */
const CALL_SECONDS = 1

/** Integers of other widths are computed as these. */
const STAND_INS: Partial<Record<DType, DType>> = { i64: 'f64', u8: 'i8', bool: 'i32' }

/** The dtype whose peak a dtype's arithmetic is held against. */
export const standInOf = (dtype: DType): DType => STAND_INS[dtype] ?? dtype

/** What a probe does per second in the best of its samples. It is disposed after. */
async function best(made: Promise<Probe>, seconds: number): Promise<number> {
  const { amount, run, dispose } = await made
  const { least } = await sample(run, { seconds, minSamples: 5 })
  dispose()
  return amount / least
}

async function peaksOf(
  device: Device,
  dtypes: ReadonlySet<DType>,
  generator: Generator,
  seconds: number,
): Promise<Machine['peaks']> {
  const peaks: Partial<Record<DType, Peak>> = {}
  const peakBy = async (by: ArithmeticBy, dtype: DType): Promise<Peak> => ({
    flopsPerSecond: await best(arithmeticProbe(device, dtype, by, generator), seconds),
    by,
  })
  if (device.kind === 'cpu') {
    for (const dtype of ['f32', 'f64', 'i32'] as const) peaks[dtype] = await peakBy('multiply-adds in registers', dtype)
    for (const [dtype, otherwise] of Object.entries(COMPUTED_AS) as [DType, DType][]) {
      if (!dtypes.has(dtype)) continue
      const [product, registers] = [await peakBy('a large product', dtype), peaks[otherwise] as Peak]
      peaks[dtype] = product.flopsPerSecond > registers.flopsPerSecond ? product : registers
    }
    return peaks
  }
  for (const dtype of new Set<DType>(['f32', ...dtypes]))
    if (dtype !== 'bool') peaks[dtype] = await peakBy('a large product', dtype)
  return peaks
}

/** Measures a device, each limit for `seconds`; `dtypes` are those a run asks for beyond f32, f64 and i32. */
export async function measureMachine(device: Device, dtypes: ReadonlySet<DType>, seconds: number): Promise<Machine> {
  const generator = new Generator(1)
  const { name, kind, instructionSet, threads } = device
  const bytes = COPY_BYTES[kind]
  const copyBytesPerSecond = await best(copyProbe(device, bytes, generator), MEMORY_TIMES * seconds)
  const ordinaryCopyBytesPerSecond =
    kind === 'cpu' ? await best(ordinaryCopyProbe(device, bytes, generator), seconds) : copyBytesPerSecond
  const readBytesPerSecond = await best(readProbe(device, bytes, generator), MEMORY_TIMES * seconds)
  const nothing = await drawn({ shape: [1] }, 'f32', generator)
  const call = compile((operand: Tensor) => operand.add(1), { name: 'next to nothing' })
  const once = async (): Promise<void> => {
    ;(await call(nothing)).dispose()
    await device.synchronize()
  }
  // Until what a call runs through is compiled, where nothing else delays it.
  for (const end = performance.now() + WARM_UP_MS; performance.now() < end; ) await once()
  const calls = await sample(once, { seconds: CALL_SECONDS, cycles: 1, maxSamples: Number.POSITIVE_INFINITY })
  nothing.dispose()
  return {
    device: name,
    kind,
    instructionSet,
    threads,
    copyBytesPerSecond,
    ordinaryCopyBytesPerSecond,
    readBytesPerSecond,
    peaks: await peaksOf(device, dtypes, generator, seconds),
    callSeconds: calls.p50,
  }
}
