// JSON lines and lines of text as streams of samples, a bounded piece of the file in memory at a time.
import { integerFrom, optionsOf } from '../ops/arguments.js'
import { DataError } from '../runtime/errors.js'
import { describe } from '../schema/describe.js'
import { StreamDataset } from './dataset.js'
import { SamplePlace } from './sample.js'
import { linesOf, nameOf, type TextSource } from './source.js'

export interface LineOptions {
  /** A longer line is an error. Default 2^24 characters. */
  readonly maxLine?: number
}

const lines = (op: string, source: TextSource, options: LineOptions): AsyncGenerator<string> =>
  linesOf(op, source, integerFrom(op, 'maxLine', optionsOf(op, options).maxLine ?? 2 ** 24, 1))

/**
 * One object per line; empty lines are passed over. What is no object is a `DataError` with its line.
 *
 * @example const reviews = readJsonLines<{ text: string; stars: number }>('reviews.jsonl.gz')
 */
export function readJsonLines<T extends object = Record<string, unknown>>(
  source: TextSource,
  options: LineOptions = {},
): StreamDataset<T> {
  return new StreamDataset(async function* ({ seed, epoch }) {
    let line = 0
    let row = 0
    for await (const text of lines('readJsonLines', source, options)) {
      line++
      if (text.trim() === '') continue
      yield [parse(text, source, line, ++row) as T, new SamplePlace(seed, epoch, row - 1)]
    }
  })
}

/** Deeper values can be read, but what walks through them has no room on its stack. */
const MOST_DEPTH = 1000

/** Whether brackets outside of strings are nested deeper than `most`. */
function isDeeper(text: string, most: number): boolean {
  if (text.length <= most) return false
  let depth = 0
  for (let i = 0; i < text.length; i++) {
    const character = text[i]
    if (character === '"') {
      for (i++; i < text.length && text[i] !== '"'; i++) if (text[i] === '\\') i++
    } else if (character === '{' || character === '[') {
      if (++depth > most) return true
    } else if (character === '}' || character === ']') depth--
  }
  return false
}

function parse(text: string, source: TextSource, line: number, row: number): object {
  const place = { ...nameOf(source), line, row }
  const inFile = place.file === undefined ? '' : ` of ${place.file}`
  let value: unknown
  if (isDeeper(text, MOST_DEPTH)) {
    throw new DataError(`readJsonLines: line ${line}${inFile} is nested deeper than ${MOST_DEPTH}`, 'malformed', place)
  }
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw new DataError(
      `readJsonLines: line ${line}${inFile} is no JSON: ${(cause as Error).message}`,
      'malformed',
      place,
      {
        cause,
      },
    )
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value
  throw new DataError(
    `readJsonLines: line ${line}${inFile} holds ${describe(value)}, where an object is expected`,
    'malformed',
    place,
  )
}

/** Each line of a text file as { text }, empty ones too. Throws `DataError` for what is no UTF-8. */
export function readLines(source: TextSource, options: LineOptions = {}): StreamDataset<{ readonly text: string }> {
  return new StreamDataset(async function* ({ seed, epoch }) {
    let index = 0
    for await (const text of lines('readLines', source, options))
      yield [{ text }, new SamplePlace(seed, epoch, index++)]
  })
}
