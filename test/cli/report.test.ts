// heddle report: finds a run's report, makes one of logs, opens it, and refuses what is neither.
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { CsvLog, HtmlReport, JsonLinesLog } from '../../lib/train/index.js'
import { readReport } from '../../lib/train/report/data.js'
import { temporaryFolder } from '../io/folder.js'
import { heddle } from './heddle.js'

const report = (...argv: string[]) => heddle(['report', ...argv, '--no-open'])

async function logged(folder: string): Promise<void> {
  const log = new JsonLinesLog(join(folder, 'log.jsonl'))
  for (let step = 0; step < 5; step++) log.write(step, { 'train/loss': 1 / (step + 1) })
  log.write(5, { 'train/loss': Number.NaN })
  log.note(3, 'half of it')
  await log.close()
}

describe('heddle report', () => {
  it('finds the report of a run, in its folder or beside it', async () => {
    const folder = await temporaryFolder()
    const page = new HtmlReport(join(folder, 'digits.html'))
    page.write(0, { 'train/loss': 1 })
    await page.close()
    await mkdir(join(folder, 'digits'))
    for (const run of [join(folder, 'digits'), join(folder, 'digits.html'), folder])
      expect(report(run)).toMatchObject({ status: 0, stdout: `${join(folder, 'digits.html')}\n`, stderr: '' })
  })

  it('makes one of logs, again when they have grown', async () => {
    const folder = await temporaryFolder()
    await logged(folder)
    const table = new CsvLog(join(folder, 'table.csv'), ['validation/accuracy'])
    table.write(2, { 'validation/accuracy': 0.5 })
    await table.close()
    const made = join(folder, 'report.html')
    expect(report(folder)).toMatchObject({ status: 0, stdout: `${made}\n`, stderr: '' })
    const read = async () => readReport(await readFile(made, 'utf8'), made)
    const first = await read()
    expect([...first.curves.keys()].sort()).toEqual(['train/loss', 'validation/accuracy'])
    expect(
      first.curves
        .get('train/loss')
        ?.stretches.map(({ mean }) => mean)
        .slice(0, 2),
    ).toEqual([1, 0.5])
    expect(first.notes).toMatchObject([{ step: 3, text: 'half of it' }])
    expect(first.step).toBe(5)
    const log = new JsonLinesLog(join(folder, 'log.jsonl'))
    log.write(9, { 'train/loss': 0 })
    await log.close()
    expect(report(folder).status).toBe(0)
    expect((await read()).step).toBe(9)
    const elsewhere = join(folder, 'elsewhere.html')
    expect(report(join(folder, 'log.jsonl'), '--out', elsewhere)).toMatchObject({ status: 0, stdout: `${elsewhere}\n` })
  })

  it.skipIf(process.platform !== 'linux')('opens it with what the system opens pages with', async () => {
    const folder = await temporaryFolder()
    await logged(folder)
    const opener = join(folder, 'xdg-open')
    await writeFile(opener, `#!/bin/sh\nprintf %s "$1" > ${join(folder, 'opened')}\n`)
    await chmod(opener, 0o755)
    const path = `${folder}${delimiter}${process.env['PATH']}`
    expect(heddle(['report', folder], { PATH: path })).toMatchObject({ status: 0, stderr: '' })
    let opened = ''
    for (let i = 0; i < 100 && opened === ''; i++) {
      await sleep(50)
      opened = await readFile(join(folder, 'opened'), 'utf8').catch(() => '')
    }
    expect(opened).toBe(join(folder, 'report.html'))
    const without = heddle(['report', folder], { PATH: join(folder, 'nothing') })
    expect(without).toMatchObject({ status: 0, stderr: expect.stringContaining('open it in a browser') })
  })

  it('refuses what is neither, and overwrites nothing of others', async () => {
    const folder = await temporaryFolder()
    expect(report(join(folder, 'gone'))).toMatchObject({ status: 1, stderr: expect.stringContaining('no such run') })
    expect(report(folder)).toMatchObject({ status: 1, stderr: expect.stringContaining('no log') })
    const page = join(folder, 'page.html')
    await writeFile(page, '<p>mine')
    expect(report(page)).toMatchObject({ status: 1, stderr: expect.stringContaining('no report of heddle') })
    const log = join(folder, 'log.jsonl')
    for (const [text, what] of [
      ['{"step":0,"a":1}\n{', 'log.jsonl:2: it is no JSON'],
      ['[1]', 'log.jsonl:1: its step is no integer'],
      ['7', 'log.jsonl:1: it is no object'],
      ['{"step":-1}', 'log.jsonl:1: its step is no integer'],
    ] as const) {
      await writeFile(log, text)
      expect(report(log)).toMatchObject({ status: 1, stdout: '', stderr: expect.stringContaining(what) })
    }
    await writeFile(log, '{"step":0,"a":1}\n')
    expect(report(log, '--out', page)).toMatchObject({ status: 1, stderr: expect.stringContaining('left as it is') })
    expect(await readFile(page, 'utf8')).toBe('<p>mine')
    expect(heddle(['report']).status).toBe(2)
    expect(heddle(['report', folder, '--loud']).status).toBe(2)
  })
})
