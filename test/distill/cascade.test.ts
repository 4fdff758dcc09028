// Cascades: calibration, thresholds, and who answers what.
import { describe, expect, test } from 'vitest'
import { confidenceOf, lowerBound, negativeLogLikelihood, probabilitiesOf } from '../../lib/distill/calibration.js'
import { cascade, fitTemperature } from '../../lib/distill/index.js'
import { chooseThreshold, type Judged } from '../../lib/distill/threshold.js'
import { ArgumentError, nn, type Tensor } from '../../lib/index.js'

describe('calibration', () => {
  // Logits 3 times as large as those of the labels' true probabilities.
  const classes = 3
  const count = 3000
  const data = new Float64Array(count * classes)
  const labels = Array.from({ length: count }, (_, row) => {
    const logits = [0, 1, 2].map((i) => 2 * Math.sin(row * 12.9898 + i * 78.233))
    const total = logits.reduce((sum, x) => sum + Math.exp(x), 0)
    let left = Math.abs((Math.sin(row * 4.1414) * 43758.5453) % 1)
    data.set(
      logits.map((x) => 3 * x),
      row * classes,
    )
    return Math.max(
      0,
      logits.findIndex((x) => (left -= Math.exp(x) / total) < 0),
    )
  })

  test('the temperature is the one at which labels are most likely', () => {
    const rows = { data, classes }
    const found = fitTemperature(rows, labels)
    expect(found).toBeGreaterThan(2.7)
    expect(found).toBeLessThan(3.3)
    const best = negativeLogLikelihood(rows, labels, found)
    for (const other of [1, found * 0.97, found * 1.03])
      expect(negativeLogLikelihood(rows, labels, other)).toBeGreaterThan(best)
    expect(() => fitTemperature({ data: [], classes: 3 }, [])).toThrow(ArgumentError)
  })

  test('probabilities and confidences', () => {
    const given = probabilitiesOf({ data: [9, 9, 9, Math.log(4), Math.log(1), Math.log(1)], classes: 3 }, 1, 2)
    expect([...given].map((p) => Number(p.toFixed(12)))).toEqual([0.5, 0.25, 0.25])
    expect(confidenceOf(given, 'probability')).toBeCloseTo(0.5, 12)
    expect(confidenceOf(given, 'margin')).toBeCloseTo(0.25, 12)
    expect(confidenceOf(given, 'entropy')).toBeCloseTo(1 - (1.5 * Math.LN2) / Math.log(3), 12)
    expect(confidenceOf(Float64Array.of(0.5, 0.5), 'margin')).toBe(0)
  })

  test("Wilson's lower bound", () => {
    // statsmodels: proportion_confint(90, 100, alpha=0.1, method='wilson')[0]
    const z = 1.6448536269514722
    const expected = (0.9 + (z * z) / 200 - z * Math.sqrt(0.09 / 100 + (z * z) / 40000)) / (1 + (z * z) / 100)
    expect(lowerBound(90, 100, 0.95)).toBeCloseTo(expected, 9)
    expect(lowerBound(100, 100, 0.95)).toBeLessThan(1)
  })
})

describe('thresholds', () => {
  // From sure to unsure: the small model errs at 0.6 and 0.4, the large one at 0.4 and 0.2.
  const samples: Judged[] = [
    { confidence: 0.9, smallRight: true, largeRight: true },
    { confidence: 0.8, smallRight: true, largeRight: true },
    { confidence: 0.6, smallRight: false, largeRight: true },
    { confidence: 0.4, smallRight: false, largeRight: false },
    { confidence: 0.2, smallRight: true, largeRight: false },
  ]

  test('as few for the large model as the target allows', () => {
    expect(chooseThreshold('x', samples, { below: 0 }, undefined)).toMatchObject({
      largeShare: 0,
      accuracy: 0.6,
      threshold: 0,
    })
    const more = [...samples.slice(0, 4), { confidence: 0.2, smallRight: false, largeRight: true }]
    expect(chooseThreshold('x', more, { accuracy: 0.8 }, undefined)).toMatchObject({
      largeShare: 0.6,
      threshold: (0.8 + 0.6) / 2,
    })
    expect(() => chooseThreshold('x', more, { accuracy: 0.9 }, undefined)).toThrow(/the best is 0\.8000/)
  })

  test('the best for a share of the large model', () => {
    expect(chooseThreshold('x', samples, { largeShare: 0 }, undefined).threshold).toBe(0)
    const found = chooseThreshold('x', samples, { largeShare: 0.7 }, undefined)
    // Sending 0.6 and below is no better than sending none: 0.6 of all are right either way.
    expect(found).toMatchObject({ accuracy: 0.6, largeShare: 0 })
  })

  test('samples that are as sure go together', () => {
    const tied = samples.map((one) => ({ ...one, confidence: 0.5 }))
    expect([0, 1]).toContain(chooseThreshold('x', tied, { accuracy: 0.5 }, undefined).largeShare)
  })

  test('a bound asks the large model more often', () => {
    const many = Array.from(
      { length: 400 },
      (_, i): Judged => ({ confidence: i / 400, smallRight: i > 40 || i % 2 === 0, largeRight: true }),
    )
    const [held, bounded] = [undefined, 0.95].map((level) => chooseThreshold('x', many, { accuracy: 0.97 }, level))
    expect(held?.largeShare).toBeLessThan(bounded?.largeShare as number)
    expect(bounded?.accuracyAtLeast).toBeGreaterThanOrEqual(0.97)
    expect(() => chooseThreshold('x', many.slice(0, 20), { accuracy: 0.97 }, 0.95)).toThrow(/with confidence 0.95/)
  })
})

describe('cascade', () => {
  const samples = Array.from({ length: 200 }, (_, i) => {
    const x = Math.sin(i * 12.9898)
    return { x: Float32Array.of(x), label: Number(x + 0.2 * Math.cos(i * 3.7) > 0), hint: x + 0.2 * Math.cos(i * 3.7) }
  })
  /** Logits -k v and k v of one of the fields. */
  class Reader extends nn.Module {
    calls = 0
    readonly scale = new nn.Linear(1, 2, { bias: false })
    constructor(
      readonly field: 'x' | 'hint',
      scale: number,
    ) {
      super()
      this.scale.weight.write(Float32Array.of(-scale, scale))
    }
    read(batch: { x: Tensor; hint: Tensor }): Tensor {
      return this.scale.forward(this.field === 'x' ? batch.x : batch.hint.reshape(-1, 1))
    }
  }
  const make = (target: Parameters<typeof cascade>[0]['target'], extra = {}) =>
    cascade({
      small: new Reader('x', 5),
      large: new Reader('hint', 50),
      forward: (model: Reader, batch: { x: Tensor; hint: Tensor }) => model.read(batch),
      heldOut: samples.slice(0, 100),
      label: ({ label }) => label,
      target,
      batchSize: 32,
      cost: { small: 1, large: 10 },
      ...extra,
    })

  test('hard samples go to the large model, and the counts say so', async () => {
    const pair = await make({ below: 0 })
    expect(pair.chosen.largeAccuracy).toBe(1)
    expect(pair.chosen.smallAccuracy).toBeLessThan(1)
    expect(pair.chosen.accuracy).toBe(1)
    expect(pair.chosen.largeShare).toBeGreaterThan(0)
    expect(pair.chosen.largeShare).toBeLessThan(0.5)
    for (const one of [pair.calibration.small, pair.calibration.large])
      expect(one.after).toBeLessThanOrEqual(one.before)

    const found = await pair.predict(samples.slice(100))
    expect(found.counts.small + found.counts.large).toBe(100)
    expect(found.counts.large).toBe(found.byLarge.reduce((a, b) => a + b, 0))
    found.byLarge.forEach((large, i) =>
      expect(large === 1).toBe((found.confidence[i] as number) < Math.fround(pair.threshold)),
    )
    // Those the large model answered are right.
    found.classes.forEach((one, i) => {
      if (found.byLarge[i]) expect(one).toBe(samples[100 + i]?.label)
    })
    expect(found.cost).toBe(100 + 10 * found.counts.large)
    expect(found.costShare).toBeCloseTo(found.cost / 1000, 12)
    for (let row = 0; row < 100; row++) {
      const [p, q] = found.probabilities.subarray(2 * row, 2 * row + 2) as unknown as [number, number]
      expect(p + q).toBeCloseTo(1, 5)
      expect(found.classes[row]).toBe(Number(q > p))
    }
    expect((await pair.predict([])).counts).toEqual({ small: 0, large: 0 })
  })

  test('by share, margin and entropy', async () => {
    for (const confidence of ['probability', 'margin', 'entropy'] as const) {
      const pair = await make({ largeShare: 0.1 }, { confidence })
      expect(pair.chosen.largeShare).toBeLessThanOrEqual(0.1)
      expect(pair.chosen.accuracy).toBeGreaterThan(pair.chosen.smallAccuracy)
    }
  })

  test('an abort ends it', async () => {
    const pair = await make({ largeShare: 0.5 })
    await expect(pair.predict(samples, { signal: AbortSignal.abort(new Error('enough')) })).rejects.toThrow('enough')
    const later = new AbortController()
    const running = pair.predict(samples, { signal: later.signal })
    later.abort(new Error('later'))
    await expect(running).rejects.toThrow('later')
  })

  test('what does not fit is said', async () => {
    await expect(make({} as never)).rejects.toThrow(/the target is one of/)
    await expect(make({ accuracy: 2 })).rejects.toThrow(ArgumentError)
    await expect(make({ below: 0 }, { label: () => 7 })).rejects.toThrow(/a label is number 7; classes are 0 to 1/)
    await expect(make({ below: 0 }, { heldOut: [] })).rejects.toThrow(ArgumentError)
  })
})
