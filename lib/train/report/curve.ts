// A curve of any length in bounded memory: neighbouring values come together in stretches that keep least, greatest and mean.
import { FormatError } from '../../runtime/errors.js'

/** Stretches a curve has at most; a chart is not that many pixels wide. */
export const MOST_STRETCHES = 2000

/** Neighbouring values; one value alone while there is room. */
export interface Stretch {
  /** Steps of its first and last value. */
  first: number
  last: number
  /** Finite values in it, and their mean. */
  count: number
  mean: number
  low: number
  lowStep: number
  high: number
  highStep: number
  /** Values in it that are not finite, and the first of them. */
  lost: number
  lostValue: number
}

/** As the file has it: `[step, value]`, or what a stretch of several values has come to. */
export type StoredStretch = readonly (number | string)[]

const single = (step: number, value: number): Stretch => {
  const finite = Number.isFinite(value)
  return {
    first: step,
    last: step,
    count: finite ? 1 : 0,
    mean: finite ? value : 0,
    low: finite ? value : Number.POSITIVE_INFINITY,
    lowStep: step,
    high: finite ? value : Number.NEGATIVE_INFINITY,
    highStep: step,
    lost: finite ? 0 : 1,
    lostValue: value,
  }
}

const sizeOf = ({ count, lost }: Stretch): number => count + lost

/** `from` into `into`, which comes before it or has it inside. */
function absorb(into: Stretch, from: Stretch): void {
  into.first = Math.min(into.first, from.first)
  into.last = Math.max(into.last, from.last)
  const count = into.count + from.count
  // Weights before values: a product of a count and a great value could be infinite.
  if (count > 0) into.mean = into.mean * (into.count / count) + from.mean * (from.count / count)
  into.count = count
  if (from.low < into.low) [into.low, into.lowStep] = [from.low, from.lowStep]
  if (from.high > into.high) [into.high, into.highStep] = [from.high, from.highStep]
  if (into.lost === 0) into.lostValue = from.lostValue
  into.lost += from.lost
}

const FIELDS = 10

export class Curve {
  private kept: Stretch[] = []
  /** Values of a full stretch. */
  private width = 1

  /** In the order of their steps. */
  get stretches(): readonly Stretch[] {
    return this.kept
  }

  /** Most values that stand in one stretch; 1 where every value is kept. */
  get thinning(): number {
    return this.kept.reduce((most, stretch) => Math.max(most, sizeOf(stretch)), 1)
  }

  /** Notes a value; one of the same step is replaced while it stands alone. */
  add(step: number, value: number): void {
    const at = this.before(step)
    const stretch = this.kept[at]
    if (stretch && stretch.first === step && sizeOf(stretch) === 1) this.kept[at] = single(step, value)
    else if (stretch && (step <= stretch.last || (at === this.kept.length - 1 && sizeOf(stretch) < this.width)))
      absorb(stretch, single(step, value))
    else {
      this.kept.splice(at + 1, 0, single(step, value))
      if (this.kept.length > MOST_STRETCHES) this.halve()
    }
  }

  /** Forgets values behind `step`; a stretch that reaches beyond it is forgotten as a whole. */
  rewind(step: number): void {
    this.kept = this.kept.filter(({ last }) => last <= step)
  }

  /** The last stretch that does not begin behind `step`; -1 where all do. */
  private before(step: number): number {
    let low = -1
    let high = this.kept.length - 1
    while (low < high) {
      const middle = Math.ceil((low + high) / 2)
      if ((this.kept[middle] as Stretch).first <= step) low = middle
      else high = middle - 1
    }
    return low
  }

  private halve(): void {
    const halved: Stretch[] = []
    for (let i = 0; i < this.kept.length; i += 2) {
      const stretch = this.kept[i] as Stretch
      const next = this.kept[i + 1]
      if (next) absorb(stretch, next)
      halved.push(stretch)
    }
    this.kept = halved
    this.width *= 2
  }

  stored(): StoredStretch[] {
    return this.kept.map((s) => {
      if (sizeOf(s) === 1) return [s.first, s.lost ? String(s.lostValue) : s.mean]
      const [mean, low, high] = s.count > 0 ? [s.mean, s.low, s.high] : ['', '', '']
      return [
        s.first,
        s.last,
        s.count,
        mean,
        low,
        s.lowStep,
        high,
        s.highStep,
        s.lost,
        s.lost ? String(s.lostValue) : '',
      ]
    })
  }

  /** Throws `FormatError` for what `stored` does not give. */
  static from(rows: unknown, name: string, file: string): Curve {
    const wrong = (): FormatError =>
      new FormatError(`${file}: the curve '${name}' is not as a report of heddle has it`, file, name)
    if (!Array.isArray(rows) || rows.length > MOST_STRETCHES) throw wrong()
    const curve = new Curve()
    for (const row of rows) {
      const stretch = stretchOf(row)
      if (!stretch || stretch.first < (curve.kept.at(-1)?.first ?? 0)) throw wrong()
      curve.kept.push(stretch)
      // As it was: widths are powers of two, and only the last stretch may be shorter.
      while (curve.width < sizeOf(stretch)) curve.width *= 2
    }
    return curve
  }
}

const NOT_FINITE = ['NaN', 'Infinity', '-Infinity']
const isStep = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0

function stretchOf(row: unknown): Stretch | undefined {
  if (!Array.isArray(row)) return undefined
  if (row.length === 2) {
    const [step, value] = row
    if (!isStep(step) || !(Number.isFinite(value) || NOT_FINITE.includes(value))) return undefined
    return single(step, Number(value))
  }
  const [first, last, count, mean, low, lowStep, high, highStep, lost, lostValue] = row
  const steps = [first, last, count, lowStep, highStep, lost]
  if (row.length !== FIELDS || !steps.every(isStep) || last < first || count + lost < 2) return undefined
  if (![mean, low, high].every((value) => (count > 0 ? Number.isFinite(value) : value === ''))) return undefined
  if (!(lost > 0 ? NOT_FINITE.includes(lostValue) : lostValue === '')) return undefined
  if (count === 0) return { ...single(first, Number.NaN), last, lowStep, highStep, lost, lostValue: Number(lostValue) }
  return { first, last, count, mean, low, lowStep, high, highStep, lost, lostValue: Number(lostValue) }
}
