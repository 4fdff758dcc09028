// Logs of a run that goes on at an earlier step: what is forgotten, what stays, what a stopped process leaves.
import { existsSync } from 'node:fs'
import { appendFile, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ArgumentError, LogError } from '../../lib/index.js'
import { CsvLog, EventLog, JsonLinesLog } from '../../lib/train/index.js'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'heddle-rewind-'))
})
afterAll(() => rm(folder, { recursive: true }))
const text = (path: string): Promise<string> => readFile(path, 'utf8')

describe('rewind', () => {
  it('forgets later rows of a table, and a row that was not written whole', async () => {
    const path = join(folder, 'run.csv')
    const columns = ['loss', 'of "a",\n b']
    const head = 'step,loss,"of ""a"",\n b"\n'
    const first = new CsvLog(path, columns)
    for (let step = 0; step < 30; step++) first.write(step, { loss: step / 2 })
    await first.close()
    await appendFile(path, '30,1')
    const second = new CsvLog(path, columns)
    await second.rewind(9)
    expect(await text(path)).toBe(head + Array.from({ length: 10 }, (_, step) => `${step},${step / 2},\n`).join(''))
    second.write(10, { loss: -1 })
    await second.close()
    expect((await text(path)).endsWith('9,4.5,\n10,-1,\n')).toBe(true)
    expect((await readdir(folder)).filter((name) => name.startsWith('.tmp-'))).toEqual([])
  })

  it('mends a head that was not written whole', async () => {
    const path = join(folder, 'torn.csv')
    await writeFile(path, 'step,lo')
    const log = new CsvLog(path, ['loss'])
    await log.rewind(0)
    log.write(1, { loss: 2 })
    await log.close()
    expect(await text(path)).toBe('step,loss\n1,2\n')
  })

  it('leaves a table of other columns as it is', async () => {
    const path = join(folder, 'other.csv')
    await writeFile(path, 'step,b\n7,1\n')
    const log = new CsvLog(path, ['a'])
    await expect(log.rewind(0)).rejects.toThrow(/other columns/)
    expect(await text(path)).toBe('step,b\n7,1\n')
    await log.close()
  })

  it('forgets later objects and notes, and half a line', async () => {
    const path = join(folder, 'run.jsonl')
    const first = new JsonLinesLog(path)
    first.write(0, { 'train/loss': 1 })
    first.note(2, 'micro-batches of 16 instead of 32')
    first.note(3, 'gone')
    first.write(2, { 'train/loss': Number.NaN })
    first.write(1000, { 'train/loss': 1 })
    await first.close()
    await appendFile(path, 'a line of somebody else\n{"step":1,"train/lo')
    const second = new JsonLinesLog(path)
    await second.rewind(2)
    await second.close()
    expect(await text(path)).toBe(
      '{"step":0,"train/loss":1}\n{"step":2,"note":"micro-batches of 16 instead of 32"}\n' +
        '{"step":2,"train/loss":"NaN"}\na line of somebody else\n',
    )
  })

  it('keeps what is written after the call, and forgets what was on its way', async () => {
    const path = join(folder, 'order.jsonl')
    const log = new JsonLinesLog(path)
    for (let step = 0; step < 100; step++) log.write(step, { a: step })
    const done = log.rewind(4)
    for (let step = 5; step < 8; step++) log.write(step, { b: step })
    await done
    log.write(8, { b: 8 })
    await log.close()
    const lines = (await text(path)).trimEnd().split('\n')
    expect(lines.map((line) => JSON.parse(line))).toEqual([
      ...Array.from({ length: 5 }, (_, step) => ({ step, a: step })),
      ...[5, 6, 7, 8].map((step) => ({ step, b: step })),
    ])
  })

  it('is the whole old or the whole new file at any moment', async () => {
    const path = join(folder, 'whole.jsonl')
    const log = new JsonLinesLog(path)
    for (let step = 0; step < 20_000; step++) log.write(step, { a: 0.5 })
    await log.flush()
    const old = await text(path)
    let done = false
    const rewound = log.rewind(15_000).then(() => {
      done = true
    })
    const seen = new Set<string>()
    while (!done) seen.add(await text(path))
    await rewound
    const now = await text(path)
    expect(now.split('\n')).toHaveLength(15_002)
    for (const one of seen) expect(one === old || one === now).toBe(true)
    await log.close()
  })

  it('needs no file, and takes steps only', async () => {
    const log = new JsonLinesLog(join(folder, 'none.jsonl'))
    await log.rewind(3)
    expect(existsSync(log.path)).toBe(false)
    await expect(log.rewind(-1)).rejects.toThrow(ArgumentError)
    expect(() => log.note(1, 2 as never)).toThrow(/no text/)
    await log.close()
  })

  it('tells what can not be rewritten, and goes on', async () => {
    const path = join(folder, 'in the way.jsonl')
    await mkdir(path)
    const log = new JsonLinesLog(path)
    await expect(log.rewind(0)).rejects.toThrow(LogError)
    await rm(path, { recursive: true })
    log.write(1, {})
    await log.close()
    expect(await text(path)).toBe('{"step":1}\n')
  })

  it('of an event log only adds to its file', async () => {
    const log = new EventLog(join(folder, 'events'))
    log.write(5, { a: 1 })
    await log.flush()
    const before = await readFile(log.path)
    await log.rewind(3)
    await log.close()
    expect((await readFile(log.path)).subarray(0, before.length)).toEqual(before)
  })
})
