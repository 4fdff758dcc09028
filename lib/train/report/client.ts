// The script of a report's page: draws the curves with uPlot, shows values under the pointer, smooths, zooms, reloads.

/** Runs in browsers as it stands here; it has no backticks and no backslashes, so that it can stand in a string. */
export const CLIENT = `
'use strict'
const run = JSON.parse(document.getElementById('run').textContent)
const curves = new Map(run.curves.map(([name, rows]) => [name, decode(rows)]))
const SMOOTHED_FROM = 20
const MARKED_UP_TO = 60
const HEIGHT = 260
let views = []

/** Curves as columns; a stretch stands at the middle of its steps. */
function decode(rows) {
  const curve = { x: [], mean: [], low: [], high: [], count: [], lost: [], thinned: 1 }
  for (const row of rows) {
    if (row.length === 2) {
      const [step, value] = row
      const finite = typeof value === 'number'
      curve.x.push(step)
      for (const column of [curve.mean, curve.low, curve.high]) column.push(finite ? value : null)
      curve.count.push(finite ? 1 : 0)
      if (!finite) curve.lost.push([step, value, 1])
    } else {
      const [first, last, count, mean, low, , high, , lost, value] = row
      const at = Math.round((first + last) / 2)
      curve.x.push(at)
      curve.mean.push(count > 0 ? mean : null)
      curve.low.push(count > 0 ? low : null)
      curve.high.push(count > 0 ? high : null)
      curve.count.push(count)
      if (lost > 0) curve.lost.push([at, value, lost])
      curve.thinned = Math.max(curve.thinned, count + lost)
    }
  }
  return curve
}

/** A mean over the values before, weighted by how many steps ago they were. */
function smooth(curve, steps) {
  let sum = 0
  let weight = 0
  return curve.mean.map((value, i) => {
    if (value === null) return null
    const decay = i > 0 ? Math.exp((curve.x[i - 1] - curve.x[i]) / steps) : 0
    sum = sum * decay + value * curve.count[i]
    weight = weight * decay + curve.count[i]
    return sum / weight
  })
}

const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim()
const COLOURS = 8
const USUAL = { train: 0, validation: 1, val: 1, valid: 1, evaluation: 1, eval: 1, test: 2 }
const colourOf = (label, i) => style('--line-' + (label in USUAL && Object.hasOwn(USUAL, label) ? USUAL[label] : i % COLOURS))

function number(value) {
  if (value === null || value === undefined) return '-'
  if (typeof value === 'string') return value
  const size = Math.abs(value)
  if (value === 0) return '0'
  if (size >= 1e7 || size < 1e-4) return value.toExponential(3)
  if (size >= 1e4) return Math.round(value).toLocaleString('en')
  return String(Number(value.toPrecision(5)))
}

function tick(value) {
  const size = Math.abs(value)
  if (value === 0) return '0'
  if (size >= 1e6 || size < 1e-3) return value.toExponential().replace('+', '')
  return size >= 1e4 ? Math.round(value).toLocaleString('en') : String(Number(value.toPrecision(6)))
}

const range = () => {
  let [from, to] = [Infinity, 0]
  for (const { x } of curves.values()) if (x.length > 0) [from, to] = [Math.min(from, x[0]), Math.max(to, x[x.length - 1])]
  return to > from ? to - from : 0
}
/** Steps that are smoothed over: up to a fifth of the run. */
const smoothing = () => range() * 0.2 * (Number(document.getElementById('smoothing').value) / 100) ** 2

function element(tag, className, text) {
  const made = document.createElement(tag)
  if (className) made.className = className
  if (text !== undefined) made.textContent = text
  return made
}

/** What was chosen stays when the page is loaded again; pages without storage forget it. */
const memory = {
  key: 'heddle ' + location.pathname,
  read() {
    try {
      return JSON.parse(sessionStorage.getItem(this.key)) || {}
    } catch {
      return {}
    }
  },
  write(values) {
    try {
      sessionStorage.setItem(this.key, JSON.stringify({ ...this.read(), ...values }))
    } catch {}
  },
}

/** Lines of a chart as uPlot takes them: one table of steps for all. */
function tableOf(chart, logarithmic) {
  const scaled = (values) =>
    values.map((value) => (value === null || (logarithmic && value <= 0) ? null : value / chart.divisor))
  const over = smoothing()
  const lines = chart.lines.map((line, i) => {
    const curve = curves.get(line.name)
    const smoothed = over > 0 && curve.x.length > SMOOTHED_FROM
    return { ...line, curve, smoothed, banded: curve.thinned > 1, colour: colourOf(line.label, i) }
  })
  const tables = []
  const series = [{}]
  const bands = []
  for (const line of lines) {
    const columns = [line.curve.x]
    // Drawn, not only filled: a stretch is narrower than a pixel, and its outlier must be seen.
    const edge = { stroke: line.colour + '50', width: 1, points: { show: false } }
    const add = (values, options) => {
      columns.push(scaled(values))
      return series.push(options) - 1
    }
    if (line.banded) {
      const high = add(line.curve.high, edge)
      const low = add(line.curve.low, edge)
      bands.push({ series: [high, low], fill: line.colour + '2e' })
    }
    const marked = line.curve.x.length <= MARKED_UP_TO
    const points = { show: marked, size: 5, fill: line.colour }
    add(line.curve.mean, { stroke: line.smoothed ? line.colour + '55' : line.colour, width: line.smoothed ? 1 : 1.5, points })
    if (line.smoothed) {
      line.over = smooth(line.curve, over)
      add(line.over, { stroke: line.colour, width: 2, points: { show: false } })
    }
    tables.push(columns)
  }
  return { lines, series, bands, data: uPlot.join(tables) }
}

/** Notes as numbered lines, and a mark at the foot for values that are no finite numbers. */
function drawMarks(u, lines) {
  const { ctx, bbox } = u
  const unit = devicePixelRatio
  ctx.save()
  ctx.font = 10 * unit + 'px system-ui, sans-serif'
  ctx.textAlign = 'center'
  ctx.textBaseline = 'bottom'
  ctx.lineWidth = unit
  ctx.strokeStyle = ctx.fillStyle = style('--note')
  const crowds = []
  const order = run.notes.map(([step], i) => [step, i + 1]).sort((a, b) => a[0] - b[0])
  for (const [step, label] of order) {
    const x = u.valToPos(step, 'x', true)
    if (!(x >= bbox.left && x <= bbox.left + bbox.width)) continue
    ctx.setLineDash([3 * unit, 3 * unit])
    ctx.beginPath()
    ctx.moveTo(x, bbox.top)
    ctx.lineTo(x, bbox.top + bbox.height)
    ctx.stroke()
    const crowd = crowds[crowds.length - 1]
    if (crowd && x - crowd.x < 20 * unit) crowd.labels.push(label)
    else crowds.push({ x, labels: [label] })
  }
  for (const { x, labels } of crowds)
    ctx.fillText(labels.length < 3 ? labels.join(',') : labels[0] + ',…', x, bbox.top - unit)
  ctx.setLineDash([])
  ctx.fillStyle = style('--lost')
  for (const { curve } of lines)
    for (const [step] of curve.lost) {
      const x = u.valToPos(step, 'x', true)
      if (!(x >= bbox.left && x <= bbox.left + bbox.width)) continue
      const foot = bbox.top + bbox.height
      ctx.beginPath()
      ctx.moveTo(x, foot - 8 * unit)
      ctx.lineTo(x - 4 * unit, foot)
      ctx.lineTo(x + 4 * unit, foot)
      ctx.fill()
    }
  ctx.restore()
}

/** The place of the step that is nearest. */
function nearest(x, step) {
  let low = 0
  let high = x.length - 1
  while (low < high) {
    const middle = (low + high) >> 1
    if (x[middle] < step) low = middle + 1
    else high = middle
  }
  return low > 0 && step - x[low - 1] < x[low] - step ? low - 1 : low
}

/** The values at a step, or the last ones. */
function readout(view, step) {
  const { chart, lines } = view
  view.values.replaceChildren()
  const places = lines.map(({ curve }) => (step === undefined ? curve.x.length - 1 : nearest(curve.x, step)))
  const steps = lines.map(({ curve }, i) => curve.x[places[i]])
  const main = Math.max(...steps.filter((one) => one !== undefined && (step === undefined || Math.abs(one - step) === Math.min(...steps.map((other) => Math.abs(other - step))))))
  view.values.append(element('span', 'step', (step === undefined ? 'latest: step ' : 'step ') + main.toLocaleString('en')))
  lines.forEach(({ label, curve, colour, smoothed, over }, i) => {
    const at = places[i]
    const entry = element('span', 'entry')
    const swatch = element('i')
    swatch.style.background = colour
    const scaled = (value) => (typeof value === 'number' ? number(value / chart.divisor) : value)
    const lost = curve.lost.find(([where]) => where === curve.x[at])
    let text = label + ' ' + (curve.mean[at] === null ? lost[1] : scaled(curve.mean[at])) + (chart.unit ? ' ' + chart.unit : '')
    if (curve.count[at] > 1) text += ' (' + scaled(curve.low[at]) + ' to ' + scaled(curve.high[at]) + ')'
    if (smoothed && over[at] !== null) text += ', smoothed ' + scaled(over[at])
    if (curve.x[at] !== main) text += ' at ' + curve.x[at].toLocaleString('en')
    entry.append(swatch, text)
    view.values.append(entry)
  })
  // Once it took two lines it keeps them, so that the chart below stands still.
  const tall = view.values.offsetHeight
  if (tall > view.tall) view.values.style.minHeight = (view.tall = tall) + 'px'
}

/** What a reader should know of how a chart was made. */
function remarks({ lines }, logarithmic) {
  const said = []
  const thinned = lines.filter(({ banded }) => banded)
  if (thinned.length > 0)
    said.push(
      thinned.map(({ label }) => label).join(', ') + ': mean of up to ' +
        Math.max(...thinned.map(({ curve }) => curve.thinned)).toLocaleString('en') + ' values, band from least to greatest',
    )
  for (const { label, curve } of lines) {
    const lost = curve.lost.reduce((sum, [, , count]) => sum + count, 0)
    if (lost > 0)
      said.push(
        lost.toLocaleString('en') + ' of ' + label + (lost === 1 ? ' is' : ' are') + ' not finite, first ' + curve.lost[0][1] +
          ' at step ' + curve.lost[0][0].toLocaleString('en') + ' (triangles)',
      )
    if (logarithmic && curve.low.some((value) => value !== null && value <= 0))
      said.push('values of ' + label + ' that are not above 0 are left out on a log scale')
  }
  return said.join('; ')
}

/** Bounds of one digit, which are ticks; whole decades where there would be no others. */
function decades(u, low, high) {
  if (low === null || !(low > 0)) return [0.1, 10]
  if (high / low < 4) return uPlot.rangeLog(low, high, 10, true)
  const digit = (value, round) => {
    const power = Math.floor(Math.log10(value))
    return Number(round(value / 10 ** power) + 'e' + power)
  }
  return [digit(low, Math.floor), digit(high, Math.ceil)]
}

function draw(view) {
  const { chart, host, log } = view
  if (view.plot) view.plot.destroy()
  const logarithmic = log.checked
  const { lines, series, bands, data } = tableOf(chart, logarithmic)
  view.lines = lines
  const axis = { stroke: style('--text-soft'), grid: { stroke: style('--grid'), width: 1 }, ticks: { stroke: style('--grid'), width: 1, size: 4 }, font: '11px system-ui, sans-serif' }
  const widest = (u, labels) => 14 + 6.5 * Math.max(2, ...(labels || []).map((label) => (label || '').length))
  view.plot = new uPlot(
    {
      width: host.clientWidth,
      height: HEIGHT,
      series,
      bands,
      legend: { show: false },
      padding: [14, 24, 0, 0],
      scales: { x: { time: false }, y: logarithmic ? { distr: 3, range: decades } : {} },
      cursor: { sync: { key: 'steps', scales: ['x', null] }, points: { show: false }, y: false, drag: { x: true, y: false } },
      axes: [
        { ...axis, size: 28, values: (u, steps) => steps.map((step) => (Number.isInteger(step) ? step.toLocaleString('en') : '')) },
        { ...axis, size: widest, values: (u, values) => values.map((value) => (value === null ? '' : tick(value))) },
      ],
      hooks: {
        draw: [(u) => drawMarks(u, lines)],
        setCursor: [(u) => readout(view, u.cursor.left >= 0 ? u.posToVal(u.cursor.left, 'x') : undefined)],
      },
    },
    data,
    host,
  )
  readout(view)
  view.remark.textContent = remarks(view, logarithmic)
}

function build() {
  const chosen = memory.read()
  const main = document.getElementById('charts')
  if (run.charts.length === 0) main.append(element('p', 'hint', 'No values have been written yet.'))
  for (const chart of run.charts) {
    const section = element('section', 'chart')
    const head = element('div', 'head')
    const label = element('label')
    const log = element('input')
    log.type = 'checkbox'
    log.checked = (chosen.logs || []).includes(chart.title)
    label.append(log, ' log scale')
    head.append(element('h2', '', chart.title + (chart.unit ? ' / ' + chart.unit : '')), label)
    const view = { chart, log, tall: 0, host: element('div', 'host'), values: element('div', 'values'), remark: element('p', 'remark') }
    view.host.setAttribute('role', 'img')
    view.host.setAttribute('aria-label', chart.title + ' by step')
    section.append(head, view.values, view.host, view.remark)
    main.append(section)
    views.push(view)
    log.addEventListener('change', () => {
      memory.write({ logs: views.filter((one) => one.log.checked).map((one) => one.chart.title) })
      draw(view)
    })
    new ResizeObserver(() => {
      if (!view.plot || view.host.clientWidth === 0 || view.plot.width === view.host.clientWidth) return
      view.values.style.minHeight = ''
      view.tall = 0
      view.plot.setSize({ width: view.host.clientWidth, height: HEIGHT })
    }).observe(view.host)
  }
}

function controls() {
  const slider = document.getElementById('smoothing')
  const shown = document.getElementById('smoothed')
  slider.value = memory.read().smoothing || 0
  const tell = () => {
    const steps = smoothing()
    shown.textContent = steps > 0 ? 'over ' + Number(steps.toPrecision(2)).toLocaleString('en') + ' steps' : 'off'
  }
  slider.addEventListener('input', () => {
    memory.write({ smoothing: slider.value })
    tell()
    views.forEach(draw)
  })
  tell()
  const follow = document.getElementById('follow')
  const box = follow.querySelector('input')
  follow.hidden = run.state !== 'running'
  box.checked = memory.read().follow === true
  box.addEventListener('change', () => memory.write({ follow: box.checked }))
  if (run.state === 'running') setInterval(() => box.checked && location.reload(), Math.max(5, run.interval) * 1000)
}

/** A run that was killed could not say so: how long nothing was heard of it. */
function age() {
  const minutes = (Date.now() - run.updated) / 60000
  const quiet = Math.max(10, run.interval / 6)
  if (run.state !== 'running' || minutes < quiet) return
  const state = document.getElementById('state')
  const hours = minutes / 60
  const ago = hours < 2 ? Math.round(minutes) + ' minutes' : hours < 48 ? Math.round(hours) + ' hours' : Math.round(hours / 24) + ' days'
  state.textContent = 'nothing written for ' + ago
  state.className = 'quiet'
}

for (const time of document.querySelectorAll('time')) time.textContent = new Date(time.dateTime).toLocaleString()
controls()
build()
views.forEach(draw)
age()
setInterval(age, 60000)
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => views.forEach(draw))
for (const [event, printed] of [['beforeprint', true], ['afterprint', false]])
  addEventListener(event, () => {
    document.documentElement.classList.toggle('print', printed)
    views.forEach(draw)
  })
`
