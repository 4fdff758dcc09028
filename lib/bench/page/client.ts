// The script of a benchmark's page: draws the roofline with uPlot, sorts and filters the table, ties both together.

/** Runs in browsers as it stands here; it has no backticks and no backslashes, so that it can stand in a string. */
export const CLIENT = `
'use strict'
const bench = JSON.parse(document.getElementById('bench').textContent)
const families = [...new Set(bench.rows.map(({ family }) => family))]
const hidden = new Set()
const HEIGHT = 460
const COLOURS = 8
const SHAPES = ['round', 'square', 'diamond']
let plot
let shown = []
let sorted = { key: 'roofline', down: false }

const byId = (id) => document.getElementById(id)
const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim()
const colourOf = (family) => style('--line-' + (families.indexOf(family) % COLOURS))
const shapeOf = (family) => SHAPES[Math.floor(families.indexOf(family) / COLOURS)]

function element(tag, className, text) {
  const made = document.createElement(tag)
  if (className) made.className = className
  if (text !== undefined) made.textContent = text
  return made
}

const digits = (value) => (value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2))
function seconds(value) {
  if (value >= 1) return digits(value) + ' s'
  return value >= 1e-3 ? digits(value * 1e3) + ' ms' : digits(value * 1e6) + ' us'
}
function bytes(value) {
  const units = ['B', 'KiB', 'MiB', 'GiB']
  let unit = 0
  while (value >= 1024 && unit < 3) {
    value /= 1024
    unit++
  }
  return (unit === 0 ? value : digits(value)) + ' ' + units[unit]
}
const share = (value) => (100 * value).toFixed(value < 0.1 ? 1 : 0) + ' %'

/** Operations per byte; at the left edge where there are none. */
const leftEdge = () => {
  const some = bench.rows.filter(({ operations, bytes }) => operations > 0 && bytes > 0)
  return 10 ** Math.floor(Math.log10(Math.min(0.1, ...some.map(({ operations, bytes }) => operations / bytes)))) / 2
}
const EDGE = leftEdge()
function placeOf(row) {
  if (row.operations > 0 && row.bytes > 0) return [row.operations / row.bytes, row.gflops]
  return [EDGE, row.gbPerS * EDGE]
}

function chosen() {
  const text = byId('filter').value.trim().toLowerCase()
  const small = byId('small').checked
  return bench.rows.filter(
    (row) => (small || !row.small) && !hidden.has(row.family) && (row.name + ' ' + row.dtype).toLowerCase().includes(text),
  )
}

/** Under both axes powers of ten. */
function decade(value) {
  if (value === null) return ''
  const power = Math.log10(value)
  if (Math.abs(power - Math.round(power)) > 1e-6) return ''
  return value >= 1e4 || value < 1e-3 ? '1e' + Math.round(power) : String(Number(value.toPrecision(3)))
}

function mark(ctx, shape, x, y, r) {
  ctx.beginPath()
  if (shape === 'round') ctx.arc(x, y, r, 0, 2 * Math.PI)
  else if (shape === 'square') ctx.rect(x - r, y - r, 2 * r, 2 * r)
  else {
    ctx.moveTo(x, y - 1.3 * r)
    ctx.lineTo(x + 1.3 * r, y)
    ctx.lineTo(x, y + 1.3 * r)
    ctx.lineTo(x - 1.3 * r, y)
    ctx.closePath()
  }
}

function drawRoofs(u) {
  const { ctx, bbox } = u
  const unit = devicePixelRatio
  const x = (value) => u.valToPos(value, 'x', true)
  const y = (value) => u.valToPos(value, 'y', true)
  const [low, high] = [u.scales.x.min, u.scales.x.max]
  const copy = bench.copy / 1e9
  const peaks = bench.peaks.map(([dtype, flops]) => [dtype, flops / 1e9]).sort((a, b) => b[1] - a[1])
  ctx.save()
  ctx.beginPath()
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height)
  ctx.clip()
  ctx.font = 11 * unit + 'px system-ui, sans-serif'
  ctx.lineWidth = 1.5 * unit
  ctx.strokeStyle = ctx.fillStyle = style('--text-soft')
  const top = peaks.length > 0 ? peaks[0][1] : copy * high
  ctx.beginPath()
  ctx.moveTo(x(low), y(low * copy))
  ctx.lineTo(x(top / copy), y(top))
  ctx.stroke()
  let above = -Infinity
  for (const [dtype, peak] of peaks) {
    ctx.beginPath()
    ctx.moveTo(x(peak / copy), y(peak))
    ctx.lineTo(x(high), y(peak))
    ctx.stroke()
    ctx.textAlign = 'right'
    ctx.textBaseline = 'bottom'
    const at = Math.max(y(peak) - 3 * unit, above + 13 * unit)
    above = at
    ctx.fillText(dtype + ' ' + digits(peak) + ' GFLOP/s', x(high) - 6 * unit, at)
  }
  // Along the slope, which is as steep as the axes make it.
  const [from, to] = [EDGE * 1.3, EDGE * 13]
  ctx.translate(x(from), y(from * copy))
  ctx.rotate(Math.atan2(y(to * copy) - y(from * copy), x(to) - x(from)))
  ctx.textAlign = 'left'
  ctx.textBaseline = 'bottom'
  ctx.fillText('copy ' + digits(copy) + ' GB/s', 0, -4 * unit)
  ctx.restore()
}

function drawPoints(u) {
  const { ctx, bbox } = u
  const unit = devicePixelRatio
  ctx.save()
  ctx.beginPath()
  ctx.rect(bbox.left - 6 * unit, bbox.top, bbox.width + 12 * unit, bbox.height)
  ctx.clip()
  ctx.lineWidth = unit
  for (const row of shown) {
    const [px, py] = placeOf(row)
    const colour = colourOf(row.family)
    ctx.fillStyle = colour + 'b0'
    ctx.strokeStyle = colour
    mark(ctx, shapeOf(row.family), u.valToPos(px, 'x', true), u.valToPos(py, 'y', true), 3.5 * unit)
    ctx.fill()
    ctx.stroke()
  }
  ctx.restore()
}

/** The case under the pointer. */
function nearest(u) {
  let best
  let distance = 14
  for (const row of shown) {
    const [px, py] = placeOf(row)
    const away = Math.hypot(u.valToPos(px, 'x') - u.cursor.left, u.valToPos(py, 'y') - u.cursor.top)
    if (away < distance) [best, distance] = [row, away]
  }
  return best
}

function tell(row) {
  byId('told').textContent = row
    ? row.name + ', ' + row.dtype + ' ' + row.shapes + ': ' + share(row.roofline) + ' of ' + row.bound + ', ' +
      (row.operations > 0 ? digits(row.gflops) + ' GFLOP/s, ' : '') + digits(row.gbPerS) + ' GB/s' + (row.reason ? ' (' + row.reason + ')' : '')
    : 'point at a case'
}

const powers = (least, most) => [10 ** Math.floor(Math.log10(least)), 10 ** Math.ceil(Math.log10(most))]

function draw() {
  if (plot) plot.destroy()
  const all = bench.rows.map(placeOf)
  const copy = bench.copy / 1e9
  const peaks = bench.peaks.map(([, flops]) => flops / 1e9)
  const x = [EDGE * 0.8, Math.max(1000, ...all.map(([px]) => px)) * 1.5]
  const y = powers(Math.min(EDGE * copy, ...all.map(([, py]) => py).filter((py) => py > 0)) / 2, Math.max(copy, ...peaks) * 1.1)
  const axis = { stroke: style('--text-soft'), grid: { stroke: style('--grid'), width: 1 }, ticks: { show: false }, font: '11px system-ui, sans-serif', labelFont: '12px system-ui, sans-serif' }
  const values = (u, splits) => splits.map(decade)
  plot = new uPlot(
    {
      width: byId('plot').clientWidth,
      height: HEIGHT,
      legend: { show: false },
      padding: [10, 16, 0, 0],
      series: [{}, { paths: () => null, points: { show: false } }],
      scales: { x: { time: false, distr: 3, log: 10, range: () => x }, y: { distr: 3, log: 10, range: () => y } },
      axes: [
        { ...axis, label: 'operations per byte', size: 26, labelSize: 18, values },
        { ...axis, label: 'GFLOP/s', size: 46, labelSize: 18, values },
      ],
      cursor: { points: { show: false }, drag: { x: false, y: false } },
      hooks: { draw: [drawRoofs, drawPoints], setCursor: [(u) => tell(u.cursor.left >= 0 ? nearest(u) : undefined)] },
    },
    [x, [null, null]],
    byId('plot'),
  )
  plot.over.addEventListener('click', () => {
    const row = nearest(plot)
    if (row) find(row)
  })
}

const COLUMNS = [
  ['name', 'case', (row) => row.name, 'name'],
  ['dtype', 'dtype', (row) => row.dtype, 'soft'],
  ['shapes', 'shapes', (row) => row.shapes, 'soft'],
  ['cold', 'cold p50', (row) => seconds(row.cold[0]), 'number', (row) => row.cold[0]],
  ['cold99', 'p99', (row) => seconds(row.cold[1]), 'number', (row) => row.cold[1]],
  ['warm', 'warm p50', (row) => seconds(row.warm[0]), 'number', (row) => row.warm[0]],
  ['warm99', 'p99', (row) => seconds(row.warm[1]), 'number', (row) => row.warm[1]],
  ['gflops', 'GFLOP/s', (row) => (row.operations > 0 ? digits(row.gflops) : '-'), 'number', (row) => row.gflops],
  ['gbPerS', 'GB/s', (row) => digits(row.gbPerS), 'number', (row) => row.gbPerS],
  ['roofline', 'roofline', (row) => share(row.roofline), 'number', (row) => row.roofline],
  ['bound', 'bound by', (row) => row.bound, 'soft'],
  ['memory', 'memory', (row) => bytes(row.memory), 'number', (row) => row.memory],
  ...(bench.compares ? [['ratio', 'now / baseline', (row) => (row.ratio === null ? '-' : row.ratio.toFixed(2)), 'number', (row) => row.ratio || 0]] : []),
  ['reason', 'reason', (row) => (row.roofline < 0.8 ? row.reason : ''), 'soft reason'],
]

function table() {
  const made = element('table')
  const head = made.createTHead().insertRow()
  for (const [key, title, , kind] of COLUMNS) {
    const cell = element('th', kind === 'number' ? 'number' : '', title + (sorted.key === key ? (sorted.down ? ' ▼' : ' ▲') : ''))
    cell.scope = 'col'
    if (sorted.key === key) cell.setAttribute('aria-sort', sorted.down ? 'descending' : 'ascending')
    cell.tabIndex = 0
    const sort = () => {
      sorted = { key, down: sorted.key === key ? !sorted.down : kind === 'number' && key !== 'roofline' }
      table()
    }
    cell.addEventListener('click', sort)
    cell.addEventListener('keydown', (event) => event.key === 'Enter' && sort())
    head.append(cell)
  }
  const [, , text, , value] = COLUMNS.find(([key]) => key === sorted.key)
  const by = value || text
  const order = [...shown].sort((a, b) => (by(a) < by(b) ? -1 : by(a) > by(b) ? 1 : 0) * (sorted.down ? -1 : 1))
  const body = made.createTBody()
  for (const row of order) {
    const line = body.insertRow()
    line.dataset.case = row.name + ' ' + row.dtype
    for (const [key, , show, kind] of COLUMNS) {
      const cell = line.insertCell()
      cell.className = kind + (key === 'ratio' ? ' ' + row.verdict : '')
      cell.textContent = show(row)
      if (key === 'roofline') {
        const bar = element('span', 'bar')
        const fill = element('i', row.roofline < 0.8 ? 'behind' : '')
        fill.style.width = Math.min(100, 100 * row.roofline) + '%'
        bar.append(fill)
        cell.append(bar)
      }
    }
  }
  byId('cases').replaceChildren(made)
}

function find(row) {
  for (const line of document.querySelectorAll('#cases tr.found')) line.classList.remove('found')
  const line = [...document.querySelectorAll('#cases tr')].find((one) => one.dataset.case === row.name + ' ' + row.dtype)
  if (!line) return
  line.classList.add('found')
  line.scrollIntoView({ block: 'center' })
}

function legend() {
  byId('legend').replaceChildren(
    ...families.map((family) => {
      const button = element('button', hidden.has(family) ? 'off' : '')
      const swatch = element('i')
      swatch.style.background = colourOf(family)
      if (shapeOf(family) !== 'round') swatch.style.borderRadius = '0'
      if (shapeOf(family) === 'diamond') swatch.style.transform = 'rotate(45deg)'
      button.append(swatch, family)
      button.addEventListener('click', () => {
        if (hidden.has(family)) hidden.delete(family)
        else hidden.add(family)
        update()
      })
      return button
    }),
  )
}

function update() {
  shown = chosen()
  byId('shown').textContent = shown.length + ' of ' + bench.rows.length + ' cases'
  legend()
  table()
  draw()
}

byId('small').checked = bench.rows.every(({ small }) => small)
byId('filter').addEventListener('input', update)
byId('small').addEventListener('change', update)
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', update)
new ResizeObserver(() => {
  if (plot && plot.width !== byId('plot').clientWidth) plot.setSize({ width: byId('plot').clientWidth, height: HEIGHT })
}).observe(byId('plot'))
update()
document.documentElement.dataset.drawn = String(shown.length)
`
