// What a device's thread did and when: jobs and kernels, on the clock of performance.now().
import { describe } from '../schema/describe.js'
import { Device, defaultDevice, library } from './device.js'
import { ArgumentError, DeviceError, native } from './errors.js'

export interface ProfileEvent {
  /** The compiled function's name, `read`, `write` or `synchronize`; the op, of a kernel. */
  readonly name: string
  /** A job from its start to its end, or one kernel of a run. */
  readonly category: 'job' | 'kernel'
  /** Whether it was of high priority, and so may lie within a normal job; with a number, where it ran beside others. */
  readonly lane: 'normal' | 'high' | `high ${number}`
  /** Start and end in microseconds since `performance.timeOrigin`: 1000 times what `performance.now()` said then. */
  readonly start: number
  readonly end: number
}

const recording = new Set<Device>()

function known(call: string, device: unknown): asserts device is Device {
  if (!(device instanceof Device)) throw new ArgumentError(`${call}: it takes a device, not ${describe(device)}`)
}

/**
 * Records what the device does until `stopProfile`, up to a million events. On a device that queues its work a kernel's time
 * is that of queueing it, and replayed runs show no kernels; a job ends when the device has done it.
 */
export function startProfile(device: Device = defaultDevice()): void {
  known('startProfile', device)
  if (recording.has(device)) throw new DeviceError(`startProfile: ${device} is being recorded already`)
  native(() => library().profile(device.index, true))
  recording.add(device)
}

/** Ends the recording. The events come in the order of their starts; `dropped` ones were more than fit. */
export function stopProfile(device: Device = defaultDevice()): {
  readonly events: readonly ProfileEvent[]
  readonly dropped: number
} {
  known('stopProfile', device)
  if (!recording.delete(device))
    throw new DeviceError(`stopProfile: ${device} is not being recorded: call startProfile`)
  const { names, kinds, times, dropped } = native(() => library().profile(device.index, false))
  // Both clocks run alike; they differ in where they start.
  const origin = Number(process.hrtime.bigint()) / 1e3 - performance.now() * 1e3
  const events = names.map((name, i): ProfileEvent => {
    const kind = kinds[i] as number
    return {
      name,
      category: kind & 1 ? 'kernel' : 'job',
      lane: kind >> 2 ? `high ${kind >> 2}` : kind & 2 ? 'high' : 'normal',
      start: (times[2 * i] as number) - origin,
      end: (times[2 * i + 1] as number) - origin,
    }
  })
  return { events: events.sort((a, b) => a.start - b.start), dropped }
}
