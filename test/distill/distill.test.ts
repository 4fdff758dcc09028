// Students learn from teachers: one, several, from disk; what is trained and what is not.
import { appendFile, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { DataLoader, dataset } from '../../lib/data/index.js'
import { cacheTeacher, distill, HiddenMatching, hiddenLoss, softTargets } from '../../lib/distill/index.js'
import {
  ArgumentError,
  crossEntropy,
  type nn,
  relu,
  seed,
  TeacherCacheError,
  type Tensor,
  tensor,
} from '../../lib/index.js'
import { Accuracy, train } from '../../lib/train/index.js'
import { adamw, dtypes, forward, labels, mlp, points } from './points.js'

let folder = ''
let teacher: nn.Sequential
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'heddle-distill-'))
  seed(1)
  teacher = mlp(32)
  await train(teacher, batches(), {
    loss: (model, batch) => crossEntropy(forward(model, batch), batch.inside),
    optimizer: adamw,
    epochs: 40,
    progress: false,
  })
})
afterAll(() => rm(folder, { recursive: true, force: true }))

const batches = (shuffle = false) => new DataLoader(points, { batchSize: 32, shuffle, dtypes })
const quiet = { optimizer: adamw, progress: false } as const
const bytesOf = async (model: nn.Module): Promise<string> =>
  JSON.stringify(Object.values(await model.stateDict()).map(({ data }) => [...(data as Float32Array)]))

/** The loss of a student's first step. */
const firstLoss = (history: readonly { readonly figures: Readonly<Record<string, number>> }[]): number =>
  history[0]?.figures['epoch/loss'] as number

describe('distill', () => {
  test('draws the student to the teacher, and leaves the teacher alone', async () => {
    seed(2)
    const student = mlp(8)
    const before = await bytesOf(teacher)
    teacher.train()
    const run = await distill(student, teacher, batches(true), {
      ...quiet,
      forward,
      labels,
      epochs: 40,
      validation: { data: batches(), metrics: { accuracy: new Accuracy() } },
    })
    expect(run.model).toBe(student)
    expect(Number(run.validation?.['accuracy'])).toBeGreaterThan(0.85)
    expect(run.history.at(-1)?.figures['epoch/loss']).toBeLessThan(firstLoss(run.history) / 2)
    expect(await bytesOf(teacher)).toBe(before)
    expect(teacher.training).toBe(true)
  })

  test('its loss is that of the formula', async () => {
    seed(4)
    const student = mlp(8)
    const all = { point: tensor(Float32Array.from(points.flatMap(({ point }) => [...point])), { shape: [256, 2] }) }
    const expected = Number(await softTargets(forward(student, all), forward(teacher, all), { temperature: 2 }).item())
    const whole = new DataLoader(points, { batchSize: 256, dtypes })
    const run = await distill(student, teacher, whole, { ...quiet, forward, temperature: 2, epochs: 1 })
    expect(firstLoss(run.history)).toBeCloseTo(expected, 5)
  })

  test('several teachers, by weight', async () => {
    seed(5)
    const [other, student] = [mlp(16), mlp(8)]
    const start = await student.stateDict()
    const whole = () => new DataLoader(points, { batchSize: 256, dtypes })
    const lossOf = async (teachers: readonly nn.Sequential[], weights?: readonly number[]): Promise<number> => {
      student.loadStateDict(start)
      const options = { ...quiet, forward, epochs: 1, combine: 'losses' as const }
      return firstLoss(
        (await distill(student, teachers, whole(), { ...options, ...(weights ? { weights } : {}) })).history,
      )
    }
    const [one, two] = [await lossOf([teacher]), await lossOf([other])]
    expect(await lossOf([teacher, other], [3, 1])).toBeCloseTo((3 * one + two) / 4, 5)
  })

  test('a loss of its own, with projections that are trained', async () => {
    seed(6)
    const student = mlp(8)
    const hidden = (model: nn.Sequential, { point }: { point: Tensor }) => {
      const state = relu((model[0] as nn.Linear).forward(point))
      return { logits: (model[2] as nn.Linear).forward(state), states: [state] }
    }
    const matching = new HiddenMatching([8], [32])
    const before = await bytesOf(matching)
    const run = await distill(student, teacher, batches(), {
      ...quiet,
      forward: hidden,
      loss: (mine, [theirs]) => matching.forward(mine.states, theirs.states),
      with: { matching },
      epochs: 10,
    }).catch((error: unknown) => error)
    // The last layer gets no gradient from hidden states: that is an error, not silence.
    expect(String(run)).toMatch(/does not depend on/)
    const second = await distill(student, teacher, batches(), {
      ...quiet,
      forward: hidden,
      loss: (mine, [theirs]) =>
        matching.forward(mine.states, theirs.states).add(softTargets(mine.logits, theirs.logits)),
      with: { matching },
      epochs: 10,
    })
    expect(await bytesOf(matching)).not.toBe(before)
    expect(second.history.at(-1)?.figures['epoch/loss']).toBeLessThan(firstLoss(second.history))
  })

  test('says what can not be', async () => {
    await expect(distill(teacher, teacher, batches(), { ...quiet, forward, epochs: 1 })).rejects.toThrow(
      /0\.weight of the student is a parameter of a teacher too/,
    )
    await expect(distill(mlp(4), [], batches(), { ...quiet, forward, epochs: 1 })).rejects.toThrow(ArgumentError)
    await expect(distill(mlp(4), teacher, batches(), { ...quiet, forward, hardShare: 0.5, epochs: 1 })).rejects.toThrow(
      /needs labels/,
    )
  })
})

describe('cacheTeacher', () => {
  const options = () => ({ folder: join(folder, 'cache'), forward, dtypes, progress: false }) as const

  test('runs the teacher once, and gives the student the same', async () => {
    let calls = 0
    const counted = (model: nn.Sequential, batch: { point: Tensor }): Tensor => {
      calls++
      return forward(model, batch)
    }
    const where = { ...options(), folder: join(folder, 'counted'), forward: counted }
    await using cache = await cacheTeacher(teacher, points, where)
    expect([cache.length, cache.computed]).toEqual([256, 256])
    const traced = calls
    await using again = await cacheTeacher(teacher, dataset(points), where)
    expect([again.computed, calls]).toEqual([0, traced])

    const seen = async (live: boolean): Promise<string> => {
      seed(7)
      const student = mlp(8)
      const common = { ...quiet, forward, labels, epochs: 3 }
      const loader = { batchSize: 32, shuffle: true, seed: 3, dtypes }
      if (live) await distill(student, teacher, new DataLoader(points, loader), common)
      else await distill(student, again, new DataLoader(again, loader), common)
      return bytesOf(student)
    }
    const [fromDisk, fromTeacher] = [await seen(false), await seen(true)].map((text) => JSON.parse(text) as number[][])
    fromDisk?.flat().forEach((x, i) => expect(x).toBeCloseTo((fromTeacher as number[][]).flat()[i] as number, 4))
    // The student's forward is another function; the teacher's was not called again.
    expect(calls).toBe(traced)
  })

  test('outputs follow their samples through selections', async () => {
    await using cache = await cacheTeacher(teacher, points, options())
    const chosen = cache.select([200, 3, 77])
    const logits = (await forward(teacher, {
      point: tensor(Float32Array.from([200, 3, 77].flatMap((i) => [...(points[i]?.point ?? [])])), { shape: [3, 2] }),
    }).data()) as Float32Array
    for await (const { teacher: found } of new DataLoader(chosen, { batchSize: 3, dtypes }))
      [...((await (found as Tensor).data()) as Float32Array)].forEach((x, i) =>
        expect(x).toBeCloseTo(logits[i] as number, 5),
      )
  })

  test('batches from elsewhere go through the teacher', async () => {
    await using cache = await cacheTeacher(teacher, points, options())
    const run = await distill(mlp(8), cache, new DataLoader(cache, { batchSize: 64, dtypes }), {
      ...quiet,
      forward,
      epochs: 1,
      validation: { data: batches() },
    })
    expect(Number(run.validation?.loss)).toBeGreaterThan(0)
  })

  test('several outputs, in lists too', async () => {
    seed(8)
    const outputs = (model: nn.Sequential, { point }: { point: Tensor }) => {
      const state = (model[0] as nn.Linear).forward(point)
      return { logits: (model[2] as nn.Linear).forward(relu(state)), states: [point, state] }
    }
    const where = { folder: join(folder, 'several'), dtypes, progress: false } as const
    await using cache = await cacheTeacher(teacher, points, { ...where, forward: outputs })
    const run = await distill(mlp(32), cache, new DataLoader(cache, { batchSize: 64, dtypes }), {
      ...quiet,
      forward: outputs,
      loss: (mine, [theirs]) =>
        hiddenLoss(mine.states[1] as Tensor, theirs.states[1] as Tensor).add(softTargets(mine.logits, theirs.logits)),
      epochs: 8,
    })
    expect(run.history.at(-1)?.figures['epoch/loss']).toBeLessThan(firstLoss(run.history))
  })

  test('what is of another teacher, other data or another function is an error', async () => {
    await (await cacheTeacher(teacher, points, options())).close()
    const manifest = await readFile(join(folder, 'cache/teacher.json'), 'utf8')
    seed(9)
    await expect(cacheTeacher(mlp(32), points, options())).rejects.toThrow(/the teacher: other weights/)
    const changed = points.map((sample, i) => (i === 100 ? { ...sample, inside: 1 - sample.inside } : sample))
    await expect(cacheTeacher(teacher, changed, options())).rejects.toThrow(/the data: 256 samples then, 256 now/)
    await expect(
      cacheTeacher(teacher, points, { ...options(), forward: (model, { point }) => model.forward(point).mul(2) }),
    ).rejects.toThrow(/forward: another function/)
    expect(await readFile(join(folder, 'cache/teacher.json'), 'utf8')).toBe(manifest)
  })

  test('samples that change from epoch to epoch are refused', async () => {
    const noisy = dataset(points).map((sample, { random }) => ({
      ...sample,
      point: sample.point.map((x) => x + random.uniform(0, 0.1)),
    }))
    await expect(cacheTeacher(teacher, noisy, { ...options(), folder: join(folder, 'noisy') })).rejects.toThrow(
      /sample 0 is another one in each epoch/,
    )
  })

  test('what was cut off is gone on with; what is damaged is said', async () => {
    const where = join(folder, 'cut')
    await (await cacheTeacher(teacher, points, { ...options(), folder: where })).close()
    const file = join(where, 'teacher.json')
    const manifest = JSON.parse(await readFile(file, 'utf8'))
    const first = { ...manifest, done: 0, shards: [] }
    await writeFile(file, JSON.stringify(first))
    await using cache = await cacheTeacher(teacher, points, { ...options(), folder: where })
    expect(cache.computed).toBe(256)
    expect((await readdir(where)).sort()).toEqual(['teacher-00001.safetensors', 'teacher.json'])
    await writeFile(file, JSON.stringify({ ...manifest, done: 300 }))
    await expect(cacheTeacher(teacher, points, { ...options(), folder: where })).rejects.toThrow(TeacherCacheError)
    await writeFile(file, JSON.stringify(manifest))
    await appendFile(join(where, 'teacher-00001.safetensors'), 'x')
    await expect(cacheTeacher(teacher, points, { ...options(), folder: where })).rejects.toThrow(TeacherCacheError)
  })
})
