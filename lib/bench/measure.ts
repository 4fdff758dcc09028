// Times one case, cold and warm, holds it against the machine's limits, and looks why it stays behind them.

import type { Plan } from '../graph/plan.js'
import type { PlanWork } from '../graph/work.js'
import { compile, type Device, type DType, type Generator, type Tensor, vjp } from '../index.js'
import { bytesOf, isFloat } from '../schema/dtype.js'
import { sizeOf } from '../schema/shape.js'
import { cachedBytes, inCache } from './inCache.js'
import { kernelSeconds } from './kernels.js'
import { type Limits, type Machine, standInOf } from './machine.js'
import { drawn } from './operands.js'
import { type Bound, EXPECTED, isUnexplained, type Measured, type Row } from './result.js'
import { sample, type Timing, timingOf } from './sampling.js'
import type { Subject } from './subject.js'
import { formatShare } from './table.js'
import type { LimitsInTurn, Turn, Turns } from './turns.js'

export interface MeasureOptions {
  readonly device: Device
  readonly machine: Machine
  readonly generator: Generator
  readonly turns: Turns
  /** Of timed runs, cold and warm each. */
  readonly seconds: number
}

/** Seconds that arithmetic, and that memory, would take at the limits: reading gives less than half of what a copy moves at most. */
function secondsAt(limits: Limits, { arithmetic, bytes, written }: PlanWork): { arithmetic: number; memory: number } {
  const { copyBytesPerSecond, readBytesPerSecond = copyBytesPerSecond, peaks } = limits
  let seconds = 0
  for (const [dtype, operations] of Object.entries(arithmetic)) {
    const peak = peaks[standInOf(dtype as DType)]
    if (peak) seconds += operations / peak.flopsPerSecond
  }
  return {
    arithmetic: seconds,
    memory: Math.max(bytes / copyBytesPerSecond, (bytes - written) / readBytesPerSecond),
  }
}

/** The machine's limits, but those that were measured in turn with a case. */
function limitsWith(machine: Machine, { flopsPerSecond = {}, ...memory }: LimitsInTurn): Limits {
  const peaks = { ...machine.peaks }
  for (const [dtype, perSecond] of Object.entries(flopsPerSecond) as [DType, number][]) {
    const peak = peaks[dtype]
    if (peak) peaks[dtype] = { ...peak, flopsPerSecond: perSecond }
  }
  return { ...machine, ...memory, peaks }
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

interface Prepared {
  readonly runs: (cycles: number) => Promise<void>
  readonly plan: Plan
  readonly resultBytes: number
  readonly operandBytes: number
  readonly dispose: () => void
}

/** A subject ready to be timed. Throws what its op throws where the shapes do not fit it. */
async function prepare(subject: Subject, { device, generator }: MeasureOptions): Promise<Prepared> {
  const operands = await operandsOf(subject, generator)
  try {
    const compiled = compile(functionOf(subject), { name: subject.name })
    const results = await compiled(operands)
    await device.synchronize()
    const resultBytes = bytesIn(results)
    dispose(results)
    const { plan } = compiled
    if (!plan) throw new Error(`${subject.name}: it has no plan after its runs`)
    const runs = async (cycles: number): Promise<void> => {
      for (let i = 0; i < cycles; i++) dispose(await compiled(operands))
      await device.synchronize()
    }
    return { runs, plan, resultBytes, operandBytes: bytesIn(operands), dispose: () => dispose(operands) }
  } catch (error) {
    dispose(operands)
    throw error
  }
}

/** The share of the limits that the kernels of a subject reach where it is made small, if it can be. */
async function shareOfSmaller(
  smaller: readonly Subject[],
  limits: Limits,
  options: MeasureOptions,
): Promise<number | undefined> {
  for (const subject of smaller) {
    let prepared: Prepared
    try {
      prepared = await prepare(subject, options)
    } catch {
      // Shapes or indices do not fit one another any more.
      continue
    }
    try {
      const seconds = await kernelSeconds(options.device, prepared.runs, options.seconds)
      return secondsAt(limits, prepared.plan.work).memory / seconds
    } finally {
      prepared.dispose()
    }
  }
  return undefined
}

/** That of a subject of so many bytes with all of it in a cache, the larger one: own caches are fast, but small for threads to share. */
async function shareInCache(
  subject: Subject,
  bytes: number,
  limits: Limits,
  options: MeasureOptions,
): Promise<number | undefined> {
  let share: number | undefined
  for (const fewer of cachedBytes(options.device.threads)) {
    const found = await shareOfSmaller(inCache(subject, bytes, fewer), limits, options)
    if (found !== undefined) share = Math.max(share ?? 0, found)
  }
  return share
}

/** Why a case stays behind, where its own time shows that. */
function reasonOf({ callSeconds }: Machine, seconds: number, limit: number): string | undefined {
  if (seconds <= limit || callSeconds < CALL_SHARE * seconds) return undefined
  return `too small: the call alone is ${Math.round(100 * Math.min(1, callSeconds / seconds))} % of the time`
}

/** Times a subject, and what limits it in turn with it. Throws what its op throws where the shapes do not fit it. */
export async function measure(subject: Subject, options: MeasureOptions): Promise<Row> {
  const { machine, turns, seconds } = options
  const { runs, plan, resultBytes, operandBytes, dispose: end } = await prepare(subject, options)
  const { arithmetic, bytes, steps } = plan.work
  const nearer = secondsAt(machine, plan.work)
  const bound: Bound = nearer.arithmetic > nearer.memory ? 'arithmetic' : 'memory'
  let inTurn: LimitsInTurn
  const shares: number[] = []
  const limitSeconds = (now: LimitsInTurn): number => {
    const { arithmetic, memory } = secondsAt(limitsWith(machine, now), plan.work)
    return Math.max(arithmetic, memory)
  }
  const beside = (turn: Turn) => ({
    before: turn.before,
    onSample: (time: number) => shares.push(limitSeconds(turn.last()) / time),
  })
  let warm: Timing
  let cold: Timing
  try {
    if (bound === 'arithmetic') {
      const turn = await turns.arithmetic(new Set(Object.keys(arithmetic).map((dtype) => standInOf(dtype as DType))))
      warm = await sample(runs, { seconds, ...beside(turn) })
      cold = await sample(runs, { seconds, cycles: 1, before: turns.sweep })
      inTurn = turn.limits()
    } else {
      const turn = turns.memory()
      warm = await sample(runs, { seconds })
      cold = await sample(runs, { seconds, cycles: 1, ...beside(turn) })
      inTurn = turn.limits()
    }
  } finally {
    end()
  }
  const operations = Object.values(arithmetic).reduce((sum, count) => sum + count, 0)
  const limits = limitsWith(machine, inTurn)
  const limit = limitSeconds(inTurn)
  const measured = (timing: Timing): Measured => ({
    ...timing,
    roofline: limit / timing.p50,
    gflops: operations / timing.p50 / 1e9,
    gbPerS: bytes / timing.p50 / 1e9,
  })
  // Of each sample its share of what was measured just before it: neighbours change from one to the next.
  const roofline = timingOf(shares, 1).p50
  const allocatedBytes = operandBytes + resultBytes
  const known = bound === 'arithmetic' ? (subject.reason ?? subject.instructions) : subject.reason
  let reason = known ?? reasonOf(machine, (bound === 'arithmetic' ? warm : cold).p50, limit)
  const row = {
    case: subject.name,
    family: subject.family,
    dtype: subject.dtype,
    shapes: subject.operands.map(({ shape }) => shape),
    small: subject.small,
    work: { operations, bytes, steps },
    memory: { arenaBytes: plan.memory.arena, allocatedBytes },
    bound,
    limits: inTurn,
    warm: measured(warm),
    cold: measured(cold),
    roofline,
  }
  const asks = machine.kind === 'cpu' && bound === 'memory' && isUnexplained({ ...row, reason })
  const share = asks ? await shareInCache(subject, plan.memory.arena + allocatedBytes, limits, options) : undefined
  // What is slower in a cache than from memory shows nothing.
  if (share !== undefined && share > 0.9 * roofline && share < 1 / EXPECTED) {
    const adds = share < EXPECTED ? '' : ", which memory's time adds to"
    reason = `${subject.instructions ?? 'its instructions'}: ${formatShare(share)} with all of it in the cache${adds}`
  }
  return { ...row, ...(share !== undefined && { inCache: share }), ...(reason !== undefined && { reason }) }
}
