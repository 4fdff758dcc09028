// Checkpoints: what is saved is loaded, damage is found, failures of the disk leave what was there.
import { execFileSync } from 'node:child_process'
import { mkdir, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { CheckpointError } from '../../lib/index.js'
import { type CheckpointContent, CheckpointStore, loadCheckpoint, saveCheckpoint } from '../../lib/io/index.js'
import { temporaryFolder } from './folder.js'
import { intercept } from './intercept.js'
import { bytesOfAll, generator, oneOfEach, randomTensor } from './tensors.js'

const small = (step: number): CheckpointContent => ({
  tensors: { model: { w: { dtype: 'f32', shape: [2], data: Float32Array.of(step, -step) } } },
  json: { step },
})

const storeIn = (root: string, options = {}): [CheckpointStore, CheckpointError[]] => {
  const problems: CheckpointError[] = []
  return [new CheckpointStore(root, { ...options, onProblem: (error) => problems.push(error) }), problems]
}

const filesIn = async (folder: string): Promise<string[]> => (await readdir(folder)).sort()

describe('one checkpoint', () => {
  test('groups, JSON and metrics come back, NaN among them', async () => {
    const folder = join(await temporaryFolder(), 'a')
    const tensors = { model: oneOfEach(1), 'optimizer.0': oneOfEach(2), ema: {} }
    const json = { schedule: { name: 'cosine', done: [1, 2.5, null] }, scaler: 65536, note: 'ü' }
    await saveCheckpoint(folder, { tensors, json }, { step: 7, metrics: { loss: Number.NaN, best: -1e-300 } })
    const read = await loadCheckpoint(folder)
    expect(read).toMatchObject({ step: 7, json, metrics: { loss: Number.NaN, best: -1e-300 } })
    expect(Object.keys(read.tensors).sort()).toEqual(['ema', 'model', 'optimizer.0'])
    for (const [group, state] of Object.entries(tensors))
      expect(bytesOfAll(read.tensors[group] ?? {})).toEqual(bytesOfAll(state))
  })

  test('what can not be saved is said before anything is written', async () => {
    const root = await temporaryFolder()
    const folder = join(root, 'a')
    const save = (content: unknown, options = {}): Promise<void> =>
      saveCheckpoint(folder, content as CheckpointContent, options)
    await expect(save({ tensors: {}, json: { a: [1, Number.NaN] } })).rejects.toThrow(/json\.a\.1 is number NaN/)
    await expect(save({ tensors: {}, json: { a: 1n } })).rejects.toThrow(/json\.a is bigint 1/)
    await expect(save({ tensors: {}, json: new Map() })).rejects.toThrow(/json is a Map/)
    await expect(save({ tensors: { '../a': {} } })).rejects.toThrow(/no group's name/)
    await expect(save({ tensors: { a: { w: 1 } } })).rejects.toThrow(/'w' is number 1/)
    await expect(save({ tensors: {} }, { metrics: { loss: '1' } })).rejects.toThrow(/'loss' is string/)
    await expect(save({ tensors: {} }, { step: -1 })).rejects.toThrow(/the step must be/)
    expect(await readdir(root)).toEqual([])
  })

  test('a folder that is there is not touched', async () => {
    const folder = join(await temporaryFolder(), 'a')
    await saveCheckpoint(folder, small(1))
    await expect(saveCheckpoint(folder, small(2))).rejects.toThrow(CheckpointError)
    expect((await loadCheckpoint(folder)).json).toEqual({ step: 1 })
  })

  test('every kind of damage is a CheckpointError', async () => {
    const root = await temporaryFolder()
    const cases: [string, (folder: string) => Promise<unknown>, RegExp][] = [
      ['a truncated file', (f) => truncate(join(f, 'model.safetensors'), 50), /it has 50 bytes/],
      ['a missing file', (f) => rm(join(f, 'model.safetensors')), /ENOENT/],
      ['a changed byte', (f) => flip(join(f, 'model.safetensors'), -1), /not what was saved/],
      ['a truncated description', (f) => truncate(join(f, 'checkpoint.json'), 50), /not JSON/],
      ['no description', (f) => rm(join(f, 'checkpoint.json')), /ENOENT/],
      ['a changed description', (f) => edit(join(f, 'checkpoint.json'), /"step": 1/, '"step": 2'), /its hash/],
      ['another version', (f) => edit(join(f, 'checkpoint.json'), /"version": 1/, '"version": 2'), /version 2/],
      ['another format', (f) => writeFile(join(f, 'checkpoint.json'), '{}'), /not the description/],
      ['deep JSON', (f) => writeFile(join(f, 'checkpoint.json'), '['.repeat(1e6)), /nested deeper/],
      ['a folder for a file', (f) => folderInPlace(join(f, 'checkpoint.json')), /it is no file/],
    ]
    for (const [i, [name, damage, message]] of cases.entries()) {
      const folder = join(root, String(i))
      await saveCheckpoint(folder, small(1), { step: 1 })
      await damage(folder)
      const failed = loadCheckpoint(folder)
      await expect(failed, name).rejects.toThrow(message)
      await expect(failed, name).rejects.toBeInstanceOf(CheckpointError)
    }
  })
})

async function flip(path: string, at: number): Promise<void> {
  const bytes = await readFile(path)
  const i = at < 0 ? bytes.length + at : at
  bytes[i] = (bytes[i] as number) ^ 1
  await writeFile(path, bytes)
}

async function edit(path: string, what: RegExp, by: string): Promise<void> {
  await writeFile(path, (await readFile(path, 'utf8')).replace(what, by))
}

async function folderInPlace(path: string): Promise<void> {
  await rm(path)
  await mkdir(path)
}

describe('a store', () => {
  test('an empty one has nothing', async () => {
    const [store] = storeIn(join(await temporaryFolder(), 'deep', 'er'), { keep: 1 })
    expect(await store.list()).toEqual([])
    expect(await store.latest()).toBeUndefined()
    expect(await store.best({ metric: 'loss', mode: 'min' })).toBeUndefined()
  })

  test('keeps the last ones and the best ones', async () => {
    const root = join(await temporaryFolder(), 'runs', 'a')
    const [store, problems] = storeIn(root, { keep: 2, keepBest: { metric: 'loss', mode: 'min', count: 2 } })
    const losses = [5, 1, 4, Number.NaN, 0.5, 3, 2]
    for (const [i, loss] of losses.entries()) await store.save(i + 1, small(i + 1), { loss })
    await store.save(8, small(8))
    expect(await filesIn(root)).toEqual(['step-000002', 'step-000005', 'step-000007', 'step-000008'])
    expect((await store.list()).map(({ step }) => step)).toEqual([2, 5, 7, 8])
    expect((await store.latest())?.step).toBe(8)
    expect((await store.best())?.json).toEqual({ step: 5 })
    expect((await store.best({ metric: 'loss', mode: 'max' }))?.step).toBe(7)
    expect(problems).toEqual([])
  })

  test('the latest is what was saved last, also after going back to an earlier step', async () => {
    const root = await temporaryFolder()
    const [store] = storeIn(root, { keep: 2 })
    for (const step of [10, 20, 5]) await store.save(step, small(step))
    expect((await store.latest())?.step).toBe(5)
    expect(await filesIn(root)).toEqual(['step-000005', 'step-000020'])
  })

  test('a step that is saved again replaces the one before', async () => {
    const root = await temporaryFolder()
    const [store] = storeIn(root)
    await store.save(3, small(3))
    await store.save(3, small(33))
    await store.save(3, small(333))
    expect((await store.latest())?.json).toEqual({ step: 333 })
    expect(await store.list()).toHaveLength(1)
  })

  test('saves that are not waited for are carried out in order', async () => {
    const [store] = storeIn(await temporaryFolder(), { keep: 1 })
    await Promise.all([1, 2, 3].map((step) => store.save(step, small(step))))
    expect((await store.list()).map(({ step }) => step)).toEqual([3])
  })

  test('a damaged one is reported and the one before is taken', async () => {
    const root = await temporaryFolder()
    const [store, problems] = storeIn(root)
    for (const step of [1, 2, 3, 4]) await store.save(step, small(step), { loss: -step })
    await truncate(join(root, 'step-000004', 'checkpoint.json'), 10)
    await flip(join(root, 'step-000003', 'model.safetensors'), -1)
    expect((await store.latest())?.step).toBe(2)
    expect((await store.best({ metric: 'loss', mode: 'min' }))?.step).toBe(2)
    expect(problems.map(({ name }) => name)).toEqual(Array(4).fill('CheckpointError'))
    expect(problems[0]?.message).toContain('step-000004')
    expect(problems[1]?.message).toContain('step-000003')
    expect((await store.latest({ verify: false }))?.step).toBe(3)
    for (const step of [1, 2]) await rm(join(root, `step-00000${step}`, 'checkpoint.json'))
    await expect(store.latest()).rejects.toThrow(/4 are damaged/)
    await store.save(4, small(44))
    expect((await store.latest())?.json).toEqual({ step: 44 })
  })

  test('what others left is removed when they are gone, and only then', async () => {
    const root = await temporaryFolder()
    const [store] = storeIn(root)
    await store.save(1, small(1))
    let own = ''
    const end = await intercept({
      before: ({ name, path }) => {
        if (name === 'mkdir' && path.includes('.tmp-')) own = path
      },
    })
    await store.save(2, small(2))
    end()
    const name = own.slice(own.lastIndexOf('/') + 1)
    const live = name.replace(/[0-9a-f]{8}$/, '00000000')
    const gone = name.replace(/-\d+-(\d+)-[0-9a-f]{8}$/, '-4194999-$1-00000001')
    const reused = name.replace(/-(\d+)-\d+-([0-9a-f]{8})$/, '-$1-1-00000002')
    const foreign = '.tmp-step-000009-elsewhere-1-1-00000003'
    for (const folder of [live, gone, reused, foreign, '.tmp-mine']) await mkdir(join(root, folder))
    await store.save(3, small(3))
    expect((await filesIn(root)).filter((file) => file.startsWith('.'))).toEqual(['.tmp-mine', foreign, live].sort())
    expect((await store.list()).map(({ step }) => step)).toEqual([1, 2, 3])
  })

  test('options that make no sense', () => {
    expect(() => new CheckpointStore('')).toThrow(/the root must be/)
    expect(() => new CheckpointStore('a', { keep: 0 })).toThrow(/keep must be/)
    expect(() => new CheckpointStore('a', { keepBest: { metric: 'a', mode: 'least' as never, count: 1 } })).toThrow(
      /min/,
    )
    expect(() => new CheckpointStore('a').best()).toThrow(/say what is best/)
  })
})

describe('a disk that fails', () => {
  test('an error at any operation: typed, nothing left behind, the old one stands, the next save goes through', async () => {
    const folder = await temporaryFolder()
    let points = 0
    for (let point = 1; ; point++) {
      const root = join(folder, String(point))
      const [store, problems] = storeIn(root, { keep: 1 })
      await store.save(1, small(1))
      let count = 0
      const end = await intercept({
        before: ({ name }) => {
          if (name !== 'handle.close' && ++count === point)
            throw Object.assign(new Error('EIO: i/o error'), { code: 'EIO' })
        },
      })
      const outcome = await store.save(2, small(2)).catch((error: unknown) => error)
      end()
      if (count < point) break
      points++
      const latest = await store.latest()
      if (outcome instanceof Error) {
        expect(outcome, `operation ${point}`).toBeInstanceOf(CheckpointError)
        expect((outcome.cause as NodeJS.ErrnoException | undefined)?.code, `operation ${point}`).toBe('EIO')
        expect([1, 2]).toContain(latest?.step)
      } else {
        expect(latest?.step, `operation ${point}`).toBe(2)
      }
      expect(latest?.json).toEqual({ step: latest?.step })
      await store.save(3, small(3))
      expect((await store.latest())?.step).toBe(3)
      expect(problems.length, `operation ${point}`).toBeLessThanOrEqual(1)
    }
    expect(points).toBeGreaterThan(15)
  })

  test('no space left: the old one stands, and there is room again', async (context) => {
    const root = await temporaryFolder()
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', root], { stdio: 'pipe' })
    } catch {
      console.warn('skipped: a small file system can not be mounted here')
      return context.skip()
    }
    onTestFinished(() => {
      execFileSync('umount', [root])
    })
    const [store, problems] = storeIn(root)
    const random = generator(3)
    const content = (bytes: number): CheckpointContent => ({
      tensors: { model: { w: randomTensor('u8', [bytes], random) } },
    })
    await store.save(1, content(1 << 20))
    const failure = await store.save(2, content(6 << 20)).catch((error: unknown) => error)
    expect(failure).toBeInstanceOf(CheckpointError)
    expect(((failure as Error).cause as NodeJS.ErrnoException).code).toBe('ENOSPC')
    expect(await filesIn(root)).toEqual(['step-000001'])
    expect((await store.latest())?.step).toBe(1)
    await store.save(3, content(2 << 20))
    expect((await store.latest())?.step).toBe(3)
    expect(problems).toEqual([])
  })
})
