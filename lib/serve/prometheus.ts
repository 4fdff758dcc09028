// Prometheus' text format, version 0.0.4: https://prometheus.io/docs/instrumenting/exposition_formats
import type { HistogramFamily, Labels, NumberFamily } from './families.js'

/** What an HTTP answer with this text says that it is. */
export const PROMETHEUS_CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8'

const escaped = (text: string): string => text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll('"', '\\"')

function labelled(name: string, labels: Labels): string {
  const pairs = Object.entries(labels).map(([key, value]) => `${key}="${escaped(value)}"`)
  return pairs.length === 0 ? name : `${name}{${pairs.join(',')}}`
}

const numberText = (value: number): string =>
  value === Number.POSITIVE_INFINITY ? '+Inf' : value === Number.NEGATIVE_INFINITY ? '-Inf' : String(value)

const nameOf = ({ kind, name, unit }: NumberFamily | HistogramFamily): string =>
  `heddle_${name}${unit ? `_${unit}` : ''}${kind === 'counter' ? '_total' : ''}`

export function prometheusText(families: readonly (NumberFamily | HistogramFamily)[]): string {
  const lines: string[] = []
  for (const family of families) {
    const name = nameOf(family)
    lines.push(`# HELP ${name} ${family.help}`, `# TYPE ${name} ${family.kind}`)
    if (family.kind !== 'histogram') {
      for (const { labels, value } of family.samples) lines.push(`${labelled(name, labels)} ${numberText(value)}`)
      continue
    }
    for (const { labels, histogram } of family.samples) {
      let below = 0
      for (const [place, bound] of [...histogram.bounds, Number.POSITIVE_INFINITY].entries()) {
        below += histogram.counts[place] as number
        lines.push(`${labelled(`${name}_bucket`, { ...labels, le: numberText(bound) })} ${below}`)
      }
      lines.push(`${labelled(`${name}_sum`, labels)} ${histogram.sum}`)
      lines.push(`${labelled(`${name}_count`, labels)} ${histogram.count}`)
    }
  }
  return `${lines.join('\n')}\n`
}
