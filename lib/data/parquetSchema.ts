// A Parquet file's schema as its footer has it: checked, and each column's leaves with what decides how their pages are read.

type Schema = Awaited<ReturnType<typeof import('hyparquet').parquetMetadataAsync>>['schema']

/** A column of values; nested columns have several. */
export interface Leaf {
  /** Names from the column down. */
  readonly path: readonly string[]
  readonly type: string
  /** Bytes of a value of fixed length. */
  readonly length: number
  readonly decimal: boolean
  readonly mostRepeated: number
  readonly mostDefined: number
  /** Groups around it. */
  readonly depth: number
  /** Neither nested nor repeated. */
  readonly flat: boolean
}

export interface Column {
  readonly name: string
  readonly leaves: readonly Leaf[]
  /** Whether it has maps, whose keys are data. */
  readonly mapped: boolean
}

const MOST_DEPTH = 64
const MOST_ELEMENTS = 1 << 15
const MOST_LENGTH = 1 << 24

/** Throws `Error` for what is no tree of columns. */
export function columnsOfSchema(schema: Schema): Column[] {
  if (schema.length > MOST_ELEMENTS)
    throw new Error(`its schema has ${schema.length} elements, more than ${MOST_ELEMENTS}`)
  let at = 0
  const take = (): Schema[number] => {
    const element = schema[at++]
    if (!element || typeof element.name !== 'string') throw new Error('its schema is no tree')
    return element
  }
  const children = (element: Schema[number], depth: number): number => {
    const count = element.num_children ?? 0
    if (!(Number.isInteger(count) && count >= 0 && count <= schema.length - at))
      throw new Error('its schema is no tree')
    if (depth > MOST_DEPTH) throw new Error(`its schema is nested deeper than ${MOST_DEPTH}`)
    return count
  }
  const read = (path: readonly string[], repeated: number, defined: number, into: Leaf[]): boolean => {
    const element = take()
    const own = [...path, element.name]
    const { type, repetition_type: repetition } = element
    if (repetition === undefined) throw new Error(`its column ${own.join('.')} does not say whether it is repeated`)
    // The library puts nested fields into objects by name.
    if (path.length > 0 && element.name === '__proto__') throw new Error(`it has a nested field ${own.join('.')}`)
    if (element.logical_type?.type === 'VARIANT')
      throw new Error(`its column ${own.join('.')} is a VARIANT, which is not read`)
    const mostRepeated = repeated + (repetition === 'REPEATED' ? 1 : 0)
    const mostDefined = defined + (repetition === 'REQUIRED' ? 0 : 1)
    let mapped = element.converted_type === 'MAP'
    const count = children(element, own.length)
    for (let i = 0; i < count; i++) mapped = read(own, mostRepeated, mostDefined, into) || mapped
    if (count > 0) return mapped
    if (type === undefined) throw new Error(`its column ${own.join('.')} has no type`)
    const length = element.type_length ?? 0
    if (type === 'FIXED_LEN_BYTE_ARRAY' && !(Number.isInteger(length) && length > 0 && length <= MOST_LENGTH))
      throw new Error(`its column ${own.join('.')} has values of ${length} bytes`)
    into.push({
      path: own,
      type,
      length,
      decimal: element.converted_type === 'DECIMAL',
      mostRepeated,
      mostDefined,
      depth: own.length,
      flat: own.length === 1 && repetition !== 'REPEATED',
    })
    return mapped
  }
  const count = children(take(), 0)
  const columns = Array.from({ length: count }, () => {
    const leaves: Leaf[] = []
    const mapped = read([], 0, 0, leaves)
    return { name: (leaves[0] as Leaf).path[0] as string, leaves, mapped }
  })
  if (at !== schema.length) throw new Error('its schema is no tree')
  return columns
}
