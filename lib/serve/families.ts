// Metric families: what batchers, devices and the event loop have to tell, in no format yet.
import type { IntervalHistogram } from 'node:perf_hooks'
import type { Device } from '../runtime/device.js'
import type { Batcher } from './batcher.js'
import type { Histogram } from './histogram.js'

export type Labels = Readonly<Record<string, string>>

/** Numbers that belong together: a counter only rises, a gauge is as it is now. */
export interface NumberFamily {
  readonly kind: 'counter' | 'gauge'
  /** Words with underscores, without prefix and unit. */
  readonly name: string
  readonly help: string
  readonly unit: 'seconds' | 'bytes' | undefined
  readonly samples: readonly { readonly labels: Labels; readonly value: number }[]
}

export interface HistogramFamily {
  readonly kind: 'histogram'
  readonly name: string
  readonly help: string
  readonly unit: 'seconds' | undefined
  readonly samples: readonly { readonly labels: Labels; readonly histogram: Histogram }[]
}

/** Batchers, of which the metrics need no more than this, so that they may be of any inputs and outputs. */
export type ObservedBatcher = Pick<Batcher, 'name' | 'figures' | 'queued' | 'inFlight' | 'health'>

type Named = readonly (readonly [string, ObservedBatcher])[]

/** Milliseconds between two looks at the event loop's delay: a thousand wake-ups a second would slow what is observed. */
export const RESOLUTION_MS = 10

export function batcherNumbers(batchers: Named): NumberFamily[] {
  const each = (
    kind: 'counter' | 'gauge',
    name: string,
    help: string,
    value: (batcher: ObservedBatcher) => number,
  ): NumberFamily => ({
    kind,
    name,
    help,
    unit: undefined,
    samples: batchers.map(([label, batcher]) => ({ labels: { batcher: label }, value: value(batcher) })),
  })
  return [
    {
      kind: 'counter',
      name: 'requests',
      help: 'Requests that have ended, by how.',
      unit: undefined,
      samples: batchers.flatMap(([batcher, { figures }]) =>
        Object.entries(figures.requests).map(([outcome, value]) => ({ labels: { batcher, outcome }, value })),
      ),
    },
    each('counter', 'batches', 'Batches that were run.', ({ figures }) => figures.batches),
    each('counter', 'divided_batches', 'Batches that were run again in parts.', ({ figures }) => figures.divided),
    each('counter', 'swaps', 'Times that the model got new weights.', ({ figures }) => figures.swaps),
    each('gauge', 'queued_requests', 'Requests that wait for a batch.', ({ queued }) => queued),
    each('gauge', 'running_requests', 'Requests whose batch is running.', ({ inFlight }) => inFlight),
    each('gauge', 'ready', 'Whether requests should be sent here.', (batcher) => Number(batcher.health().ready)),
  ]
}

export function batcherHistograms(batchers: Named): HistogramFamily[] {
  const each = (
    name: string,
    help: string,
    unit: 'seconds' | undefined,
    histogram: (figures: ObservedBatcher['figures']) => Histogram,
  ): HistogramFamily => ({
    kind: 'histogram',
    name,
    help,
    unit,
    samples: batchers.map(([label, { figures }]) => ({ labels: { batcher: label }, histogram: histogram(figures) })),
  })
  return [
    each('request', 'From a request to its answer.', 'seconds', ({ latency }) => latency),
    each('request_waiting', 'From a request to the begin of its batch.', 'seconds', ({ waiting }) => waiting),
    each('batch', 'From the begin of a batch to its results.', 'seconds', ({ running }) => running),
    each('batch_size', 'Requests in a batch.', undefined, ({ batchSize }) => batchSize),
  ]
}

export function deviceNumbers(devices: readonly Device[]): NumberFamily[] {
  const read = devices.map((device) => ({ labels: { device: device.name }, memory: device.memory() }))
  type Memory = (typeof read)[number]['memory']
  const each = (
    kind: 'counter' | 'gauge',
    name: string,
    help: string,
    unit: 'bytes' | undefined,
    value: (memory: Memory) => number,
  ): NumberFamily => ({
    kind,
    name,
    help,
    unit,
    samples: read.map(({ labels, memory }) => ({ labels, value: value(memory) })),
  })
  return [
    each('gauge', 'device_allocated', 'Device memory in use.', 'bytes', ({ allocated }) => allocated),
    each('gauge', 'device_reserved', 'Device memory in use or kept for use.', 'bytes', ({ reserved }) => reserved),
    each('gauge', 'device_peak', 'The most device memory that was in use.', 'bytes', ({ peak }) => peak),
    each('gauge', 'device_limit', 'The most device memory there may be.', 'bytes', ({ limit }) =>
      limit >= Number.MAX_SAFE_INTEGER ? Number.POSITIVE_INFINITY : limit,
    ),
    each('gauge', 'device_queue', 'Jobs that wait or run on the device.', undefined, ({ queued }) => queued),
    each(
      'counter',
      'device_retries',
      'Allocations that needed the cache given back.',
      undefined,
      ({ retries }) => retries,
    ),
  ]
}

export function processNumbers(delay: IntervalHistogram): NumberFamily[] {
  const beyond = (nanoseconds: number): number => Math.max(0, nanoseconds / 1e9 - RESOLUTION_MS / 1e3)
  const quantiles = [0.5, 0.9, 0.99].map((quantile) => ({
    labels: { quantile: String(quantile) },
    // Before anything was measured there is no value.
    value: delay.count === 0 ? 0 : beyond(delay.percentile(100 * quantile)),
  }))
  const seconds = (name: string, help: string, samples: NumberFamily['samples']): NumberFamily => ({
    kind: 'gauge',
    name,
    help,
    unit: 'seconds',
    samples,
  })
  return [
    seconds('event_loop_delay', 'How much later than it should a timer fires, since the last reading.', quantiles),
    seconds('event_loop_delay_max', 'The most of that.', [
      { labels: {}, value: delay.count === 0 ? 0 : beyond(delay.max) },
    ]),
    {
      kind: 'gauge',
      name: 'process_resident',
      help: 'Resident memory of the process.',
      unit: 'bytes',
      samples: [{ labels: {}, value: process.memoryUsage.rss() }],
    },
  ]
}
