// Metrics against their definitions, over batches, compiled and not, and what they refuse.
import { describe, expect, it } from 'vitest'
import * as h from '../../lib/index.js'
import {
  Accuracy,
  AUC,
  Calibration,
  ConfusionMatrix,
  Mean,
  MeanAbsoluteError,
  MeanSquaredError,
  Perplexity,
  R2,
} from '../../lib/train/index.js'
import { generator } from '../ops/check.js'

const random = generator(11)
const drawn = (count: number): number[] => Array.from({ length: count }, random)
const classesOf = (count: number, classes: number): number[] => drawn(count).map((x) => Math.floor(x * classes))
const i32 = (values: readonly number[]): h.Tensor => h.tensor([...values], { dtype: 'i32' })
const rows = <T>(list: readonly T[], width: number): T[][] =>
  Array.from({ length: list.length / width }, (_, i) => list.slice(i * width, (i + 1) * width))

/** Two batches of 23 and 41 rows. */
const BATCHES = [23, 41]
const batched = (widths: readonly number[], lists: readonly number[][]): number[][][] => {
  let start = 0
  return BATCHES.map((count) => {
    const parts = lists.map((list, i) =>
      list.slice(start * (widths[i] as number), (start + count) * (widths[i] as number)),
    )
    start += count
    return parts
  })
}
const TOTAL = 64

/** Runs an update compiled, as evaluation loops do, and uncompiled; both give the same result. */
async function over<R>(
  make: () => { update(a: h.Tensor, b: h.Tensor): void; reset(): void; result(): Promise<R> },
  batches: readonly (readonly [h.Tensor, h.Tensor])[],
): Promise<R> {
  const metric = make()
  const step = h.compile((a: h.Tensor, b: h.Tensor) => {
    metric.update(a, b)
    return h.zeros([])
  })
  for (const [a, b] of batches) await step(a, b)
  const compiled = await metric.result()
  metric.reset()
  for (const [a, b] of batches) metric.update(a, b)
  expect(await metric.result()).toEqual(compiled)
  return compiled
}

describe('classification', () => {
  const scores = drawn(TOTAL * 5)
  const targets = classesOf(TOTAL, 5)
  const batches = batched([5, 1], [scores, targets]).map(
    ([s, t]) => [h.tensor(s as number[], { shape: [(t as number[]).length, 5] }), i32(t as number[])] as const,
  )

  it.each([1, 2, 5])('the share of targets among the best %i', async (topK) => {
    const wanted = rows(scores, 5).filter((row, i) => {
      const own = row[targets[i] as number] as number
      return row.filter((x) => x > own).length < topK
    }).length
    expect(await over(() => new Accuracy({ topK }), batches)).toBe(wanted / TOTAL)
  })

  it('leaves out ignored targets, and finds none whose score is NaN', async () => {
    const accuracy = new Accuracy({ ignoreIndex: -1 })
    accuracy.update(
      h.tensor([
        [1, 0],
        [1, 0],
        [Number.NaN, 0],
      ]),
      i32([0, -1, 0]),
    )
    expect(await accuracy.result()).toBe(0.5)
  })

  it('counts pairs of true and predicted classes', async () => {
    const { counts } = await over(() => new ConfusionMatrix(5), batches)
    const wanted = Array.from({ length: 5 }, () => new Array<number>(5).fill(0))
    rows(scores, 5).forEach((row, i) => {
      const of = wanted[targets[i] as number] as number[]
      const best = row.indexOf(Math.max(...row))
      of[best] = (of[best] as number) + 1
    })
    expect(counts).toEqual(wanted)
  })

  it('precision, recall and F1 as scikit-learn has them', async () => {
    // sklearn.metrics on targets [0,0,0,1,1,2,2,2,2] and predictions [0,1,0,1,1,2,0,2,2], four classes.
    const matrix = new ConfusionMatrix(4)
    const predictions = [0, 1, 0, 1, 1, 2, 0, 2, 2]
    matrix.update(
      h.tensor(predictions.map((p) => [0, 1, 2, 3].map((c) => (c === p ? 1 : 0)))),
      i32([0, 0, 0, 1, 1, 2, 2, 2, 2]),
    )
    const found = await matrix.result()
    const near = (a: readonly number[], b: readonly number[]): void =>
      a.forEach((x, i) => {
        expect(x).toBeCloseTo(b[i] as number, 12)
      })
    near(found.precision(), [2 / 3, 2 / 3, 1, 0])
    near(found.recall(), [2 / 3, 1, 3 / 4, 0])
    near(found.f1(), [2 / 3, 4 / 5, 6 / 7, 0])
    near(
      [found.accuracy, found.precision('micro'), found.recall('macro'), found.f1('weighted')],
      [7 / 9, 7 / 9, (2 / 3 + 1 + 3 / 4) / 4, (3 * (2 / 3) + 2 * (4 / 5) + 4 * (6 / 7)) / 9],
    )
  })

  it('fails the run for a class out of range, and counts nothing of it', async () => {
    const matrix = new ConfusionMatrix(2)
    const step = h.compile((scores: h.Tensor, targets: h.Tensor) => {
      matrix.update(scores, targets)
      return h.sum(scores)
    })
    const even = h.tensor([
      [1, 0],
      [1, 0],
    ])
    await (await step(even, i32([0, 1]))).item()
    for (const wrong of [2, -1]) await expect((await step(even, i32([0, wrong]))).item()).rejects.toThrow(/index -1/)
    expect((await matrix.result()).counts).toEqual([
      [1, 0],
      [1, 0],
    ])
  })
})

describe('regression', () => {
  const [p, t] = [drawn(TOTAL), drawn(TOTAL)]
  const batches = batched([1, 1], [p, t]).map(([a, b]) => [h.tensor(a as number[]), h.tensor(b as number[])] as const)
  const [pf, tf] = [p.map(Math.fround), t.map(Math.fround)]
  const mean = (list: readonly number[]): number => list.reduce((a, b) => a + b, 0) / list.length

  it('mean absolute and squared error', async () => {
    expect(await over(() => new MeanAbsoluteError(), batches)).toBeCloseTo(
      mean(pf.map((x, i) => Math.abs(x - (tf[i] as number)))),
      12,
    )
    expect(await over(() => new MeanSquaredError(), batches)).toBeCloseTo(
      mean(pf.map((x, i) => (x - (tf[i] as number)) ** 2)),
      12,
    )
  })

  it('the coefficient of determination', async () => {
    const centre = mean(tf)
    const wanted = 1 - mean(pf.map((x, i) => (x - (tf[i] as number)) ** 2)) / mean(tf.map((x) => (x - centre) ** 2))
    expect(await over(() => new R2(), batches)).toBeCloseTo(wanted, 11)
    const equal = new R2()
    equal.update(h.tensor([2, 2]), h.tensor([2, 2]))
    expect(await equal.result()).toBe(1)
    equal.update(h.tensor([3]), h.tensor([2]))
    expect(await equal.result()).toBe(0)
  })
})

describe('means', () => {
  it('are weighted', async () => {
    const loss = new Mean()
    loss.update(h.tensor(3), 2)
    loss.update(h.tensor(6))
    expect(await loss.result()).toBe(4)
    loss.reset()
    loss.update(h.tensor([1, 2]))
    expect(await loss.result()).toBe(1.5)
    expect(() => loss.update(h.tensor([1, 2]), 2)).toThrow(h.ArgumentError)
  })

  it('keep what f32 sums would lose', async () => {
    const loss = new Mean()
    for (let i = 0; i < 3; i++) loss.update(h.tensor(2 ** 24 + 2 * i))
    expect(await loss.result()).toBe(2 ** 24 + 2)
  })

  it('as perplexity', async () => {
    const perplexity = new Perplexity()
    perplexity.update(h.tensor([Math.log(2), Math.log(8)], { dtype: 'f64' }))
    expect(await perplexity.result()).toBeCloseTo(4, 12)
  })
})

describe('probabilities', () => {
  it('rank positives before negatives', async () => {
    // Multiples of 1/64: those that are equal meet in a bin, others do not.
    const p = drawn(TOTAL).map((x) => Math.floor(x * 64) / 64)
    const t = classesOf(TOTAL, 2)
    const batches = batched([1, 1], [p, t]).map(([a, b]) => [h.tensor(a as number[]), i32(b as number[])] as const)
    let won = 0
    let pairs = 0
    p.forEach((x, i) => {
      p.forEach((y, j) => {
        if (t[i] !== 1 || t[j] !== 0) return
        pairs++
        won += x > y ? 1 : x === y ? 0.5 : 0
      })
    })
    expect(await over(() => new AUC(), batches)).toBeCloseTo(won / pairs, 12)
    const coarse = await over(() => new AUC({ bins: 4 }), batches)
    expect(Math.abs(coarse - won / pairs)).toBeLessThan(0.5 / 4 + 0.1)
  })

  it('are calibrated where they say what happens', async () => {
    const confidence = [0.55, 0.95, 0.95, 0.95, 1]
    const right = [1, 1, 0, 1, 1]
    const calibration = new Calibration({ bins: 10 })
    calibration.update(h.tensor(confidence.map((p) => [p, 1 - p])), i32(right.map((r) => 1 - r)))
    const { error, bins } = await calibration.result()
    expect(bins.map(({ count }) => count)).toEqual([0, 0, 0, 0, 0, 1, 0, 0, 0, 4])
    expect(bins[9]?.confidence).toBeCloseTo((3 * 0.95 + 1) / 4, 6)
    expect(bins[9]?.accuracy).toBe(0.75)
    expect(error).toBeCloseTo((0.45 + 4 * ((3 * 0.95 + 1) / 4 - 0.75)) / 5, 6)
  })

  it('outside of 0 to 1 fail', async () => {
    for (const wrong of [-0.1, 1.1, Number.NaN]) {
      const auc = new AUC()
      auc.update(h.tensor([wrong]), i32([1]))
      await h.defaultDevice().synchronize()
      expect(await auc.result()).toBeNaN()
    }
  })
})

it('shapes that do not fit are told', () => {
  const [vector, matrix] = [h.zeros([3]), h.zeros([3, 2])]
  for (const update of [
    () => new Accuracy().update(vector, vector),
    () => new ConfusionMatrix(2).update(matrix, h.zeros([2], { dtype: 'i32' })),
    () => new ConfusionMatrix(3).update(matrix, h.zeros([3], { dtype: 'i32' })),
    () => new AUC().update(vector, matrix),
    () => new Calibration().update(vector, vector),
    () => new R2().update(vector, matrix),
  ])
    expect(update).toThrow(h.ShapeError)
})
