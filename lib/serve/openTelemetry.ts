// The same metrics for OpenTelemetry: instruments of a meter that the program makes, whatever exports them.
import type { Meter } from '@opentelemetry/api'
import type { HistogramFamily, NumberFamily } from './families.js'

const UNITS = { seconds: 's', bytes: 'By' }

const instrumentName = (name: string): string => `heddle.${name}`

const describedAs = ({ help, unit }: NumberFamily | HistogramFamily) => ({
  description: help,
  ...(unit ? { unit: UNITS[unit] } : {}),
})

/** Registers instruments that ask `numbers` whenever they are read, and histograms that are told each value; gives what ends it. */
export function registerWith(
  meter: Meter,
  numbers: () => readonly NumberFamily[],
  histograms: readonly HistogramFamily[],
): () => void {
  const instruments = numbers().map((family) => {
    const options = describedAs(family)
    const name = instrumentName(family.name)
    return [
      family.name,
      family.kind === 'counter'
        ? meter.createObservableCounter(name, options)
        : meter.createObservableGauge(name, options),
    ] as const
  })
  const byName = new Map(instruments)
  const all = instruments.map(([, instrument]) => instrument)
  const observe: Parameters<Meter['addBatchObservableCallback']>[0] = (result) => {
    for (const { name, samples } of numbers()) {
      const instrument = byName.get(name)
      for (const { labels, value } of samples)
        if (instrument && Number.isFinite(value)) result.observe(instrument, value, labels)
    }
  }
  meter.addBatchObservableCallback(observe, all)
  const deaf = histograms.flatMap((family) => {
    const bounds = family.samples[0]?.histogram.bounds
    const instrument = meter.createHistogram(instrumentName(family.unit ? `${family.name}.duration` : family.name), {
      ...describedAs(family),
      ...(bounds ? { advice: { explicitBucketBoundaries: [...bounds] } } : {}),
    })
    return family.samples.map(({ labels, histogram }) => histogram.listen((value) => instrument.record(value, labels)))
  })
  return () => {
    meter.removeBatchObservableCallback(observe, all)
    for (const stop of deaf) stop()
  }
}
