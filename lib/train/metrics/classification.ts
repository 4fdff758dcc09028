// How often predicted classes are the true ones.
import { integerFrom, oneOf } from '../../ops/arguments.js'
import { ones, zeros } from '../../ops/create.js'
import { add, cast, eq, gt, logicalAnd, lt, mul, ne, where } from '../../ops/element.js'
import { argmax, gather, scatterAdd } from '../../ops/gather.js'
import { sum } from '../../ops/reduce.js'
import { reshape, unsqueeze } from '../../ops/view.js'
import { ShapeError } from '../../runtime/errors.js'
import { formatShape, sameShape } from '../../schema/shape.js'
import type { Tensor } from '../../tensor.js'
import { Metric, only } from './metric.js'

function checkShapes(name: string, scores: Tensor, targets: Tensor): void {
  if (scores.shape.length > 0 && sameShape(scores.shape.slice(0, -1), targets.shape)) return
  throw new ShapeError(
    `${name}: scores [...,classes] take targets [...]; they are ${formatShape(scores.shape)} and ${formatShape(targets.shape)}`,
  )
}

export interface AccuracyOptions {
  /** A target counts as found where fewer than so many classes have a higher score. Default 1. */
  readonly topK?: number
  /** Targets that do not count. Default -100. */
  readonly ignoreIndex?: number
}

/** The share of targets among the classes with the highest scores. */
export class Accuracy extends Metric {
  private readonly topK: number
  private readonly ignoreIndex: number

  constructor({ topK = 1, ignoreIndex = -100 }: AccuracyOptions = {}) {
    super('Accuracy', { found: { dtype: 'i64' }, count: { dtype: 'i64' } })
    this.topK = integerFrom('Accuracy', 'topK', topK, 1)
    this.ignoreIndex = integerFrom('Accuracy', 'ignoreIndex', ignoreIndex, Number.MIN_SAFE_INTEGER)
  }

  /** Adds scores (logits or probabilities) [...,C] and targets [...] (i32 or i64). Throws `ShapeError`. */
  update(scores: Tensor, targets: Tensor): void {
    checkShapes('Accuracy', scores, targets)
    const counted = ne(targets, this.ignoreIndex)
    const index = unsqueeze(where(counted, targets, 0), -1)
    const own = gather(scores, index, { axis: scores.shape.length - 1 })
    const higher = sum(gt(scores, own), { axes: -1 })
    // A target whose score is NaN has not been found.
    const known = eq(reshape(own, targets.shape), reshape(own, targets.shape))
    this.add({ found: sum(logicalAnd(logicalAnd(counted, known), lt(higher, this.topK))), count: sum(counted) })
  }

  override async result(): Promise<number> {
    const { found, count } = await this.read()
    return only(found) / only(count)
  }
}

/** `macro`: the mean over classes; `weighted`: by how often each is a target; `micro`: over all targets together. */
export type Average = 'macro' | 'weighted' | 'micro'
const AVERAGES: readonly Average[] = ['macro', 'weighted', 'micro']

/** Counts of targets (rows) by what was predicted (columns), and the figures made of them. */
export class Confusion {
  constructor(readonly counts: readonly (readonly number[])[]) {}

  private hits(c: number): number {
    return this.counts[c]?.[c] as number
  }

  private targets(c: number): number {
    return (this.counts[c] as readonly number[]).reduce((a, b) => a + b, 0)
  }

  private predicted(c: number): number {
    return this.counts.reduce((a, row) => a + (row[c] as number), 0)
  }

  /** The share of targets that were predicted. */
  get accuracy(): number {
    const total = this.counts.reduce((a, _, c) => a + this.targets(c), 0)
    return this.counts.reduce((a, _, c) => a + this.hits(c), 0) / total
  }

  /** Of each class, or averaged: the share of its predictions that are right; 0 where there are none. */
  precision(): number[]
  precision(average: Average): number
  precision(average?: Average): number | number[] {
    return this.figure(average, (hits, predicted) => hits / predicted)
  }

  /** Of each class, or averaged: the share of its targets that are predicted; 0 where there are none. */
  recall(): number[]
  recall(average: Average): number
  recall(average?: Average): number | number[] {
    return this.figure(average, (hits, _, targets) => hits / targets)
  }

  /** Of each class, or averaged: the harmonic mean of precision and recall; 0 where there is neither. */
  f1(): number[]
  f1(average: Average): number
  f1(average?: Average): number | number[] {
    return this.figure(average, (hits, predicted, targets) => (2 * hits) / (predicted + targets))
  }

  private figure(
    average: Average | undefined,
    rule: (hits: number, predicted: number, targets: number) => number,
  ): number | number[] {
    const classes = this.counts.map((_, c) => c)
    const each = classes.map((c) => rule(this.hits(c), this.predicted(c), this.targets(c)) || 0)
    if (average === undefined) return each
    oneOf('Confusion', 'the average', average, AVERAGES)
    if (average === 'micro') return this.accuracy
    const weights = classes.map((c) => (average === 'macro' ? 1 : this.targets(c)))
    return each.reduce((a, x, c) => a + x * (weights[c] as number), 0) / weights.reduce((a, b) => a + b, 0)
  }
}

/** Counts of each pair of true and predicted class; precision, recall and F1 are made of them. */
export class ConfusionMatrix extends Metric<Confusion> {
  private readonly classes: number

  constructor(classes: number) {
    const count = integerFrom('ConfusionMatrix', 'classes', classes, 1)
    super('ConfusionMatrix', { counts: { shape: [count * count], dtype: 'i64' } })
    this.classes = count
  }

  /**
   * Adds scores [...,classes], of which the highest is the prediction, and targets [...] (i32 or i64). Throws `ShapeError`;
   * a target out of range fails the run.
   */
  update(scores: Tensor, targets: Tensor): void {
    checkShapes('ConfusionMatrix', scores, targets)
    if (scores.shape.at(-1) !== this.classes) {
      throw new ShapeError(
        `ConfusionMatrix: there are ${this.classes} classes, the scores are ${formatShape(scores.shape)}`,
      )
    }
    const rows = reshape(cast(targets, 'i32'), [targets.size])
    const columns = reshape(argmax(scores, { axis: -1 }), [targets.size])
    const empty = zeros([this.classes * this.classes], { dtype: 'i64' })
    // A target out of range must not be counted as another pair: it gets an index that is out of range for sure.
    const inside = logicalAnd(lt(rows, this.classes), gt(rows, -1))
    const index = where(inside, add(mul(rows, this.classes), columns), -1)
    this.add({ counts: scatterAdd(empty, index, ones([targets.size], { dtype: 'i64' }), { axis: 0 }) })
  }

  override async result(): Promise<Confusion> {
    const { counts = [] } = await this.read()
    const { classes } = this
    return new Confusion(Array.from({ length: classes }, (_, c) => counts.slice(c * classes, (c + 1) * classes)))
  }
}
