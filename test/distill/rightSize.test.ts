// Right-sizing: what is measured, the Pareto front and the pick.
import { expect, test } from 'vitest'
import { narrow, rightSize } from '../../lib/distill/index.js'
import { paretoFront } from '../../lib/distill/tradeoffs.js'
import { ArgumentError, type nn, randomNormal, seed } from '../../lib/index.js'
import { mlp } from './points.js'

const common = {
  forward: (model: nn.Sequential, { point }: { point: ReturnType<typeof randomNormal> }) => model.forward(point),
  repeats: 5,
  progress: false,
} as const

test('the front holds what nobody beats', () => {
  const list = [
    { accuracy: 0.9, bytes: 100, latencyMs: 3 },
    { accuracy: 0.9, bytes: 100, latencyMs: 2 },
    { accuracy: 0.8, bytes: 50, latencyMs: 4 },
    { accuracy: 0.7, bytes: 60, latencyMs: 5 },
    { accuracy: 0.95, bytes: 500, latencyMs: 9 },
  ]
  expect(paretoFront(list)).toEqual([false, true, true, false, true])
  // Equals stand beside one another.
  expect(paretoFront([list[0], list[0]] as never)).toEqual([true, true])
})

test('candidates are measured, and the budget picks', async () => {
  seed(1)
  const teacher = mlp(64)
  teacher.train()
  const made: string[] = []
  let printed = ''
  const accuracies = new Map([
    ['whole', 0.9],
    ['half', 0.88],
    ['tiny', 0.5],
  ])
  const widths = new Map<nn.Sequential, string>()
  const candidate = (name: string, make: () => nn.Sequential | Promise<nn.Sequential>) => async () => {
    made.push(name)
    const model = await make()
    widths.set(model, name)
    return model
  }
  const options = {
    ...common,
    candidates: {
      whole: candidate('whole', () => teacher),
      half: candidate('half', () => narrow(teacher, 0.5)),
      tiny: candidate('tiny', () => mlp(2)),
    },
    evaluate: (model: nn.Sequential) => accuracies.get(widths.get(model) as string) as number,
    input: { point: randomNormal([1, 2]) },
    print: { write: (text: string) => (printed += text) },
  }
  const { table, pick, text, front } = await rightSize({ ...options, budget: { bytes: 700 } })
  expect(made).toEqual(['whole', 'half', 'tiny'])
  const parameters = [64 * 2 + 64 + 2 * 64 + 2, 32 * 2 + 32 + 2 * 32 + 2, 2 * 2 + 2 + 2 * 2 + 2]
  expect(table.map((one) => one.parameters)).toEqual(parameters)
  expect(table.map(({ bytes }) => bytes)).toEqual(parameters.map((count) => 4 * count))
  expect(table.map(({ withinBudget }) => withinBudget)).toEqual([false, true, true])
  for (const {
    latencyMs,
    latencyQuartilesMs: [low, high],
  } of table) {
    expect(low).toBeGreaterThan(0)
    expect(low <= latencyMs && latencyMs <= high).toBe(true)
  }
  expect(pick?.name).toBe('half')
  expect(printed).toBe(text)
  expect(text).toMatch(/^half +0\.8800 +648 B +162 .*pick$/m)
  expect(text).toMatch(/^whole .*over budget$/m)
  expect(front.map(({ latencyMs }) => latencyMs)).toEqual(front.map(({ latencyMs }) => latencyMs).sort((a, b) => a - b))
  expect(teacher.training).toBe(false)

  const byBytes = await rightSize({ ...options, budget: { accuracy: 0.6 }, prefer: 'bytes' })
  expect(byBytes.pick?.name).toBe('half')
  const none = await rightSize({ ...options, budget: { accuracy: 0.99 } })
  expect(none.pick).toBeUndefined()
  expect(none.text).toMatch(/no candidate is within the budget/)
  const quantised = await rightSize({
    ...options,
    bytes: (model) => (widths.get(model) === 'whole' ? 1 : 1000),
    budget: { bytes: 10 },
  })
  expect(quantised.pick?.name).toBe('whole')
})

test('what can not be is said', async () => {
  const options = { ...common, evaluate: () => 1, input: { point: randomNormal([1, 2]) }, print: false }
  await expect(rightSize({ ...options, candidates: {} })).rejects.toThrow(ArgumentError)
  await expect(rightSize({ ...options, candidates: { a: () => 3 as never } })).rejects.toThrow(
    /'a' gave .*not a module/,
  )
  await expect(rightSize({ ...options, candidates: { a: () => mlp(2) }, evaluate: () => Number.NaN })).rejects.toThrow(
    /evaluate gave number NaN/,
  )
  await expect(
    rightSize({ ...options, candidates: { a: () => mlp(2) }, signal: AbortSignal.abort(new Error('enough')) }),
  ).rejects.toThrow('enough')
})
