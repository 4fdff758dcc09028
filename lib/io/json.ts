// JSON from files nobody vouches for: no duplicate keys, a bounded depth, errors with their offset.

const QUOTE = 0x22
const BACKSLASH = 0x5c

interface Level {
  /** The keys so far, of an object. */
  readonly keys: Set<string> | undefined
  expectsKey: boolean
}

/** Where the string that starts at `start` ends: after its closing quote, or at the end of the text. */
function endOfString(text: string, start: number): number {
  for (let i = start + 1; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code === QUOTE) return i + 1
    if (code === BACKSLASH) i++
  }
  return text.length
}

/** What a string literal stands for; undefined where it is none. */
function contentOf(literal: string): string | undefined {
  if (!literal.includes('\\')) return literal.slice(1, -1)
  try {
    return JSON.parse(literal) as string
  } catch {
    return undefined
  }
}

/**
 * The value of a JSON text. Throws what `fail` makes, given what is wrong and the offset in the text, for anything that
 * is not JSON, for nesting deeper than `depth`, and for a key an object has twice, which JSON.parse would hide.
 */
export function parseJson(text: string, depth: number, fail: (what: string, offset: number) => Error): unknown {
  const levels: Level[] = []
  for (let i = 0; i < text.length; i++) {
    const character = text[i]
    const level = levels.at(-1)
    if (character === '{' || character === '[') {
      if (levels.length === depth) throw fail(`its JSON is nested deeper than ${depth}`, i)
      levels.push({ keys: character === '{' ? new Set() : undefined, expectsKey: character === '{' })
    } else if (character === '}' || character === ']') {
      levels.pop()
    } else if (character === ',') {
      if (level?.keys) level.expectsKey = true
    } else if (character === '"') {
      const end = endOfString(text, i)
      if (level?.keys && level.expectsKey) {
        level.expectsKey = false
        const key = contentOf(text.slice(i, end))
        if (key !== undefined && level.keys.has(key)) throw fail(`its JSON has the key '${clip(key)}' twice`, i)
        if (key !== undefined) level.keys.add(key)
      }
      i = end - 1
    }
  }
  try {
    return JSON.parse(text)
  } catch (error) {
    throw fail(`it is not JSON: ${error instanceof Error ? error.message : String(error)}`, 0)
  }
}

/** A text short enough to stand in an error. */
export const clip = (text: string): string => (text.length > 100 ? `${text.slice(0, 100)}...` : text)

/** Whether a value is an object in JSON's sense. */
export const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  value !== null && typeof value === 'object' && !Array.isArray(value)
