// A trace file of what JavaScript, the device's thread and its kernels did when, on one time axis, as Perfetto opens it.
import { PerformanceObserver } from 'node:perf_hooks'
import { optionsOf } from '../ops/arguments.js'
import { type Device, defaultDevice } from '../runtime/device.js'
import { ArgumentError } from '../runtime/errors.js'
import { type ProfileEvent, startProfile, stopProfile } from '../runtime/profile.js'
import { listenToSpans, type Span } from '../runtime/spans.js'
import { describe } from '../schema/describe.js'
import { replaceFile } from './durable.js'

export interface TraceOptions {
  /** The device whose thread and kernels are recorded. Default: the default device. */
  readonly device?: Device
}

export interface SavedTrace {
  /** Spans of JavaScript, jobs and kernels in the file. */
  readonly events: number
  /** Events of the device that did not fit into its record. */
  readonly dropped: number
}

/** An event of Chrome's trace format: https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU */
type TraceEvent = Readonly<Record<string, unknown>>

/** Rows of one process in the picture. */
const JAVASCRIPT = 1
const DEVICE = 2

/** Events that are made text at a time. */
const EVENTS_PER_CHUNK = 1000

/** What is recorded from `startTrace` to `save`. */
export class Trace {
  private readonly spans: Span[] = []
  private readonly stopListening: () => void
  private readonly observer: PerformanceObserver
  private open = true

  /** @internal */
  constructor(private readonly device: Device) {
    startProfile(device)
    this.stopListening = listenToSpans((span) => this.spans.push(span))
    this.observer = new PerformanceObserver((list) => {
      for (const { name, entryType, startTime, duration } of list.getEntries()) {
        const lane = entryType === 'gc' ? 'garbage collection' : 'performance.measure'
        this.spans.push({ name, category: entryType, lane, start: startTime, end: startTime + duration })
      }
    })
    this.observer.observe({ entryTypes: ['measure', 'gc'] })
  }

  /**
   * Ends the recording and writes it, JSON in Chrome's format, to a file that ui.perfetto.dev and chrome://tracing open.
   * Throws `ArgumentError` where it has ended already.
   */
  async save(file: string): Promise<SavedTrace> {
    if (typeof file !== 'string' || file === '')
      throw new ArgumentError(`trace: save takes a path, not ${describe(file)}`)
    const { events: device, dropped } = this.stop()
    const events = [...spanEvents(this.spans), ...deviceEvents(this.device, device)]
    await replaceFile(file, chunksOf(events))
    return { events: this.spans.length + device.length, dropped }
  }

  /** Ends the recording without a file. */
  [Symbol.dispose](): void {
    if (this.open) this.stop()
  }

  private stop(): { readonly events: readonly ProfileEvent[]; readonly dropped: number } {
    if (!this.open) throw new ArgumentError('trace: it has ended already; start another')
    this.open = false
    this.stopListening()
    this.observer.disconnect()
    return stopProfile(this.device)
  }
}

/**
 * Records, until `save`, the batches and steps of heddle, what the program measures with `performance.measure`, the garbage
 * collector, the jobs of the device's thread and the kernels they are made of.
 *
 * @example
 * const trace = startTrace()
 * await handleSomeRequests()
 * await trace.save('trace.json') // for ui.perfetto.dev
 */
export function startTrace(options: TraceOptions = {}): Trace {
  const { device = defaultDevice() } = optionsOf('startTrace', options)
  return new Trace(device)
}

const named = (kind: 'process_name' | 'thread_name', pid: number, tid: number, name: string): TraceEvent => ({
  ph: 'M',
  name: kind,
  pid,
  tid,
  args: { name },
})

/** Spans of a lane that overlap stand in rows below one another: in one row they would have to be nested. */
function spanEvents(spans: readonly Span[]): TraceEvent[] {
  const events = [named('process_name', JAVASCRIPT, 0, 'JavaScript')]
  const lanes = new Map<string, { readonly tid: number; end: number }[]>()
  let rows = 0
  for (const { name, category, lane, start, end } of spans.toSorted((a, b) => a.start - b.start)) {
    const own = lanes.get(lane) ?? []
    lanes.set(lane, own)
    let row = own.find((candidate) => candidate.end <= start)
    if (!row) {
      row = { tid: ++rows, end }
      own.push(row)
      events.push(named('thread_name', JAVASCRIPT, row.tid, own.length === 1 ? lane : `${lane} (${own.length})`))
    }
    row.end = end
    events.push({
      ph: 'X',
      name,
      cat: category,
      pid: JAVASCRIPT,
      tid: row.tid,
      ts: start * 1000,
      dur: (end - start) * 1000,
    })
  }
  return events
}

function deviceEvents(device: Device, events: readonly ProfileEvent[]): TraceEvent[] {
  const lanes = new Set<ProfileEvent['lane']>(['normal', 'high', ...events.map(({ lane }) => lane)])
  const rows = new Map([...lanes].map((lane, i) => [lane, i + 1]))
  return [
    named('process_name', DEVICE, 0, `${device}`),
    ...[...rows].map(([lane, tid]) => named('thread_name', DEVICE, tid, lane.replace(/^\w+/, '$& priority'))),
    ...events.map(({ name, category, lane, start, end }) => ({
      ph: 'X',
      name,
      cat: category,
      pid: DEVICE,
      tid: rows.get(lane) as number,
      ts: start,
      dur: end - start,
    })),
  ]
}

/** The file in parts, between which the event loop turns. */
async function* chunksOf(events: readonly TraceEvent[]): AsyncGenerator<Uint8Array> {
  const encoder = new TextEncoder()
  yield encoder.encode('{"displayTimeUnit":"ms","traceEvents":[')
  for (let at = 0; at < events.length; at += EVENTS_PER_CHUNK) {
    const lines = events.slice(at, at + EVENTS_PER_CHUNK).map((event) => JSON.stringify(event))
    yield encoder.encode(`${at === 0 ? '\n' : ',\n'}${lines.join(',\n')}`)
    await new Promise((resolve) => setImmediate(resolve))
  }
  yield encoder.encode('\n]}\n')
}
