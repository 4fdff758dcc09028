// What a report holds of a run, and how it is found again in a page that was written before.
import { FormatError } from '../../runtime/errors.js'
import { Curve } from './curve.js'

export type RunState = 'running' | 'finished' | 'stopped'
export type Setting = string | number | boolean

/** Something that happened; `at` is milliseconds since 1970. */
export interface Note {
  readonly step: number
  readonly text: string
  readonly at: number
}

export interface ReportData {
  title: string
  state: RunState
  /** Milliseconds since 1970: when the run began, and when the page was written. */
  started: number
  updated: number
  /** How long it has run, without the time between a stop and the run that went on. */
  seconds: number
  /** The greatest step something was written of; -1 before the first. */
  step: number
  /** Seconds between two writings. */
  interval: number
  settings: [string, Setting][]
  notes: Note[]
  readonly curves: Map<string, Curve>
}

/** The first lines of a page, by which a report of ours is told. */
export const OPENING = '<!doctype html>\n<!-- heddle training report 1 -->\n'
export const DATA_BEGINS = '<script type="application/json" id="run">'
export const DATA_ENDS = '</script>'

/** JSON that can stand in a page's script: nothing in it ends the script or begins a comment. */
export const embedded = (value: unknown): string => JSON.stringify(value).replaceAll('<', '\\u003c')

const STATES: readonly unknown[] = ['running', 'finished', 'stopped'] satisfies RunState[]
const isText = (value: unknown): value is string => typeof value === 'string'
const isFinite = (value: unknown): value is number => Number.isFinite(value)
const isSetting = (value: unknown): boolean => isText(value) || typeof value === 'number' || typeof value === 'boolean'
const isListOf = (value: unknown, check: (item: unknown) => boolean): boolean =>
  Array.isArray(value) && value.every(check)
const isRow = (row: unknown, ...checks: ((item: unknown) => boolean)[]): boolean =>
  Array.isArray(row) && row.length === checks.length && checks.every((check, i) => check(row[i]))

/** What a page of ours holds. Throws `FormatError` for one of somebody else, and one that is damaged. */
export function readReport(page: string, file: string): ReportData {
  if (!page.startsWith(OPENING))
    throw new FormatError(
      `${file}: it is no training report of heddle, so it is left as it is; name another file`,
      file,
    )
  const damaged = (why: string, cause?: unknown): FormatError =>
    new FormatError(`${file}: this training report is damaged: ${why}; remove it, or name another file`, file, why, {
      cause,
    })
  const from = page.indexOf(DATA_BEGINS)
  const to = page.indexOf(DATA_ENDS, from)
  if (from === -1 || to === -1) throw damaged('its data are missing')
  let raw: Record<string, unknown>
  try {
    raw = JSON.parse(page.slice(from + DATA_BEGINS.length, to))
  } catch (cause) {
    throw damaged('its data are no JSON', cause)
  }
  const { title, state, started, updated, seconds, step, interval, settings, notes, curves } = raw ?? {}
  const right =
    isText(title) &&
    STATES.includes(state) &&
    [started, updated, seconds, interval].every(isFinite) &&
    Number.isSafeInteger(step) &&
    isListOf(settings, (row) => isRow(row, isText, isSetting)) &&
    isListOf(notes, (row) => isRow(row, isFinite, isText, isFinite)) &&
    isListOf(curves, (row) => isRow(row, isText, Array.isArray))
  if (!right) throw damaged('its data are not as they should be')
  return {
    ...({ title, state, started, updated, seconds, step, interval, settings } as Omit<ReportData, 'notes' | 'curves'>),
    notes: (notes as [number, string, number][]).map(([step, text, at]) => ({ step, text, at })),
    curves: new Map((curves as [string, unknown][]).map(([name, rows]) => [name, Curve.from(rows, name, file)])),
  }
}
