// A benchmark as one page of HTML that needs nothing else: the roofline, a table that sorts, and the script for both.
import { embedded } from '../../train/report/data.js'
import { chartLibrary } from '../../train/report/library.js'
import { escaped } from '../../train/report/render.js'
import { STYLE } from '../../train/report/style.js'
import { type BenchResult, headline, type Row } from '../result.js'
import { formatSeconds, machineLines, summaryLines } from '../table.js'
import { CLIENT } from './client.js'
import { BENCH_STYLE } from './style.js'

/** Nothing is fetched, whatever stands in the page. */
const POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"

/** What the page's script knows of a row. */
const pointOf = (row: Row): Record<string, unknown> => {
  const { gflops, gbPerS } = headline(row)
  const { operations, bytes, steps } = row.work
  return {
    name: row.case,
    family: row.family,
    dtype: row.dtype,
    shapes: row.shapes.map((shape) => `[${shape}]`).join(' '),
    small: row.small,
    operations,
    bytes,
    steps,
    gflops,
    gbPerS,
    cold: [row.cold.p50, row.cold.p99],
    warm: [row.warm.p50, row.warm.p99],
    bound: row.bound,
    roofline: row.roofline,
    memory: row.memory.arenaBytes + row.memory.allocatedBytes,
    reason: row.reason ?? '',
    ratio: row.comparison?.ratio ?? null,
    verdict: row.comparison?.verdict ?? '',
  }
}

const fact = (name: string, value: string): string => `<div><dt>${name}</dt><dd>${escaped(value)}</dd></div>`

function summary(result: BenchResult): string {
  const { machine, heddle, node, written, failed } = result
  const peaks = Object.entries(machine.peaks).map(([dtype, { flopsPerSecond, by }]) =>
    fact(`${dtype}, by ${by}`, `${(flopsPerSecond / 1e9).toFixed(0)} GFLOP/s`),
  )
  const lost = failed.map(({ case: name, error }) => `<li>${escaped(`${name}: ${error}`)}</li>`)
  return `<header><h1>heddle bench</h1><span class="hint">${escaped(machineLines(machine)[0] as string)}</span></header>
<dl class="facts">${[
    fact('copy', `${(machine.copyBytesPerSecond / 1e9).toFixed(1)} GB/s`),
    fact('copy, ordinary stores', `${(machine.ordinaryCopyBytesPerSecond / 1e9).toFixed(1)} GB/s`),
    ...(machine.readBytesPerSecond ? [fact('reading', `${(machine.readBytesPerSecond / 1e9).toFixed(1)} GB/s`)] : []),
    ...peaks,
    fact('a call alone', formatSeconds(machine.callSeconds)),
    fact('heddle', heddle),
    fact('Node.js', node),
    fact('measured', `${written.slice(0, 16).replace('T', ' ')} UTC`),
  ].join('')}</dl>
<p class="hint">${summaryLines(result).map(escaped).join('<br>')}</p>
${lost.length > 0 ? `<section><h2>Failed</h2><ul>${lost.join('')}</ul></section>` : ''}`
}

/** The page: self-contained HTML. */
export function renderPage(result: BenchResult): string {
  const library = chartLibrary()
  const { machine } = result
  const data = {
    copy: machine.copyBytesPerSecond,
    peaks: Object.entries(machine.peaks).map(([dtype, { flopsPerSecond }]) => [dtype, flopsPerSecond]),
    rows: result.rows.map(pointOf),
    compares: result.rows.some(({ comparison }) => comparison),
  }
  return `<!doctype html>
<!-- heddle benchmark 1 -->
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="${POLICY}">
<title>heddle bench: ${escaped(machine.device)}</title>
<style>${library.style}
${STYLE}${BENCH_STYLE}</style>
</head>
<body>
${summary(result)}
<div class="controls">
<label>cases with <input id="filter" type="search" autocomplete="off"> in their names</label>
<label><input id="small" type="checkbox"> also those at the shapes of their tests</label>
<span id="shown" class="hint"></span>
</div>
<noscript><p>The roofline and the table are drawn by a script, which is switched off here.</p></noscript>
<section id="roofline">
<h2>Roofline</h2>
<div id="legend"></div>
<div id="told" class="values">point at a case</div>
<div id="plot"></div>
<p class="remark">Each point is a case: its operations per byte, and per second. The slope is what a copy of memory gives,
a level line what arithmetic in a dtype gives. Cases without arithmetic stand at the left edge, as far below the slope as
their bytes per second are below the copy's. Click a point to find its row.</p>
</section>
<section><h2>Cases</h2><div id="cases"></div></section>
<script type="application/json" id="bench">${embedded(data)}</script>
<!-- uPlot draws the roofline:
${library.license.replaceAll('--', '- -')}
-->
<script>${library.script}</script>
<script>${CLIENT}</script>
</body>
</html>
`
}
