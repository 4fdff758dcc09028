// uPlot's script, style and licence, read once from its package to stand in every page.
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { HeddleError } from '../../runtime/errors.js'

export interface ChartLibrary {
  readonly script: string
  readonly style: string
  readonly license: string
}

let read: ChartLibrary | undefined

/** Throws `HeddleError` where the package is missing. */
export function chartLibrary(): ChartLibrary {
  const { resolve } = createRequire(import.meta.url)
  const text = (file: string): string => readFileSync(resolve(`uplot/${file}`), 'utf8').trim()
  try {
    read ??= {
      script: text('dist/uPlot.iife.min.js'),
      style: text('dist/uPlot.min.css'),
      license: text('LICENSE'),
    }
  } catch (cause) {
    throw new HeddleError('HtmlReport: it needs the package uplot, which can not be read; npm install uplot', { cause })
  }
  return read
}
