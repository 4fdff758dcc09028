// Schedules made of schedules: one after the other, and multiplied.
import { integerFrom } from '../ops/arguments.js'
import { lt, mul, sub, where } from '../ops/element.js'
import { ArgumentError } from '../runtime/errors.js'
import type { Schedule } from './schedule.js'

/** A schedule that counts its own steps from 0. */
export interface Phase {
  readonly schedule: Schedule
  /** How long it lasts; the last phase needs none, as it never ends. */
  readonly steps?: number
}

/** One phase after the other. A phase's schedule that asks for a total gets its number of steps. */
export function sequential(phases: readonly Phase[]): Schedule {
  if (!Array.isArray(phases) || phases.length === 0)
    throw new ArgumentError('schedule.sequential: it takes a list of phases { schedule, steps }')
  phases.slice(0, -1).forEach(({ steps }, i) => {
    if (steps === undefined) throw new ArgumentError(`schedule.sequential: phase ${i} needs its number of steps`)
    integerFrom('schedule.sequential', `the steps of phase ${i}`, steps, 1)
  })
  const starts = phases.map((_, i) => phases.slice(0, i).reduce((sum, { steps }) => sum + (steps as number), 0))
  return (step, total) => {
    const rateOf = (i: number): ReturnType<Schedule> => {
      const { schedule, steps } = phases[i] as Phase
      const start = starts[i] as number
      return schedule(start === 0 ? step : sub(step, start), steps ?? (total === undefined ? undefined : total - start))
    }
    const last = phases.length - 1
    return starts.slice(1).reduceRight((later, start, i) => where(lt(step, start), rateOf(i), later), rateOf(last))
  }
}

/** The product of schedules: a learning rate and factors of it. */
export function chain(...schedules: readonly Schedule[]): Schedule {
  if (schedules.length === 0) throw new ArgumentError('schedule.chain: there are no schedules')
  return (step, total) => schedules.map((schedule) => schedule(step, total)).reduce((a, b) => mul(a, b))
}
