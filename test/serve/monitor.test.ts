// Health and metrics: what is counted, as Prometheus' text and through a real OpenTelemetry meter.
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics'
import { describe, expect, it, onTestFinished } from 'vitest'
import { ArgumentError } from '../../lib/index.js'
import { Histogram } from '../../lib/serve/histogram.js'
import { batcher, monitor } from '../../lib/serve/index.js'
import { Scale } from './models.js'

async function watched() {
  const scale = batcher(new Scale(), { input: { shape: [1] }, maxBatch: 4 })
  const observed = monitor({ batchers: { 'a "b"\\': scale } })
  onTestFinished(() => observed.close())
  await Promise.all([1, 2, 3, 4, 5].map((i) => scale.predict([i])))
  await scale.predict([Number.NaN]).catch(() => undefined)
  return { scale, observed }
}

/** The samples of a text in Prometheus' format, whose lines must all be well formed. */
function samplesOf(text: string): Map<string, number> {
  expect(text.endsWith('\n')).toBe(true)
  const samples = new Map<string, number>()
  let family = ''
  for (const line of text.trimEnd().split('\n')) {
    const comment = /^# (HELP|TYPE) (heddle_[a-z0-9_]+) (.+)$/.exec(line)
    if (comment) {
      if (comment[1] === 'TYPE') {
        expect(['counter', 'gauge', 'histogram']).toContain(comment[3])
        family = comment[2] as string
      }
      continue
    }
    const sample = /^([a-z0-9_]+(?:\{(?:[a-z]+="(?:[^"\\]|\\.)*",?)+\})?) (\S+)$/.exec(line)
    expect(sample, line).not.toBeNull()
    const [, name, value] = sample as unknown as [string, string, string]
    expect(name.startsWith(family)).toBe(true)
    expect(samples.has(name), name).toBe(false)
    samples.set(name, value === '+Inf' ? Number.POSITIVE_INFINITY : Number(value))
  }
  return samples
}

describe('monitor', () => {
  it('gives Prometheus text', async () => {
    const { observed } = await watched()
    const samples = samplesOf(observed.prometheus())
    const label = 'batcher="a \\"b\\"\\\\"'
    expect(samples.get(`heddle_requests_total{${label},outcome="ok"}`)).toBe(5)
    expect(samples.get(`heddle_requests_total{${label},outcome="error"}`)).toBe(1)
    expect(samples.get(`heddle_batches_total{${label}}`)).toBe(2)
    expect(samples.get(`heddle_batch_size_bucket{${label},le="1"}`)).toBe(1)
    expect(samples.get(`heddle_batch_size_bucket{${label},le="4"}`)).toBe(2)
    expect(samples.get(`heddle_batch_size_bucket{${label},le="+Inf"}`)).toBe(2)
    expect(samples.get(`heddle_request_seconds_count{${label}}`)).toBe(5)
    expect(samples.get(`heddle_queued_requests{${label}}`)).toBe(0)
    expect(samples.get(`heddle_ready{${label}}`)).toBe(1)
    expect(samples.get('heddle_event_loop_delay_seconds{quantile="0.99"}')).toBeGreaterThanOrEqual(0)
    expect(samples.get('heddle_process_resident_bytes')).toBeGreaterThan(1e7)
    const device = [...samples.keys()].find((name) => name.startsWith('heddle_device_allocated_bytes'))
    expect(samples.get(device as string)).toBeGreaterThan(0)
    for (const value of samples.values()) expect(Number.isNaN(value)).toBe(false)
  })

  it('tells OpenTelemetry the same', async () => {
    const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE)
    const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 1e6 })
    const provider = new MeterProvider({ readers: [reader] })
    onTestFinished(() => provider.shutdown())
    const { scale, observed } = await watched()
    observed.openTelemetry(provider.getMeter('heddle'))
    await Promise.all([1, 2, 3].map((i) => scale.predict([i])))
    await reader.forceFlush()
    const metrics = exporter.getMetrics()[0]?.scopeMetrics[0]?.metrics ?? []
    const named = (name: string) => metrics.find(({ descriptor }) => descriptor.name === name)?.dataPoints ?? []
    expect(named('heddle.requests').find(({ attributes }) => attributes['outcome'] === 'ok')?.value).toBe(8)
    expect(named('heddle.batches')[0]?.value).toBe(3)
    expect(named('heddle.device_allocated')[0]?.value).toBeGreaterThan(0)
    expect(named('heddle.event_loop_delay')).toHaveLength(3)
    // Histograms are told what comes after the registration.
    expect(named('heddle.request.duration')[0]?.value).toMatchObject({ count: 3 })
    expect(named('heddle.batch_size')[0]?.value).toMatchObject({ sum: 3, buckets: { boundaries: [1, 2, 4] } })
    observed.close()
    await scale.predict([1])
    await reader.forceFlush()
    const latest = exporter.getMetrics().at(-1)?.scopeMetrics[0]?.metrics ?? []
    const duration = latest.find(({ descriptor }) => descriptor.name === 'heddle.request.duration')
    expect(duration?.dataPoints[0]?.value).toMatchObject({ count: 3 })
  })

  it('is as healthy as the least of its batchers', async () => {
    const { scale } = await watched()
    const cold = batcher(new Scale(), { input: { shape: [1] } })
    const both = monitor({ batchers: { scale, cold } })
    onTestFinished(() => both.close())
    expect(both.health()).toMatchObject({ live: true, ready: false, batchers: { scale: { ready: true } } })
    await cold.warmUp()
    expect(both.health().ready).toBe(true)
    await cold.close()
    expect(both.health()).toMatchObject({ ready: false, batchers: { cold: { status: 'closed' } } })
  })

  it('watches batchers only', () => {
    expect(() => monitor({ batchers: { no: {} as never } })).toThrow(ArgumentError)
  })
})

describe('a histogram', () => {
  it('counts values by their bounds and gives quantiles within them', () => {
    const histogram = new Histogram([1, 2, 4])
    for (const value of [0.5, 1, 1.5, 3, 9]) histogram.record(value)
    expect(histogram.counts).toEqual([2, 1, 1, 1])
    expect(histogram.sum).toBe(15)
    expect(histogram.quantile(0.4)).toBe(1)
    expect(histogram.quantile(0.6)).toBe(2)
    expect(histogram.quantile(1)).toBe(4)
    expect(new Histogram([1]).quantile(0.5)).toBe(0)
  })
})
