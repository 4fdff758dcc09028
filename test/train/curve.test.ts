// Curves of reports: what is kept of many values, out of order, not finite, forgotten, and read back.
import { describe, expect, it } from 'vitest'
import { FormatError } from '../../lib/index.js'
import { bestValues, chartsOf } from '../../lib/train/report/charts.js'
import { Curve, MOST_STRETCHES } from '../../lib/train/report/curve.js'

const again = (curve: Curve): Curve => Curve.from(JSON.parse(JSON.stringify(curve.stored())), 'a', 'a.html')

function curveOf(values: Iterable<readonly [number, number]>): Curve {
  const curve = new Curve()
  for (const [step, value] of values) curve.add(step, value)
  return curve
}

describe('a curve', () => {
  it('keeps each value while there is room', () => {
    const rows = Array.from({ length: MOST_STRETCHES }, (_, i) => [i * 3, Math.sin(i)] as const)
    const curve = curveOf(rows)
    expect(curve.stored()).toEqual(rows)
    expect(curve.thinning).toBe(1)
  })

  it('keeps count, least, greatest and mean of every stretch of many values, and where the extremes are', () => {
    const values = Array.from({ length: 100_000 }, (_, i) => Math.sin(i * 0.7) + (i === 77_777 ? 50 : 0))
    const curve = curveOf(values.entries())
    const { stretches } = curve
    expect(stretches.length).toBeLessThanOrEqual(MOST_STRETCHES)
    expect(stretches.length).toBeGreaterThan(MOST_STRETCHES / 4)
    let next = 0
    for (const { first, last, count, mean, low, lowStep, high, highStep, lost } of stretches) {
      const within = values.slice(first, last + 1)
      expect([first, count, lost]).toEqual([next, within.length, 0])
      expect([low, high]).toEqual([Math.min(...within), Math.max(...within)])
      expect([values[lowStep], values[highStep]]).toEqual([low, high])
      expect(mean).toBeCloseTo(within.reduce((a, b) => a + b) / within.length, 10)
      next = last + 1
    }
    expect(next).toBe(values.length)
    expect(curve.thinning).toBe(64)
    expect(again(curve).stored()).toEqual(curve.stored())
  })

  it('goes on after it was read back as if it had not been', () => {
    const rows = Array.from({ length: 9000 }, (_, i) => [i, (i * 7919) % 101] as const)
    for (const stop of [1, 1999, 2000, 2001, 4001, 5003]) {
      const curve = again(curveOf(rows.slice(0, stop)))
      for (const [step, value] of rows.slice(stop)) curve.add(step, value)
      const whole = curveOf(rows)
      expect(curve.stretches.map(({ first, last, count }) => [first, last, count])).toEqual(
        whole.stretches.map(({ first, last, count }) => [first, last, count]),
      )
    }
  })

  it('replaces a value of the same step, and puts an earlier one in its place', () => {
    const curve = curveOf([
      [5, 1],
      [9, 2],
      [5, 3],
      [7, 4],
      [0, 5],
    ])
    expect(curve.stored()).toEqual([
      [0, 5],
      [5, 3],
      [7, 4],
      [9, 2],
    ])
  })

  it('has gaps where values are not finite', () => {
    const curve = curveOf([
      [0, 1],
      [1, Number.NaN],
      [2, Number.NEGATIVE_INFINITY],
    ])
    expect(curve.stored()).toEqual([
      [0, 1],
      [1, 'NaN'],
      [2, '-Infinity'],
    ])
    expect(again(curve).stretches).toEqual(curve.stretches)
    const long = curveOf(Array.from({ length: 5000 }, (_, i) => [i, i < 100 ? Number.NaN : i === 200 ? 1 / 0 : 1]))
    expect(long.stretches.reduce((sum, { lost }) => sum + lost, 0)).toBe(101)
    expect(long.stretches[0]).toMatchObject({ count: 0, lost: long.thinning, lostValue: Number.NaN })
    expect(long.stretches.every(({ count, mean }) => count === 0 || mean === 1)).toBe(true)
    expect(again(long).stored()).toEqual(long.stored())
  })

  it('takes the greatest numbers', () => {
    const curve = curveOf(Array.from({ length: 3000 }, (_, i) => [i, Number.MAX_VALUE * (i % 2 ? 1 : 0.5)]))
    for (const { mean } of curve.stretches) expect(Number.isFinite(mean)).toBe(true)
  })

  it('forgets what comes behind a step', () => {
    const curve = curveOf(Array.from({ length: 10 }, (_, i) => [i, i]))
    curve.rewind(4)
    expect(curve.stored().map(([step]) => step)).toEqual([0, 1, 2, 3, 4])
    const long = curveOf(Array.from({ length: 50_000 }, (_, i) => [i, i]))
    long.rewind(30_010)
    const { last } = long.stretches.at(-1) ?? { last: Number.NaN }
    expect(last).toBeLessThanOrEqual(30_010)
    expect(last).toBeGreaterThan(30_010 - long.thinning)
  })

  it.each([
    ['no list', {}],
    ['a row of one', [[1]]],
    ['a negative step', [[-1, 1]]],
    ['a text that is no number', [[1, 'x']]],
    ['no value', [[1, null]]],
    [
      'steps out of order',
      [
        [2, 1],
        [1, 1],
      ],
    ],
    ['a stretch that ends before it begins', [[5, 2, 2, 1, 1, 5, 1, 5, 0, '']]],
    ['a stretch without its mean', [[1, 2, 2, null, 1, 1, 1, 2, 0, '']]],
    ['too many rows', Array.from({ length: MOST_STRETCHES + 1 }, (_, i) => [i, 1])],
  ])('is not read from %s', (_, rows) => {
    expect(() => Curve.from(rows, 'a', 'a.html')).toThrow(FormatError)
  })
})

describe('charts', () => {
  it('are one per measure with a line per group, the machine last', () => {
    const names = [
      'time/step ms',
      'train/loss',
      'memory/allocated bytes',
      'lr',
      'validation/loss',
      'train/head/loss',
      'time/data ms',
      'rate/steps per second',
      'memory/reserved bytes',
      'time/wait seconds',
    ]
    const lines = (chart: { lines: readonly { label: string }[] }): string => chart.lines.map((l) => l.label).join()
    expect(chartsOf(names).map((chart) => [chart.title, chart.unit, lines(chart)])).toEqual([
      ['loss', '', 'train,validation'],
      ['lr', '', 'lr'],
      ['head/loss', '', 'train'],
      ['steps per second', '', 'steps per second'],
      ['time', 'ms', 'step,data'],
      ['time', 's', 'wait'],
      ['memory', 'MiB', 'allocated,reserved'],
    ])
    expect(chartsOf(['memory/allocated bytes'])[0]?.divisor).toBe(2 ** 20)
  })

  it('know the best values of validations, and give both ends where the name does not say', () => {
    const curve = (...values: number[]): Curve => curveOf(values.map((value, i) => [10 * i, value] as const))
    const best = bestValues(
      new Map([
        ['train/loss', curve(1)],
        ['validation/loss', curve(3, 1, Number.NaN, 2)],
        ['validation/accuracy', curve(0.5, 0.9, 0.8)],
        ['val/margin', curve(2, -1)],
        ['validation/error', curve(Number.NaN)],
      ]),
    )
    expect(best.map(({ name, which, value, step, latest }) => [name, which, value, step, latest])).toEqual([
      ['validation/loss', 'lowest', 1, 10, 2],
      ['validation/accuracy', 'highest', 0.9, 10, 0.8],
      ['val/margin', 'lowest', -1, 10, -1],
      ['val/margin', 'highest', 2, 0, -1],
    ])
  })
})
