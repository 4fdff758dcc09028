// The page of a benchmark: what it holds, that nothing in it can break out, and that a browser draws it.
import { spawnSync } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { expect, it } from 'vitest'
import { renderPage } from '../../lib/bench/page/render.js'
import { temporaryFolder } from '../io/folder.js'
import { resultOf, rowOf } from './result.js'

const HOSTILE = '</script><script>throw 1</script><!-- <img src=x onerror=throw> "\' &amp; \u2028 \\u003c'

const rows = [
  rowOf({ roofline: 0.9 }),
  rowOf({
    case: 'view: permute',
    family: 'view',
    work: { operations: 0, bytes: 8e6, steps: 1 },
    roofline: 0.6,
    reason: HOSTILE,
  }),
  rowOf({ case: HOSTILE, family: HOSTILE, roofline: 0.3, comparison: { ratio: 1.4, verdict: 'slower' } }),
  rowOf({ case: 'matmul: small', family: 'matmul', small: true, roofline: 0.01, reason: 'too small' }),
]
const page = renderPage({ ...resultOf(rows), failed: [{ case: HOSTILE, error: HOSTILE }] })

it('holds the machine, the summary and the data, and fetches nothing', () => {
  for (const part of [
    '20.0 GB/s',
    '200 GFLOP/s',
    'of 3 at a size for timing, 1 reach 80 %',
    '1 slower than the baseline',
  ])
    expect(page).toContain(part)
  const data = /<script type="application\/json" id="bench">(.*?)<\/script>/s.exec(page)?.[1] as string
  expect(JSON.parse(data).rows.map(({ name }: { name: string }) => name)).toEqual(rows.map((row) => row.case))
  expect(page).toContain("default-src 'none'")
  expect(page).not.toMatch(/<link|@import|url\(|fetch\(|XMLHttpRequest|import\(/)
  expect(page).not.toContain('<img')
  expect(page.match(/<script/g)).toHaveLength(3)
})

const chromium = ['chromium', 'chromium-browser', 'google-chrome'].find(
  (name) => spawnSync(name, ['--version']).status === 0,
)
if (!chromium) console.warn('The page of benchmarks is not looked at: there is no chromium')

const WATCH = `<script>
const watched = []
addEventListener('error', (event) => watched.push(String(event.message)))
addEventListener('securitypolicyviolation', (event) => watched.push(event.violatedDirective))
</script>`
const TELL = `<script>
const names = () => [...document.querySelectorAll('#cases tbody tr')].map((row) => row.cells[0].textContent)
addEventListener('load', async () => {
  const later = () => new Promise((resolve) => setTimeout(resolve, 50))
  await later()
  const canvas = document.querySelector('canvas')
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height)
  const told = { watched, drawn: data.filter((value, i) => i % 4 === 3 && value > 0).length, first: names() }
  document.querySelector('#cases th').click()
  told.sorted = names()
  const [row] = shown.filter(({ family }) => family === 'view')
  const [x, y] = placeOf(row)
  const { left, top } = plot.over.getBoundingClientRect()
  const at = { clientX: left + plot.valToPos(x, 'x'), clientY: top + plot.valToPos(y, 'y'), bubbles: true }
  plot.over.dispatchEvent(new MouseEvent('mousemove', at))
  await later()
  told.pointed = document.getElementById('told').textContent
  for (const kind of ['mousedown', 'mouseup', 'click']) plot.over.dispatchEvent(new MouseEvent(kind, at))
  told.found = document.querySelector('tr.found')?.cells[0].textContent
  const filter = document.getElementById('filter')
  filter.value = 'SOFTMAX'
  filter.dispatchEvent(new Event('input'))
  told.filtered = names()
  filter.value = ''
  document.getElementById('small').checked = true
  filter.dispatchEvent(new Event('input'))
  told.all = names().length
  document.documentElement.dataset.told = encodeURIComponent(JSON.stringify(told))
})
</script>`

it.skipIf(!chromium)(
  'is drawn by a browser, sorts, filters, and finds the row of a point',
  { timeout: 120_000 },
  async () => {
    const folder = await temporaryFolder()
    const path = join(folder, 'bench.html')
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
    expect(told.drawn).toBeGreaterThan(2000)
    // The furthest behind first, without those at the shapes of their tests.
    expect(told.first).toEqual([HOSTILE, 'view: permute', 'softmax: softmax of rows of 512'])
    expect(told.sorted).toEqual([...told.first].sort())
    expect(told.pointed).toMatch(/^view: permute, f32 \[16384,512\]: 60 % of memory, 8\.00 GB\/s/)
    expect(told.found).toBe('view: permute')
    expect(told.filtered).toEqual(['softmax: softmax of rows of 512'])
    expect(told.all).toBe(4)
  },
)
