// Losses of distillation beside PyTorch's: values, gradients by the student, none by the teacher.
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import {
  attentionTransfer,
  contrastive,
  contrastiveRepresentation,
  distillationLoss,
  divergence,
  evenlySpread,
  HiddenMatching,
  hiddenLoss,
  relationalAngles,
  relationalDistances,
  relationTransfer,
  similarityPreserving,
  softTargets,
} from '../../lib/distill/index.js'
import { ArgumentError, grad, ShapeError, seed, type Tensor, tensor } from '../../lib/index.js'

type Reference = Record<string, { readonly loss: number; readonly gradient: readonly number[] }>
// Made by reference/losses.py.
const reference = JSON.parse(readFileSync(new URL('reference/losses.json', import.meta.url), 'utf8')) as Reference

/** As in losses.py. */
function values(shape: readonly number[], phase: number): Tensor {
  const count = shape.reduce((a, b) => a * b, 1)
  return tensor(
    Float64Array.from({ length: count }, (_, i) => 2 * Math.cos(i * 0.7 + phase)),
    { shape },
  )
}

const [S, T, U] = [values([4, 5], 0.3), values([4, 5], 1.9), values([4, 5], 2.6)]
const mask = tensor([
  [1, 1, 1],
  [1, 1, 0],
])
const labels = tensor([0, 3, 1, 4], { dtype: 'i32' })

type Case = readonly [student: Tensor, teachers: readonly Tensor[], loss: (s: Tensor, ...t: Tensor[]) => Tensor]
const wide = values([4, 7], 1.3)
const CASES: Readonly<Record<string, Case>> = {
  softTargets: [S, [T], (s, t) => softTargets(s, t as Tensor, { temperature: 3 })],
  'softTargets, two teachers by probabilities': [
    S,
    [T, U],
    (s, ...t) => softTargets(s, t, { temperature: 2, weights: [3, 1] }),
  ],
  'softTargets, two teachers by losses': [
    S,
    [T, U],
    (s, ...t) => softTargets(s, t, { temperature: 2, weights: [3, 1], combine: 'losses' }),
  ],
  distillationLoss: [S, [T], (s, t) => distillationLoss(s, t as Tensor, labels, { hardShare: 0.3 })],
  'divergence, reverse': [S, [T], (s, t) => divergence(s, t as Tensor, { kind: 'reverse' })],
  'divergence, Jensen-Shannon': [S, [T], (s, t) => divergence(s, t as Tensor, { kind: 'jensenShannon', beta: 0.3 })],
  'divergence, masked': [
    values([2, 3, 5], 0.1),
    [values([2, 3, 5], 1.1)],
    (s, t) => divergence(s, t as Tensor, { mask }),
  ],
  hiddenLoss: [S, [T], (s, t) => hiddenLoss(s, t as Tensor)],
  attentionTransfer: [
    values([2, 3, 4, 4], 0.2),
    [values([2, 5, 4, 4], 0.9)],
    (s, t) => attentionTransfer(s, t as Tensor),
  ],
  relationTransfer: [
    values([2, 3, 8], 0.2),
    [values([2, 3, 12], 0.9)],
    (s, t) => relationTransfer(s, t as Tensor, { heads: 2 }),
  ],
  'relationTransfer, masked': [
    values([2, 3, 8], 0.2),
    [values([2, 3, 12], 0.9)],
    (s, t) => relationTransfer(s, t as Tensor, { heads: 4, mask }),
  ],
  similarityPreserving: [values([4, 2, 3], 0.5), [wide], (s, t) => similarityPreserving(s, t as Tensor)],
  relationalDistances: [S, [wide], (s, t) => relationalDistances(s, t as Tensor)],
  relationalAngles: [S, [wide], (s, t) => relationalAngles(s, t as Tensor)],
  contrastive: [S, [T], (s, t) => contrastive(s, t as Tensor, { temperature: 0.5 })],
  'contrastive, with negatives': [
    S,
    [T],
    (s, t) => contrastive(s, t as Tensor, { temperature: 0.5, negatives: values([3, 5], 3.1) }),
  ],
  contrastiveRepresentation: [
    S,
    [T],
    (s, t) => contrastiveRepresentation(s, t as Tensor, { temperature: 0.5, samples: 100 }),
  ],
}

describe('losses beside PyTorch', () => {
  test('every case has a reference', () => expect(Object.keys(CASES).sort()).toEqual(Object.keys(reference).sort()))

  test.each(Object.entries(CASES))('%s', async (name, [student, teachers, loss]) => {
    const value = loss(student, ...teachers)
    // Before anything is read: what is read lets its history go.
    const gradients = grad(value, [student, ...teachers], { missing: 'zero' })
    const expected = reference[name] as Reference[string]
    expect(Math.abs(Number(await value.item()) - expected.loss)).toBeLessThan(1e-9)
    const found = [...((await gradients.get(student).data()) as Float64Array)]
    found.forEach((x, i) => expect(Math.abs(x - (expected.gradient[i] as number))).toBeLessThan(1e-9))
    for (const teacher of teachers)
      expect((await gradients.get(teacher).data()).every((x) => Number(x) === 0)).toBe(true)
  })
})

test('hidden states of another width go through learned projections', async () => {
  seed(3)
  expect(evenlySpread(3, 6)).toEqual([1, 3, 5])
  const matching = new HiddenMatching([3, 4], [4, 4, 4, 4])
  // Of two pairs, one has equal widths.
  expect(matching.parameters()).toHaveLength(2)
  const student = [values([2, 5, 3], 0), values([2, 5, 4], 1)]
  const teacher = [2, 3, 4, 5].map((phase) => values([2, 5, 4], phase))
  const projected = matching.projections[0]?.forward(student[0] as Tensor) as Tensor
  const expected = [hiddenLoss(projected, teacher[1] as Tensor), hiddenLoss(student[1] as Tensor, teacher[3] as Tensor)]
  const loss = matching.forward(student, teacher)
  const gradients = grad(loss, [...matching.parameters(), ...teacher], { missing: 'zero' })
  const sums = await Promise.all(expected.map((one) => one.item()))
  expect(Number(await loss.item())).toBeCloseTo(Number(sums[0]) + Number(sums[1]), 6)
  for (const parameter of matching.parameters())
    expect((await gradients.get(parameter).data()).some((x) => Number(x) !== 0)).toBe(true)
  for (const one of teacher) expect((await gradients.get(one).data()).every((x) => Number(x) === 0)).toBe(true)
  expect(() => new HiddenMatching([3], [4], { pairs: [[0, 1]] })).toThrow(ArgumentError)
  expect(() => matching.forward([values([2, 4, 3], 0), student[1] as Tensor], teacher)).toThrow(
    /differ in more than their width/,
  )
})

test('channels come first in convolutions', async () => {
  const matching = new HiddenMatching([3], [3], { channelsFirst: true })
  const [a, b] = [values([2, 3, 4, 4], 0), values([2, 3, 4, 4], 1)]
  expect(Number(await matching.forward([a], [b]).item())).toBeCloseTo(Number(await hiddenLoss(a, b).item()), 12)
})

test('what does not fit is said', () => {
  expect(() => softTargets(S, wide)).toThrow(ShapeError)
  expect(() => softTargets(S, T, { temperature: 0 })).toThrow(ArgumentError)
  expect(() => softTargets(S, [T, U], { weights: [1] })).toThrow(/2 teachers take as many weights/)
  expect(() => divergence(S, T, { kind: 'jensenShannon', beta: 1 })).toThrow(ArgumentError)
  expect(() => relationTransfer(values([2, 3, 8], 0), values([2, 3, 12], 0), { heads: 5 })).toThrow(/do not divide/)
  expect(() => contrastive(S, wide)).toThrow(/put a Linear behind/)
  expect(() => attentionTransfer(values([2, 3, 4], 0), values([2, 3, 5], 0))).toThrow(ShapeError)
})
