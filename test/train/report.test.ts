// Reports: what the page holds, that nothing in it can break out, that it is written whole, goes on, and is drawn by a browser.
import { spawnSync } from 'node:child_process'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ArgumentError, FormatError, LogError } from '../../lib/index.js'
import { HtmlReport } from '../../lib/train/index.js'
import { Curve } from '../../lib/train/report/curve.js'
import { type ReportData, readReport } from '../../lib/train/report/data.js'
import { escaped, renderReport } from '../../lib/train/report/render.js'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'heddle-report-'))
})
afterAll(() => rm(folder, { recursive: true }))
const text = (path: string): Promise<string> => readFile(path, 'utf8')
const read = async (path: string): Promise<ReportData> => readReport(await text(path), path)
const HOSTILE = '</script><script>throw 1</script><!-- <img src=x onerror=throw> "\' &amp; \u2028 \\u003c'

function dataOf(changes: Partial<ReportData> = {}): ReportData {
  const curve = new Curve()
  for (let step = 0; step < 5; step++) curve.add(step, step / 4)
  return {
    title: 'digits',
    state: 'running',
    started: 1.7e12,
    updated: 1.7e12 + 5000,
    seconds: 65,
    step: 4,
    interval: 30,
    settings: [['batch', 32]],
    notes: [{ step: 2, text: 'half', at: 1.7e12 }],
    curves: new Map([['validation/loss', curve]]),
    ...changes,
  }
}

describe('a page', () => {
  it('holds a summary in words, and its data', () => {
    const page = renderReport(dataOf())
    for (const part of ['<h1>digits</h1>', '>running<', '1m05s', '2023-11-14 22:13 UTC', '>batch<', '>half<'])
      expect(page).toContain(part)
    expect(page).toMatch(/>loss<\/td><td class="short">lowest<\/td><td class="short">0</)
    expect(readReport(page, 'a')).toEqual(dataOf())
  })

  it('fetches nothing', () => {
    const page = renderReport(dataOf())
    expect(page).toContain("default-src 'none'")
    expect(page).not.toMatch(/<link|<img|@import|url\(|\ssrc=|fetch\(|XMLHttpRequest|import\(/)
  })

  it('lets nothing break out, whatever names, notes and settings are', () => {
    const curve = new Curve()
    curve.add(0, 1)
    const hostile = dataOf({
      title: HOSTILE,
      settings: [
        [HOSTILE, HOSTILE],
        ['__proto__', true],
      ],
      notes: [{ step: 0, text: HOSTILE, at: 0 }],
      curves: new Map([
        [`validation/${HOSTILE}`, curve],
        ['__proto__', curve],
        ['constructor/toString', curve],
      ]),
    })
    const page = renderReport(hostile)
    const plain = renderReport(dataOf())
    for (const tag of ['<script', '</script', '<!--', '-->', '<img'])
      expect(page.split(tag).length, tag).toBe(plain.split(tag).length)
    expect(readReport(page, 'a')).toEqual(hostile)
    expect(escaped('<a href="x">\'&')).toBe('&#60;a href=&#34;x&#34;&#62;&#39;&#38;')
  })

  it.each<[string, (page: string) => string]>([
    ['cut off', (page) => page.slice(0, page.indexOf('"curves"') + 20)],
    ['without data', (page) => page.replace(/id="run"/, '')],
    ['of broken JSON', (page) => page.replace('"title"', '"title')],
    ['of null', (page) => page.replace(/(id="run">)[^<]*/, '$1null')],
    ['of other data', (page) => page.replace('"notes":[', '"notes":[1,')],
    ['of an impossible state', (page) => page.replace('"state":"running"', '"state":"x"')],
  ])('%s is not read', (_, damage) => {
    expect(() => readReport(damage(renderReport(dataOf())), 'a.html')).toThrow(FormatError)
    expect(() => readReport(damage(renderReport(dataOf())), 'a.html')).toThrow(
      /^a\.html: this training report is damaged/,
    )
  })
})

describe('a report', () => {
  it('writes what it was given, says that it is over, and leaves nothing beside it', async () => {
    const path = join(folder, 'deep', 'run.html')
    const report = new HtmlReport(path, { title: 'a run', settings: { lr: 0.1, big: Number.POSITIVE_INFINITY } })
    report.write(0, { 'train/loss': 2, 'train/worst': Number.NaN })
    report.write(1, { 'train/loss': 1 })
    report.note(1, 'a note')
    await report.flush()
    const running = await read(path)
    expect(running).toMatchObject({ title: 'a run', state: 'running', step: 1, notes: [{ step: 1, text: 'a note' }] })
    expect(running.settings).toEqual([
      ['lr', 0.1],
      ['big', 'Infinity'],
    ])
    await report.close()
    const { state, curves } = await read(path)
    expect(state).toBe('finished')
    expect([...curves].map(([name, curve]) => [name, curve.stored()])).toEqual([
      [
        'train/loss',
        [
          [0, 2],
          [1, 1],
        ],
      ],
      ['train/worst', [[0, 'NaN']]],
    ])
    const stopped = new HtmlReport(path)
    await stopped.close('stopped')
    expect((await read(path)).state).toBe('stopped')
    expect(await readdir(join(folder, 'deep'))).toEqual(['run.html'])
  })

  it('takes steps, numbers, notes and settings only', () => {
    const path = join(folder, 'never.html')
    expect(() => new HtmlReport('')).toThrow(ArgumentError)
    expect(() => new HtmlReport(path, { intervalSeconds: 0 })).toThrow(/intervalSeconds/)
    expect(() => new HtmlReport(path, { settings: { a: null as never } })).toThrow(/the setting 'a'/)
    const report = new HtmlReport(path)
    expect(() => report.write(-1, {})).toThrow(ArgumentError)
    expect(() => report.write(0, { a: '1' as never })).toThrow(/'a' of step 0 is a string/)
    expect(() => report.note(0, 1 as never)).toThrow(ArgumentError)
  })

  it('goes on in the page of the run before, from the step it is told', async () => {
    const path = join(folder, 'resumed.html')
    const first = new HtmlReport(path, { title: 'kept', settings: { a: 1 } })
    for (let step = 0; step < 10; step++) first.write(step, { 'train/loss': step })
    first.write(8, { 'validation/loss': 1 })
    first.note(3, 'early')
    first.note(9, 'late')
    await first.flush()
    const { started } = await read(path)

    const second = new HtmlReport(path)
    await second.rewind(6)
    const rewound = await read(path)
    expect(rewound).toMatchObject({ title: 'kept', settings: [['a', 1]], state: 'running', step: 6, started })
    expect(rewound.notes.map((note) => note.text)).toEqual(['early'])
    expect([...rewound.curves.keys()]).toEqual(['train/loss'])
    second.write(7, { 'train/loss': -7 })
    await second.close()
    const { curves, seconds } = await read(path)
    expect(curves.get('train/loss')?.stored()).toEqual([...Array.from({ length: 7 }, (_, i) => [i, i]), [7, -7]])
    expect(seconds).toBeGreaterThan(rewound.seconds)
  })

  it.each([
    ['a page of somebody else', '<!doctype html>\n<html></html>'],
    ['bytes', Buffer.from([0, 255, 1, 128])],
    ['a report whose data are damaged', renderReport(dataOf()).replace('"step":4', '"step":"4"')],
  ])('leaves %s as it is', async (name, contents) => {
    const path = join(folder, `${name}.html`)
    await writeFile(path, contents)
    const before = await readFile(path)
    expect(() => new HtmlReport(path)).toThrow(FormatError)
    expect(() => new HtmlReport(path)).toThrow(path)
    expect(await readFile(path)).toEqual(before)
  })

  it('is a whole page at any moment', async () => {
    const path = join(folder, 'whole.html')
    const report = new HtmlReport(path, { intervalSeconds: 0.001 })
    const seen = new Set<number>()
    for (let step = 0; step < 300; step++) {
      report.write(step, Object.fromEntries(Array.from({ length: 5 }, (_, i) => [`a/${i}`, step + i])))
      await new Promise((resolve) => setTimeout(resolve, 1))
      const page = await text(path).catch(() => undefined)
      if (page === undefined) continue
      expect(page.endsWith('</html>\n')).toBe(true)
      seen.add(readReport(page, path).step)
    }
    await report.close()
    expect(seen.size).toBeGreaterThan(1)
    expect((await read(path)).step).toBe(299)
    expect((await readdir(folder)).filter((name) => name.startsWith('.tmp-'))).toEqual([])
  })

  it('is written at most once in an interval, and by flush', async () => {
    const path = join(folder, 'seldom.html')
    const report = new HtmlReport(path, { intervalSeconds: 3600 })
    report.write(0, { a: 1 })
    await report.flush()
    for (let step = 1; step < 20; step++) {
      report.write(step, { a: 1 })
      await new Promise((resolve) => setTimeout(resolve, 1))
    }
    expect((await read(path)).step).toBe(0)
    await Promise.all([report.flush(), report.flush()])
    expect((await read(path)).step).toBe(19)
    await report.close()
  })

  it('tells what could not be written, and writes it when it can', async () => {
    const parent = join(folder, 'in the way')
    await writeFile(parent, '')
    const path = join(parent, 'run.html')
    expect(() => new HtmlReport(path)).toThrow(LogError)
    await rm(parent)
    const report = new HtmlReport(path)
    await writeFile(parent, '')
    report.write(0, { a: 1 })
    await expect(report.flush()).rejects.toThrow(LogError)
    await expect(report.flush()).rejects.toThrow(path)
    await rm(parent)
    await mkdir(parent)
    await report.close()
    expect((await read(path)).step).toBe(0)
  })
})

const chromium = ['chromium', 'chromium-browser', 'google-chrome'].find(
  (name) => spawnSync(name, ['--version']).status === 0,
)
if (!chromium) console.warn('A report is not looked at: there is no chromium')

/** Written into the page by the test: what was drawn, and what went wrong. */
const WATCH = `<script>
const watched = []
addEventListener('error', (event) => watched.push(String(event.message)))
addEventListener('securitypolicyviolation', (event) => watched.push(event.violatedDirective))
</script>`
const TELL = `<script>
const drawn = [...document.querySelectorAll('canvas')].map((canvas) => {
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height)
  return data.filter((value, i) => i % 4 === 3 && value > 0).length
})
const slider = document.getElementById('smoothing')
const inputs = () => {
  slider.value = 50
  slider.dispatchEvent(new Event('input'))
  for (const box of document.querySelectorAll('.head input')) { box.checked = true; box.dispatchEvent(new Event('change')) }
}
const later = () => new Promise((resolve) => setTimeout(resolve, 50))
addEventListener('load', async () => {
  await later()
  inputs()
  await later()
  views[0].plot.setCursor({ left: 100, top: 50 })
  await later()
  const told = {
    watched, drawn, after: document.querySelectorAll('canvas').length,
    titles: [...document.querySelectorAll('.chart h2')].map((title) => title.textContent),
    values: document.querySelector('.values').textContent, remark: document.querySelector('.remark').textContent,
    smoothed: document.getElementById('smoothed').textContent,
  }
  document.documentElement.dataset.told = encodeURIComponent(JSON.stringify(told))
})
</script>`

it.skipIf(!chromium)('is drawn by a browser without an error', { timeout: 120_000 }, async () => {
  const curves = new Map<string, Curve>()
  const add = (name: string, steps: number, value: (step: number) => number): void => {
    const curve = new Curve()
    for (let step = 0; step < steps; step++) curve.add(step, value(step))
    curves.set(name, curve)
  }
  add('train/loss', 100_000, (step) => (step === 700 ? Number.NaN : 1 / (1 + step / 1000)))
  add('validation/loss', 5, (step) => step)
  add(`train/${HOSTILE}`, 3, () => 0)
  add('memory/allocated bytes', 2500, (step) => step * 2 ** 20)
  add('alone', 1, () => Number.POSITIVE_INFINITY)
  const page = renderReport(dataOf({ title: HOSTILE, notes: [{ step: 9, text: HOSTILE, at: 0 }], curves }))
  const path = join(folder, 'browser.html')
  await writeFile(
    path,
    page.replace('</head>', `${WATCH}</head>`).replace(/<\/body>\n<\/html>\n$/, `${TELL}</body></html>`),
  )
  const { stdout, stderr } = spawnSync(
    chromium as string,
    [
      ...['--headless=new', '--no-sandbox', '--disable-gpu', '--enable-logging=stderr', '--virtual-time-budget=3000'],
      ...[`--user-data-dir=${join(folder, 'profile')}`, '--dump-dom', pathToFileURL(path).href],
    ],
    { encoding: 'utf8', timeout: 100_000, maxBuffer: 2 ** 28 },
  )
  const found = /data-told="([^"]*)"/.exec(stdout)?.[1]
  expect(found, stderr.slice(-2000)).toBeDefined()
  const told = JSON.parse(decodeURIComponent(found as string))
  expect(told.watched).toEqual([])
  expect(stderr.split('\n').filter((line) => /CONSOLE/.test(line))).toEqual([])
  expect(told.titles).toEqual(['loss', HOSTILE, 'alone', 'memory / MiB'])
  expect(told.drawn).toHaveLength(4)
  for (const pixels of told.drawn) expect(pixels).toBeGreaterThan(500)
  // After all was switched on, the charts were drawn anew and the pointer stands in the first.
  expect(told.after).toBe(4)
  expect(told.smoothed).toMatch(/^over [\d,]+ steps$/)
  expect(told.values).toMatch(/^step [1-9][\d,]+train 0\.\d+ \(0\.\d+ to 0\.\d+\), smoothed 0\.\d+/)
  expect(told.remark).toMatch(/train: mean of up to 64 values.*1 of train is not finite, first NaN at step \d+/)
  expect(told.remark).toContain('values of validation that are not above 0 are left out')
})
