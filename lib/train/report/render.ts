// A report as one page of HTML that needs nothing else: its summary as text, its data as JSON, and the script that draws them.
import { formatDuration } from '../progress.js'
import { bestValues, chartsOf } from './charts.js'
import { CLIENT } from './client.js'
import { DATA_BEGINS, DATA_ENDS, embedded, OPENING, type ReportData } from './data.js'
import { chartLibrary } from './library.js'
import { STYLE } from './style.js'

/** Nothing is fetched, whatever stands in the page. */
const POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"

/** Text in a page. */
export const escaped = (text: string): string =>
  text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)

/** A step with its thousands apart; what the runtime has for that takes tens of milliseconds to load. */
const stepShown = (step: number): string => String(step).replace(/\B(?=(\d{3})+$)/g, ',')
const shown = (value: number): string => String(Number.isInteger(value) ? value : Number(value.toPrecision(6)))
const time = (milliseconds: number): string => {
  const iso = new Date(milliseconds).toISOString()
  return `<time datetime="${iso}">${iso.slice(0, 16).replace('T', ' ')} UTC</time>`
}
const fact = (name: string, value: string): string => `<div><dt>${name}</dt><dd>${value}</dd></div>`
/** A table; the column `long` takes the room that the others leave. */
const table = (name: string, head: readonly string[], long: number, rows: readonly (readonly string[])[]): string =>
  `<section><h2>${name}</h2><div class="wide"><table><thead><tr>${head.map((cell) => `<th>${cell}</th>`).join('')}</tr></thead>` +
  `<tbody>${rows.map((row) => `<tr>${row.map((cell, i) => `<td class="${i === long ? 'long' : 'short'}">${escaped(cell)}</td>`).join('')}</tr>`).join('\n')}</tbody></table></div></section>`

function summary(data: ReportData): string {
  const best = bestValues(data.curves)
  const facts = [
    fact('steps', data.step < 0 ? 'none yet' : stepShown(data.step)),
    fact('started', time(data.started)),
    fact('duration', formatDuration(data.seconds)),
    fact('written', time(data.updated)),
  ]
  const tables = [
    best.length > 0 &&
      table(
        'Best validation values',
        ['measure', '', 'value', 'at step', 'latest'],
        0,
        best.map(({ measure, which, value, step, latest }) => [
          measure,
          which,
          shown(value),
          stepShown(step),
          shown(latest),
        ]),
      ),
    data.settings.length > 0 &&
      table(
        'Settings',
        ['setting', 'value'],
        1,
        data.settings.map(([name, value]) => [name, String(value)]),
      ),
    data.notes.length > 0 &&
      table(
        'Notes',
        ['', 'step', 'what happened', 'when'],
        2,
        data.notes.map(({ step, text, at }, i) => [
          String(i + 1),
          stepShown(step),
          text,
          new Date(at).toISOString().slice(0, 16).replace('T', ' '),
        ]),
      ),
  ]
  return `<header><h1>${escaped(data.title)}</h1><span id="state" class="${data.state}">${data.state}</span></header>
<dl class="facts">${facts.join('')}</dl>
<div class="tables">${tables.filter(Boolean).join('\n')}</div>`
}

const CONTROLS = `<div class="controls">
<label>smoothing <input id="smoothing" type="range" min="0" max="100" value="0"> <output id="smoothed">off</output></label>
<label id="follow" hidden><input type="checkbox"> reload while it runs</label>
<span class="hint">drag over a chart to zoom, double-click to zoom out</span>
</div>`

/** The page in parts that follow one another; between them other work may be done, and a curve is as it is when its part is made. */
export function* reportParts(data: ReportData): Generator<string> {
  const library = chartLibrary()
  const curves = [...data.curves]
  yield `${OPENING}<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="${POLICY}">
<title>${escaped(data.title)}</title>
<style>${library.style}
${STYLE}</style>
</head>
<body>
${summary(data)}
${CONTROLS}
<noscript><p>The curves are drawn by a script, which is switched off here.</p></noscript>
<main id="charts"></main>
<footer id="footer"></footer>
`
  const { curves: _, notes, ...rest } = data
  const head = {
    ...rest,
    notes: notes.map(({ step, text, at }) => [step, text, at]),
    charts: chartsOf(curves.map(([name]) => name)),
  }
  yield `${DATA_BEGINS}${embedded(head).slice(0, -1)},"curves":[`
  for (const [i, [name, curve]] of curves.entries()) yield `${i > 0 ? ',' : ''}\n${embedded([name, curve.stored()])}`
  yield `\n]}${DATA_ENDS}
<!-- uPlot draws the charts:
${library.license.replaceAll('--', '- -')}
-->
<script>${library.script}</script>
<script>${CLIENT}</script>
</body>
</html>
`
}

/** The page of a report: self-contained HTML. */
export const renderReport = (data: ReportData): string => [...reportParts(data)].join('')
