// Times one case, cold and warm, and holds it against the machine's limits.
import { compile, type Device, type DType, type Generator, type Tensor, vjp } from '../index.js'
import { bytesOf, isFloat } from '../schema/dtype.js'
import { sizeOf } from '../schema/shape.js'
import { type Machine, peakOf } from './machine.js'
import { drawn } from './operands.js'
import { type Bound, EXPECTED, type Measured, type Row } from './result.js'
import { sample, type Timing } from './sampling.js'
import type { Subject } from './subject.js'

export interface MeasureOptions {
  readonly device: Device
  readonly machine: Machine
  readonly generator: Generator
  /** Empties the caches. */
  readonly sweep: () => Promise<void>
  /** Of timed runs, cold and warm each. */
  readonly seconds: number
}

type Arithmetic = Readonly<Partial<Record<DType, number>>>

/** The least seconds that arithmetic, and that memory, would take. */
function limitsOf(machine: Machine, arithmetic: Arithmetic, bytes: number): { arithmetic: number; memory: number } {
  let seconds = 0
  for (const [dtype, operations] of Object.entries(arithmetic)) {
    const peak = peakOf(machine, dtype as DType)
    if (peak) seconds += operations / peak.flopsPerSecond
  }
  return { arithmetic: seconds, memory: bytes / machine.copyBytesPerSecond }
}

/** The operands of a subject, a random cotangent behind them where gradients are timed. */
async function operandsOf(subject: Subject, generator: Generator): Promise<Tensor[]> {
  const tensors: Tensor[] = []
  for (const spec of subject.operands) tensors.push(await drawn(spec, subject.dtype, generator))
  if (!subject.gradient) return tensors
  // Only looked at: nothing runs.
  const { shape, dtype } = subject.run(...tensors)
  return [...tensors, await drawn({ shape, dtype }, dtype, generator)]
}

function functionOf({ run, gradient, operands }: Subject): (tensors: Tensor[]) => Tensor[] {
  if (!gradient) return (tensors) => [run(...tensors)]
  return (tensors) => {
    const inputs = tensors.slice(0, -1)
    const wanted = inputs.filter((_, i) => isFloat(operands[i]?.dtype ?? 'f32'))
    const found = vjp([run(...inputs)], [tensors.at(-1) as Tensor], wanted, { missing: 'zero' })
    return wanted.map((tensor) => found.get(tensor))
  }
}

const bytesIn = (tensors: readonly Tensor[]): number =>
  tensors.reduce((sum, { shape, dtype }) => sum + sizeOf(shape) * bytesOf(dtype), 0)

const dispose = (tensors: readonly Tensor[]): void => {
  for (const tensor of tensors) tensor.dispose()
}

/** From this share of a run on, what is measured is the call. */
const CALL_SHARE = 0.2

/** From this share of the bytes on, what is written counts. */
const WRITTEN_SHARE = 0.2

/** Why a case stays behind, where that is measured; `written` is the share of its bytes that are its results'. */
function reasonOf(
  machine: Machine,
  bound: Bound,
  { gbPerS, p50 }: Measured,
  limit: number,
  written: number,
): string | undefined {
  const { callSeconds, ordinaryCopyBytesPerSecond } = machine
  if (p50 > limit && callSeconds >= CALL_SHARE * p50)
    return `too small: the call alone is ${Math.round(100 * Math.min(1, callSeconds / p50))} % of the time`
  const stores = bound === 'memory' && written >= WRITTEN_SHARE
  if (stores && gbPerS * 1e9 >= EXPECTED * ordinaryCopyBytesPerSecond)
    return 'as fast as memcpy: ordinary stores fetch each line before they write it'
  return undefined
}

/** Times a subject. Throws what its op throws where the shapes do not fit it. */
export async function measure(subject: Subject, options: MeasureOptions): Promise<Row> {
  const { device, machine, generator, sweep, seconds } = options
  const operands = await operandsOf(subject, generator)
  try {
    const compiled = compile(functionOf(subject), { name: subject.name })
    const results = await compiled(operands)
    await device.synchronize()
    const resultBytes = bytesIn(results)
    const allocatedBytes = bytesIn(operands) + resultBytes
    dispose(results)
    const runs = async (cycles: number): Promise<void> => {
      for (let i = 0; i < cycles; i++) dispose(await compiled(operands))
      await device.synchronize()
    }
    const warm = await sample(runs, { seconds })
    const cold = await sample(runs, { seconds, cycles: 1, before: sweep })
    const plan = compiled.plan
    if (!plan) throw new Error(`${subject.name}: it has no plan after its runs`)
    const { arithmetic, bytes, steps } = plan.work
    const operations = Object.values(arithmetic).reduce((sum, count) => sum + count, 0)
    const limits = limitsOf(machine, arithmetic, bytes)
    const bound: Bound = limits.arithmetic > limits.memory ? 'arithmetic' : 'memory'
    const limit = Math.max(limits.arithmetic, limits.memory)
    const measured = (timing: Timing): Measured => ({
      ...timing,
      roofline: limit / timing.p50,
      gflops: operations / timing.p50 / 1e9,
      gbPerS: bytes / timing.p50 / 1e9,
    })
    const [warmest, coldest] = [measured(warm), measured(cold)]
    const counted = bound === 'arithmetic' ? warmest : coldest
    const reason = subject.reason ?? reasonOf(machine, bound, counted, limit, resultBytes / bytes)
    return {
      case: subject.name,
      family: subject.family,
      dtype: subject.dtype,
      shapes: subject.operands.map(({ shape }) => shape),
      small: subject.small,
      work: { operations, bytes, steps },
      memory: { arenaBytes: plan.memory.arena, allocatedBytes },
      bound,
      warm: warmest,
      cold: coldest,
      roofline: counted.roofline,
      ...(reason !== undefined && { reason }),
    }
  } finally {
    dispose(operands)
  }
}
