// Which curves share a chart, in which unit, and which values of a validation are the best.
import type { Curve } from './curve.js'

export interface ChartLine {
  /** The curve. */
  readonly name: string
  readonly label: string
}

export interface Chart {
  readonly title: string
  /** What stands behind its values, such as ms; empty where they have no unit. */
  readonly unit: string
  /** Values are divided by this to be in `unit`. */
  readonly divisor: number
  readonly lines: readonly ChartLine[]
}

/** Groups whose measures are parts of one thing and stand in one chart; all others have a chart per measure. */
const TOGETHER = new Set(['time', 'memory'])
/** Groups of the machine come behind those of the model. */
const LAST = ['rate', 'time', 'memory']

const UNITS: Readonly<Record<string, Pick<Chart, 'unit' | 'divisor'>>> = {
  ms: { unit: 'ms', divisor: 1 },
  seconds: { unit: 's', divisor: 1 },
  bytes: { unit: 'MiB', divisor: 2 ** 20 },
}

/** `train/loss` is the measure `loss` of the group `train`; what has no slash is a measure of no group. */
export function partsOf(name: string): { readonly group: string; readonly measure: string } {
  const slash = name.indexOf('/')
  return slash === -1
    ? { group: '', measure: name }
    : { group: name.slice(0, slash), measure: name.slice(slash + 1) || name }
}

/** The charts of curves with these names, in the order of the names, those of the machine last. */
export function chartsOf(names: Iterable<string>): Chart[] {
  const charts = new Map<string, { chart: Chart; lines: ChartLine[]; place: number }>()
  for (const name of names) {
    const { group, measure } = partsOf(name)
    const suffix = /^(.+) (ms|seconds|bytes)$/.exec(measure)
    const { unit, divisor } = UNITS[suffix?.[2] ?? ''] ?? { unit: '', divisor: 1 }
    const bare = suffix?.[1] ?? measure
    const together = TOGETHER.has(group)
    const title = together ? group : bare
    const key = `${title}\n${unit}\n${together}`
    const found = charts.get(key)
    const lines = found?.lines ?? []
    lines.push({ name, label: together || group === 'rate' ? bare : group || bare })
    if (!found) charts.set(key, { chart: { title, unit, divisor, lines }, lines, place: LAST.indexOf(group) })
  }
  return [...charts.values()].sort((a, b) => a.place - b.place).map(({ chart }) => chart)
}

const VALIDATION = /^(validation|valid|val|evaluation|eval)$/
const HIGHER = /accuracy|auc|auroc|f1|r2|precision|recall|score|bleu|rouge|iou|dice|\bmap\b|kappa|top-?\d/i
const LOWER = /loss|error|mae|mse|perplexity|calibration|divergence|distance|\b(wer|cer|ece)\b/i

export interface BestValue {
  readonly name: string
  readonly measure: string
  /** Which end of the values it is. */
  readonly which: 'lowest' | 'highest'
  readonly value: number
  readonly step: number
  readonly latest: number
}

/** The lowest or the highest value of each measure of a validation, as its name says which is better; where it does not, both. */
export function bestValues(curves: ReadonlyMap<string, Curve>): BestValue[] {
  const best: BestValue[] = []
  for (const [name, curve] of curves) {
    const { group, measure } = partsOf(name)
    const finite = curve.stretches.filter(({ count }) => count > 0)
    const last = curve.stretches.at(-1)
    if (!VALIDATION.test(group) || finite.length === 0 || !last) continue
    const latest = last.count > 0 ? last.mean : last.lostValue
    const lowest = finite.reduce((a, b) => (b.low < a.low ? b : a))
    const highest = finite.reduce((a, b) => (b.high > a.high ? b : a))
    const [higher, lower] = [HIGHER.test(measure), LOWER.test(measure)]
    if (lower || !higher) best.push({ name, measure, which: 'lowest', value: lowest.low, step: lowest.lowStep, latest })
    if (higher !== lower ? higher : true)
      best.push({ name, measure, which: 'highest', value: highest.high, step: highest.highStep, latest })
  }
  return best
}
