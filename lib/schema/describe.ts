// Says in a few words what a value is that should have been another; never fails, whatever it is given.

/** `null`, `number 3`, `string 'x'`, `an array`, `a Map`: for the end of an error's sentence. */
export function describe(value: unknown): string {
  if (value === null || value === undefined) return String(value)
  if (Array.isArray(value)) return 'an array'
  if (typeof value === 'function') return 'a function'
  if (typeof value === 'string') return `string '${value}'`
  if (typeof value !== 'object') return `${typeof value} ${String(value)}`
  const name = (value as { constructor?: { name?: unknown } }).constructor?.name
  return typeof name === 'string' && name !== 'Object' && name !== '' ? `a ${name}` : 'an object'
}
