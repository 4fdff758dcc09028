// Runs that go on: after kills, after signals, from checkpoints of other runs, and where none can be saved.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { DataLoader } from '../../lib/data/index.js'
import {
  CheckpointError,
  crossEntropy,
  defaultDevice,
  matmul,
  nn,
  optim,
  type Parameter,
  randomNormal,
  seed,
  type Tensor,
} from '../../lib/index.js'
import type { Checkpoint } from '../../lib/io/checkpoint.js'
import { CheckpointStore } from '../../lib/io/index.js'
import { type Callback, train } from '../../lib/train/index.js'
import { runStateOf } from '../../lib/train/runState.js'
import { resume } from '../crash/resume.js'
import { hashOf, trainedRun } from '../crash/trainedRun.js'
import { ONE_THREAD } from '../oneThread.js'
import { keeping } from './fixtures.js'

let root: string
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'heddle-resume-'))
})
afterAll(() => rm(root, { recursive: true }))

const program = fileURLToPath(new URL('../../dist/test/crash/train.js', import.meta.url))
const child = (folder: string): ChildProcess =>
  spawn(process.execPath, [program, folder], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, ...ONE_THREAD, HEDDLE_DETERMINISTIC: '1' },
  })

/** What the process says, until it ends or `until` holds. */
async function saying(from: ChildProcess, until: (output: string) => boolean): Promise<string> {
  let output = ''
  // Who stops listening leaves the stream as it is: were it closed, the process would fail where it writes its next line.
  const stdout = from.stdout as Readable
  for await (const text of stdout.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    output += text.toString()
    if (until(output)) break
  }
  return output
}

const samples = Array.from({ length: 40 }, (_, i) => ({ x: Float32Array.of(Math.sin(i), Math.cos(i)), y: i % 2 }))
const data = () => new DataLoader(samples, { batchSize: 4, shuffle: true, dtypes: { y: 'i32' } })
const options = {
  loss: (model: nn.Linear, { x, y }: { x: Tensor; y: Tensor }) => crossEntropy(model.forward(x), y),
  optimizer: (parameters: Iterable<Parameter>) => new optim.AdamW(parameters, { lr: 0.01 }),
  progress: false,
} as const
const model = (): nn.Linear => {
  seed(3)
  return new nn.Linear(2, 2)
}

describe('a training that is killed', () => {
  it('comes to the same bits as one that nobody killed', { timeout: 120_000 }, async () => {
    const faults: string[] = []
    expect(await resume(6, (line) => faults.push(line)), faults.join('\n')).toEqual({ passed: 6, failed: 0 })
  })

  it.each(['SIGINT', 'SIGTERM'] as const)(
    'by %s finishes the step, saves and ends by that signal',
    { timeout: 60_000 },
    async (signal) => {
      const folder = join(root, signal)
      const first = child(folder)
      const ended = once(first, 'close') as Promise<[number | null, NodeJS.Signals | null]>
      await saying(first, (output) => output.includes('step 7'))
      first.kill(signal)
      first.stdout?.resume()
      expect(await ended).toEqual([null, signal])
      const saved = await new CheckpointStore(folder).latest()
      expect(saved?.step).toBeGreaterThanOrEqual(7)
      const rest = await saying(child(folder), () => false)
      expect(rest).toContain(`step ${(saved?.step as number) + 1}\n`)
      const alone = await saying(child(join(root, `${signal} alone`)), () => false)
      expect(/hash .*/.exec(rest)?.[0]).toBe(/hash .*/.exec(alone)?.[0])
    },
  )
})

describe('a run in one process', () => {
  it('goes on where a signal ended it, and adds nothing to one that has ended', async () => {
    const whole = await hashOf(await trainedRun(undefined, () => {}))
    const folder = join(root, 'ended')
    await trainedRun(folder, () => {})
    const saved = async () => {
      const { path, step } = (await new CheckpointStore(folder).latest()) as Checkpoint
      const { ino, mtimeMs } = await stat(path)
      return { step, ino, mtimeMs }
    }
    const before = await saved()
    const again = await trainedRun(folder, () => expect.unreachable('it has ended'))
    expect(await hashOf(again)).toBe(whole)
    expect(await saved()).toEqual(before)
  })

  it('takes over the algorithms of its checkpoint', async () => {
    const folder = join(root, 'algorithms')
    await train(model(), data(), { ...options, epochs: 1, checkpoint: folder })
    const [a, b] = [randomNormal([64, 96]), randomNormal([96, 128])]
    await matmul(a, b).data()
    const device = defaultDevice()
    const [problem] = Object.keys(device.algorithms()).filter((key) => /\b64,(96,128|128,96)\b/.test(key))
    expect(problem, 'a product that is timed').toBeDefined()
    await train(model(), data(), { ...options, epochs: 2, checkpoint: folder })
    const found = (await new CheckpointStore(folder).latest()) as Checkpoint
    const { algorithms } = runStateOf(found)
    expect(algorithms[problem as string]).toBe(device.algorithms()[problem as string])
    // Another process chose otherwise: that is used from now on.
    const name = join(found.path, 'x')
    device.useAlgorithms({ [`${problem} of nothing`]: name })
    expect(device.algorithms()[`${problem} of nothing`]).toBe(name)
    expect(() => device.useAlgorithms({ a: 3 as never })).toThrow(/not a name/)
  })

  it('can be saved with figures that are not finite', async () => {
    const folder = join(root, 'not finite')
    const told = keeping()
    const layer = model()
    await train(layer, data(), {
      ...options,
      nonFinite: 'ignore',
      loss: (network, { x, y }) => options.loss(network, { x, y }).mul(Number.NaN),
      epochs: 1,
      checkpoint: folder,
      logs: [told],
    })
    expect(told.notes).toEqual([])
    const saved = (await new CheckpointStore(folder).latest()) as Checkpoint
    expect(runStateOf(saved)).toMatchObject({ step: 10, figures: { 'train/loss': Number.NaN } })
  })

  it('keeps what callbacks remember', async () => {
    const folder = join(root, 'callbacks')
    const counting = (): Callback & { count: number } => ({
      name: 'counting',
      count: 0,
      onStep() {
        this.count++
      },
      save() {
        return this.count
      },
      load(state) {
        this.count = state as number
      },
    })
    await train(model(), data(), { ...options, epochs: 1, checkpoint: folder, callbacks: [counting()] })
    const second = counting()
    await train(model(), data(), { ...options, epochs: 3, checkpoint: folder, callbacks: [second] })
    expect(second.count).toBe(30)
  })

  it('says so where a checkpoint can not be saved, and goes on with the one before', async () => {
    const folder = join(root, 'blocked')
    const noting = keeping()
    let blocked: string | undefined
    let saved = (): void => {}
    const first = new Promise<void>((resolve) => {
      saved = resolve
    })
    const run = await train(model(), data(), {
      ...options,
      epochs: 4,
      checkpoint: { folder, keep: 10 },
      logs: [noting],
      callbacks: [
        {
          onCheckpoint: () => saved(),
          onStep: async ({ step }) => {
            // A file in the folder's place for the second epoch: nothing can be written there.
            if (step === 15) {
              await first
              blocked = `${folder} moved`
              await rename(folder, blocked)
              await writeFile(folder, '')
            }
            if (step === 25 && blocked) {
              await rm(folder)
              await rename(blocked, folder)
            }
          },
        },
      ],
    })
    expect(run.steps).toBe(40)
    expect(noting.notes.join('\n')).toMatch(
      /the checkpoint of step 20 could not be saved; the run goes on, with the one before/,
    )
    expect((await new CheckpointStore(folder).list()).map(({ step }) => step)).toEqual([10, 30, 40])
  })

  it('refuses the checkpoints of another run, and changes nothing', async () => {
    const folder = join(root, 'other')
    await train(model(), data(), { ...options, epochs: 1, checkpoint: folder })
    const wider = new nn.Linear(2, 3)
    const before = await wider.stateDict()
    const state = data()
    await expect(train(wider, state, { ...options, epochs: 2, checkpoint: folder })).rejects.toThrow(
      /weight: \[2,2\], expected \[3,2\]/,
    )
    const averaged = model()
    const own = await averaged.stateDict()
    await expect(train(averaged, data(), { ...options, epochs: 2, checkpoint: folder, average: {} })).rejects.toThrow(
      /it has no average: the run was another one/,
    )
    const momentum = {
      ...options,
      optimizer: (p: Iterable<Parameter>) => new optim.SGD(p, { lr: 1 }),
    }
    await expect(train(averaged, data(), { ...momentum, epochs: 2, checkpoint: folder })).rejects.toThrow(/unexpected/)
    expect(await wider.stateDict()).toEqual(before)
    expect(await averaged.stateDict()).toEqual(own)
    const fresh = train(model(), data(), { ...options, epochs: 2, checkpoint: { folder, resume: false } })
    await expect(fresh).rejects.toThrow(/there are checkpoints in .* already/)
  })

  it('takes damaged states for what they are', async () => {
    const folder = join(root, 'hostile')
    await train(model(), data(), { ...options, epochs: 1, checkpoint: folder })
    const found = (await new CheckpointStore(folder).latest()) as Checkpoint
    const json = found.json as Readonly<Record<string, unknown>>
    expect(() => runStateOf(found)).not.toThrow()
    const values = [null, -1, 1.5, 'text', [], [3], {}, { epoch: -1 }, true, Number.MAX_VALUE]
    let refused = 0
    for (const field of Object.keys(json)) {
      for (const value of values) {
        const damaged = { ...found, json: { ...json, [field]: value } as never }
        try {
          runStateOf(damaged)
        } catch (error) {
          expect(error).toBeInstanceOf(CheckpointError)
          refused++
        }
      }
    }
    expect(refused).toBeGreaterThan(80)
  })
})

it('has files for people to read beside the checkpoints', async () => {
  const folder = join(root, 'report')
  await mkdir(folder)
  const report = join(folder, 'report.html')
  await train(model(), data(), { ...options, epochs: 2, validation: { data: data() }, report, logEvery: 2 })
  // Another run in the same place begins a report of its own.
  await train(model(), data(), { ...options, epochs: 1, validation: { data: data() }, report, logEvery: 2 })
  const page = await readFile(report, 'utf8')
  expect(page).not.toContain('"step":20')
  for (const text of ['validation/loss', 'AdamW', 'memory/allocated bytes']) expect(page).toContain(text)
  expect(await readdir(folder)).toEqual(['report.html'])
})
