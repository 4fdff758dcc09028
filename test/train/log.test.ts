// Logs of a run: what is in the files, in order, after failures, and what TensorBoard reads of them.
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ArgumentError, LogError } from '../../lib/index.js'
import { crc32c } from '../../lib/train/eventFile.js'
import { CsvLog, EventLog, JsonLinesLog, type Log } from '../../lib/train/index.js'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'heddle-log-'))
})
afterAll(() => rm(folder, { recursive: true }))

describe('logs as text', () => {
  it('are tables with a head, which later runs go on with', async () => {
    const path = join(folder, 'deep', 'run.csv')
    for (const first of [0, 2]) {
      const log = new CsvLog(path, ['loss', 'of "a", b'])
      log.write(first, { loss: 0.5 })
      log.write(first + 1, { 'of "a", b': Number.NaN, loss: -1e-9 })
      await log.close()
    }
    expect(await readFile(path, 'utf8')).toBe('step,loss,"of ""a"", b"\n0,0.5,\n1,-1e-9,NaN\n2,0.5,\n3,-1e-9,NaN\n')
  })

  it('are an object per line', async () => {
    const log = new JsonLinesLog(join(folder, 'run.jsonl'))
    log.write(7, { loss: 0.1, worst: Number.POSITIVE_INFINITY })
    log.write(8, {})
    await log.close()
    const lines = (await readFile(join(folder, 'run.jsonl'), 'utf8')).trimEnd().split('\n')
    expect(lines.map((line) => JSON.parse(line))).toEqual([{ step: 7, loss: 0.1, worst: 'Infinity' }, { step: 8 }])
  })

  it('keep the order of many writes, some while others are on their way', async () => {
    const log = new JsonLinesLog(join(folder, 'many.jsonl'))
    const steps = Array.from({ length: 5000 }, (_, step) => step)
    for (const step of steps) {
      log.write(step, { step2: step ** 2 })
      if (step % 97 === 0) await new Promise((resolve) => setImmediate(resolve))
      if (step % 31 === 0) await undefined
      if (step % 1500 === 0) await log.flush()
    }
    await log.close()
    const lines = (await readFile(join(folder, 'many.jsonl'), 'utf8')).trimEnd().split('\n')
    expect(lines.map((line) => JSON.parse(line).step)).toEqual(steps)
  })
})

describe.each<[string, () => Log]>([
  ['CsvLog', () => new CsvLog(join(folder, 'a.csv'), ['a'])],
  ['JsonLinesLog', () => new JsonLinesLog(join(folder, 'a.jsonl'))],
  ['EventLog', () => new EventLog(join(folder, 'events'))],
])('%s', (_, make) => {
  it('takes steps and numbers only', async () => {
    const log = make()
    for (const step of [-1, 0.5, Number.NaN]) expect(() => log.write(step, { a: 1 })).toThrow(ArgumentError)
    expect(() => log.write(0, { a: '1' as never })).toThrow(/'a' of step 0 is a string/)
    log.write(0, { a: 1 })
    await log.close()
  })
})

it('a table takes its own columns only', async () => {
  const log = new CsvLog(join(folder, 'own.csv'), ['a'])
  log.write(0, { b: 1 })
  log.write(1, { b: 1, a: 2 })
  await log.close()
  expect(await readFile(join(folder, 'own.csv'), 'utf8')).toBe('step,a\n1,2\n')
  expect(() => new CsvLog(join(folder, 'own.csv'), ['a', 'a'])).toThrow(ArgumentError)
})

it('tells what could not be written, and goes on where it can', async () => {
  const parent = join(folder, 'in the way')
  await writeFile(parent, '')
  const log = new JsonLinesLog(join(parent, 'run.jsonl'))
  log.write(0, { a: 1 })
  const failure = await log.flush().then(
    () => undefined,
    (error: unknown) => error,
  )
  expect(failure).toBeInstanceOf(LogError)
  expect((failure as LogError).message).toContain(parent)
  await rm(parent)
  await mkdir(parent)
  log.write(1, { a: 1 })
  await log.close()
  expect(await readFile(join(parent, 'run.jsonl'), 'utf8')).toBe('{"step":1,"a":1}\n')
})

describe('event files', () => {
  it('have the checksums of RFC 3720', () => {
    expect(crc32c(new TextEncoder().encode('123456789'))).toBe(0xe3069283)
    expect(crc32c(new Uint8Array(32))).toBe(0x8a9136aa)
    expect(crc32c(new Uint8Array(32).fill(255))).toBe(0x62a8ab43)
  })

  const root = fileURLToPath(new URL('../..', import.meta.url))
  const install = spawnSync(process.execPath, [join(root, 'scripts/python-peers.mjs')], { encoding: 'utf8' })
  const peers = install.status === 0 ? install.stdout.trim() : undefined
  if (!peers) console.warn(`TensorBoard is not asked: ${install.stderr.trim()}`)

  const asTensorBoardReads = (path: string): Record<'older' | 'scalars' | 'texts', Record<string, unknown>> =>
    JSON.parse(
      execFileSync('python3', [join(root, 'test/train/peer.py'), path], {
        env: { ...process.env, PYTHONPATH: peers, PYTHONUTF8: '1' },
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'ignore'],
      }),
    )

  it.skipIf(!peers)('are read by TensorBoard', { timeout: 60_000 }, async () => {
    const log = new EventLog(join(folder, 'board'))
    const wanted: Record<string, [number, number][]> = { 'train/loss': [], größe: [] }
    for (const step of [0, 1, 127, 128, 16_384, 2 ** 40]) {
      const value = Math.fround(Math.sin(step))
      log.write(step, { 'train/loss': value, größe: -value })
      wanted['train/loss']?.push([step, value])
      wanted['größe']?.push([step, -value])
    }
    log.note(128, 'micro-batches of 16 instead of 32: größer')
    await log.close()
    expect(asTensorBoardReads(dirname(log.path))).toEqual({
      older: wanted,
      scalars: wanted,
      texts: { notes: [[128, 'micro-batches of 16 instead of 32: größer']] },
    })
  })

  it.skipIf(!peers)('of a run that goes on replace later steps of the one before', { timeout: 60_000 }, async () => {
    const runs = [new EventLog(join(folder, 'resumed')), new EventLog(join(folder, 'resumed'))] as const
    for (let step = 0; step < 10; step++) runs[0].write(step, { loss: step })
    await runs[0].close()
    await runs[1].rewind(4)
    for (let step = 5; step < 7; step++) runs[1].write(step, { loss: -step })
    await runs[1].close()
    const loss = [0, 1, 2, 3, 4, -5, -6].map((value, step) => [step, value])
    expect(asTensorBoardReads(dirname(runs[1].path))).toMatchObject({ older: { loss }, scalars: { loss } })
  })
})
