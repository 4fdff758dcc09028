// Name patterns: a glob or a regular expression that names parameters, modules and tensors.
import { ArgumentError } from './runtime/errors.js'

/**
 * A RegExp, or a glob over dotted names: `*` any characters, `?` one, `[0-3]` one of a set. A glob that names a module
 * names everything in it: `encoder` stands for `encoder.*` too. A list stands for any of its patterns.
 */
export type Pattern = string | RegExp | readonly (string | RegExp)[]

function globExpression(glob: string): RegExp {
  const parts = glob.match(/\[[^\]]+\]|[\s\S]/g) ?? []
  const source = parts.map((part) => {
    if (part === '*') return '.*'
    if (part === '?') return '.'
    if (part.length > 1) return part.replace(/^\[!/, '[^').replaceAll('\\', '\\\\')
    return part.replace(/[.+^${}()|[\]\\/]/, '\\$&')
  })
  return new RegExp(`^${source.join('')}(\\..*)?$`)
}

/** Whether a name fits the pattern. Throws `ArgumentError` for anything but strings and regular expressions. */
export function matcher(op: string, pattern: Pattern): (name: string) => boolean {
  const list = Array.isArray(pattern) ? pattern : [pattern]
  const expressions = list.map((one: unknown) => {
    if (typeof one === 'string') return globExpression(one)
    // A regular expression with a position would give another answer at every call.
    if (one instanceof RegExp) return new RegExp(one.source, one.flags.replace(/[gy]/g, ''))
    throw new ArgumentError(`${op}: a name pattern is a string or a RegExp, not ${String(one)}`)
  })
  return (name) => expressions.some((expression) => expression.test(name))
}
