// heddle report: finds a run's report, or makes it of the run's logs, and opens it.
import { spawn } from 'node:child_process'
import { createReadStream } from 'node:fs'
import { open, readdir, readFile, stat } from 'node:fs/promises'
import { basename, join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { parseArgs } from 'node:util'
import { parse } from 'csv-parse'
import { replaceFile } from '../io/durable.js'
import { FormatError } from '../runtime/errors.js'
import { Curve } from '../train/report/curve.js'
import { OPENING, type ReportData, readReport } from '../train/report/data.js'
import { renderReport } from '../train/report/render.js'

const isReport = async (path: string): Promise<boolean> => {
  await using handle = await open(path)
  const start = Buffer.alloc(OPENING.length)
  await handle.read(start, 0, start.length, 0)
  return start.toString() === OPENING
}

/** Whether it was made of logs: those are all its settings. */
const isOfLogs = async (path: string): Promise<boolean> =>
  readReport(await readFile(path, 'utf8'), path).settings.every(([name]) => name === 'log')

/** The newest of files, by when they were written. */
async function newest(paths: readonly string[]): Promise<string | undefined> {
  const dated = await Promise.all(paths.map(async (path) => ({ path, at: (await stat(path)).mtimeMs })))
  return dated.sort((a, b) => b.at - a.at)[0]?.path
}

type Found = { readonly report: string } | { readonly logs: readonly string[] }

const isLog = (name: string): boolean => /\.(jsonl|ndjson|csv)$/.test(name)

/** What there is of a run: its report, beside its folder or in it, or else its logs. */
async function find(run: string): Promise<Found> {
  const path = resolve(run)
  const information = await stat(path).catch(() => undefined)
  // `report: 'runs/digits.html'` lies beside `checkpoint: 'runs/digits'`.
  const beside = `${path}.html`
  if ((await stat(beside).catch(() => undefined))?.isFile() && (await isReport(beside))) return { report: beside }
  if (!information) throw new FormatError(`${run}: there is no such run, and no report ${beside}`, run)
  if (information.isFile()) {
    if (isLog(path)) return { logs: [path] }
    if (await isReport(path)) return { report: path }
    throw new FormatError(`${run}: it is no report of heddle, and no log (.jsonl, .csv)`, run)
  }
  const files = (await readdir(path, { withFileTypes: true })).filter((entry) => entry.isFile())
  const named = (fits: (name: string) => boolean): string[] =>
    files.flatMap(({ name }) => (fits(name) ? [join(path, name)] : []))
  const pages: string[] = []
  for (const page of named((name) => name.endsWith('.html'))) if (await isReport(page)) pages.push(page)
  const report = await newest(pages)
  const logs = named(isLog)
  // A page that was made of the logs is made again, as they may have grown.
  if (report && !(logs.length > 0 && (await isOfLogs(report)))) return { report }
  if (logs.length > 0) return { logs }
  throw new FormatError(
    `${run}: it has no report and no log to make one of (.jsonl, .csv); a training writes one with \`report: 'run.html'\``,
    run,
  )
}

/** What JSON has no numbers for is a string: as JsonLinesLog writes it. */
const numberOf = (value: unknown): number | undefined => {
  if (typeof value === 'number') return value
  if (typeof value === 'string' && /^(NaN|-?Infinity|[-+]?[\d.]+(e[-+]?\d+)?)$/i.test(value)) return Number(value)
  return undefined
}

class Gathered {
  readonly curves = new Map<string, Curve>()
  readonly notes: ReportData['notes'] = []
  step = -1

  row(file: string, line: number, row: Readonly<Record<string, unknown>>, at: number): void {
    const { step: given, note, ...values } = row
    const step = numberOf(given)
    if (step === undefined || !Number.isSafeInteger(step) || step < 0)
      throw new FormatError(`${file}:${line}: its step is no integer from 0 up, so it is no log of heddle`, file, line)
    this.step = Math.max(this.step, step)
    if (typeof note === 'string') this.notes.push({ step, text: note, at })
    for (const [name, value] of Object.entries(values)) {
      const number = numberOf(value)
      if (number === undefined) continue
      let curve = this.curves.get(name)
      if (!curve) this.curves.set(name, (curve = new Curve()))
      curve.add(step, number)
    }
  }
}

async function gather(file: string, into: Gathered, at: number): Promise<void> {
  if (file.endsWith('.csv')) {
    const rows = createReadStream(file).pipe(parse({ columns: true, skip_empty_lines: true, bom: true }))
    let line = 1
    try {
      for await (const row of rows) into.row(file, ++line, row as Record<string, string>, at)
    } catch (cause) {
      if (cause instanceof FormatError) throw cause
      throw new FormatError(`${file}: it is no table: ${(cause as Error).message}`, file, line, { cause })
    }
    return
  }
  let line = 0
  for await (const text of createInterface({ input: createReadStream(file), crlfDelay: Number.POSITIVE_INFINITY })) {
    line++
    if (text.trim() === '') continue
    let row: unknown
    try {
      row = JSON.parse(text)
    } catch (cause) {
      throw new FormatError(`${file}:${line}: it is no JSON: ${(cause as Error).message}`, file, line, { cause })
    }
    if (typeof row !== 'object' || row === null)
      throw new FormatError(`${file}:${line}: it is no object, so it is no line of a log`, file, line)
    into.row(file, line, row as Record<string, unknown>, at)
  }
}

/** Makes a page of logs. */
async function make(run: string, logs: readonly string[], out: string): Promise<void> {
  const gathered = new Gathered()
  const dates = await Promise.all(logs.map((log) => stat(log)))
  const updated = Math.max(...dates.map(({ mtimeMs }) => mtimeMs))
  const started = Math.min(updated, ...dates.map(({ birthtimeMs }) => birthtimeMs || updated))
  for (const log of logs) await gather(log, gathered, updated)
  const data: ReportData = {
    title: basename(resolve(run)),
    state: 'finished',
    started: Math.round(started),
    updated: Math.round(updated),
    seconds: (updated - started) / 1000,
    step: gathered.step,
    interval: 30,
    settings: logs.map((log) => ['log', log]),
    notes: gathered.notes,
    curves: gathered.curves,
  }
  await replaceFile(out, [Buffer.from(renderReport(data))])
}

const OPENERS: Readonly<Record<string, readonly string[]>> = {
  darwin: ['open'],
  win32: ['cmd', '/c', 'start', ''],
}

/** Opens a page with what the system opens pages with; says so where there is nothing. */
function show(path: string): Promise<void> {
  const [command = 'xdg-open', ...argv] = OPENERS[process.platform] ?? ['xdg-open']
  return new Promise((settle) => {
    const opener = spawn(command, [...argv, path], { stdio: 'ignore', detached: true })
    opener.on('error', () => {
      console.error(`heddle report: there is no ${command} here to open it with; open it in a browser`)
      settle()
    })
    opener.on('spawn', () => {
      opener.unref()
      settle()
    })
  })
}

const USAGE = `Usage: heddle report RUN [--no-open] [--out FILE]

Opens the report of a run: an HTML file that a training wrote, or a folder that has one, in it or beside it. Where there
is none it is made of the run's logs (.jsonl, .csv) and written to FILE, by default report.html in the run's folder, or
beside the log. Prints the page's path. Exit code 1 where there is nothing to show.`

/** Runs the command and gives its exit code. */
export async function report(argv: readonly string[]): Promise<number> {
  let parsed: { values: { 'no-open'?: boolean; out?: string; help?: boolean }; positionals: string[] }
  try {
    parsed = parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: { 'no-open': { type: 'boolean' }, out: { type: 'string' }, help: { type: 'boolean' } },
    })
  } catch (error) {
    console.error(`heddle report: ${(error as Error).message}\n\n${USAGE}`)
    return 2
  }
  const { values, positionals } = parsed
  const [run] = positionals
  if (values.help || run === undefined || positionals.length > 1) {
    ;(values.help ? console.log : console.error)(USAGE)
    return values.help ? 0 : 2
  }
  try {
    const found = await find(run)
    let page: string
    if ('report' in found) page = found.report
    else {
      const folder = (await stat(run)).isDirectory()
      page = resolve(values.out ?? (folder ? join(run, 'report.html') : `${run.replace(/\.\w+$/, '')}.html`))
      if ((await stat(page).catch(() => undefined)) && !(await isReport(page)))
        throw new FormatError(
          `${page}: it is no report of heddle, so it is left as it is; name another with --out`,
          page,
        )
      await make(run, found.logs, page)
    }
    console.log(page)
    if (!values['no-open']) await show(page)
    return 0
  } catch (error) {
    console.error(`heddle report: ${(error as Error).message.replaceAll('\n', ' ')}`)
    return 1
  }
}
