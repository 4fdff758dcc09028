// Hostile tables: a typed error that says what is wrong and where, in bounded time and memory, or right data.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, afterEach, describe, expect, test } from 'vitest'
import { DataError, DataLoader, readCsv, readJsonLines, readLines, readParquet } from '../../lib/data/index.js'
import { GOOD_PARQUET, HOSTILE_PARQUET, RARE_PARQUET } from './hostile.js'
import {
  bytesOf,
  DICTIONARY,
  dataPage,
  dictionaryPage,
  i32,
  i64,
  list,
  packed,
  parquetFile,
  struct,
  TYPES,
  text,
} from './parquetWriter.js'

const folder = mkdtempSync(join(tmpdir(), 'heddle-hostile-'))
afterAll(() => rmSync(folder, { recursive: true }))
const write = (name: string, bytes: Uint8Array | string): string => {
  writeFileSync(join(folder, name), bytes)
  return join(folder, name)
}
/** Nothing that is read may reach what all objects have. */
afterEach(() => {
  expect(Object.keys(Object.prototype)).toEqual([])
  expect(({} as Record<string, unknown>)['polluted']).toBeUndefined()
})
async function failureOf(work: Promise<unknown>): Promise<DataError> {
  const error = await work.then(
    (value) => new Error(`nothing failed: ${JSON.stringify(value)?.slice(0, 200)}`),
    (error) => error,
  )
  expect(error, error?.stack).toBeInstanceOf(DataError)
  expect(error.message.length).toBeLessThan(600)
  return error
}

describe('Parquet', () => {
  const all = async (path: string): Promise<unknown[]> => (await readParquet(path)).toArray()

  test('what the hostile ones are made from is right', async () => {
    expect(await all(write('good', GOOD_PARQUET))).toEqual([{ a: 1 }, { a: 2 }, { a: 3 }])
  })

  test.each(RARE_PARQUET)('right: %s', async (_, bytes, values) => {
    expect(await all(write('rare', bytes))).toEqual(values.map((a) => ({ a })))
  })

  test.each(HOSTILE_PARQUET)('%s', async (_, bytes, message) => {
    const path = write('hostile', bytes)
    const before = process.memoryUsage.rss()
    const error = await failureOf(all(path))
    expect(error.message).toMatch(message)
    expect(error.message).toContain(path)
    expect(error.file).toBe(path)
    expect(process.memoryUsage.rss() - before).toBeLessThan(200 * 2 ** 20)
  })

  test('names that mean something to JavaScript', async () => {
    const pages = dataPage({ body: [1, 0, 0, 0], values: 1 })
    const element = { 4: text('__proto__') }
    const [row] = (await all(write('proto', parquetFile({ pages, rows: 1, element, path: ['__proto__'] })))) as object[]
    expect(Object.entries(row ?? {})).toEqual([['__proto__', 1]])
  })

  test('a map with a key that means something to JavaScript', async () => {
    const part = (name: string, repetition: number, more: Parameters<typeof struct>[0]) =>
      struct({ 3: i32(repetition), 4: text(name), ...more })
    const levels = [2, 0, 0, 0, 2, 1]
    const column = (key: string) => dataPage({ body: [...[2, 0, 0, 0, 2, 0], ...levels, ...bytesOf(key)], values: 1 })
    const meta = (path: string[], from: number, bytes: number) =>
      struct({
        2: i64(4),
        3: struct({
          1: i32(TYPES.bytes),
          2: list([i32(0)]),
          3: list(path.map((name) => text(name))),
          4: i32(0),
          5: i64(1),
          6: i64(bytes),
          7: i64(bytes),
          9: i64(from),
        }),
      })
    const make = (key: string): Uint8Array => {
      const [keys, values] = [column(key), column('v')]
      return parquetFile({
        pages: [...keys, ...values],
        rows: 1,
        elements: [
          part('a', 0, { 5: i32(1), 6: i32(1) }),
          part('key_value', 2, { 5: i32(2) }),
          struct({ 1: i32(TYPES.bytes), 3: i32(0), 4: text('key') }),
          struct({ 1: i32(TYPES.bytes), 3: i32(0), 4: text('value') }),
        ],
        group: {
          1: list([
            meta(['a', 'key_value', 'key'], 4, keys.length),
            meta(['a', 'key_value', 'value'], 4 + keys.length, values.length),
          ]),
        },
      })
    }
    expect(await all(write('map', make('k')))).toEqual([{ a: { k: 'v' } }])
    expect((await failureOf(all(write('map', make('__proto__'))))).message).toMatch(/key '__proto__'/)
  })

  test('many columns of one name, and a dictionary that all share', async () => {
    const pages = [
      ...dictionaryPage({ body: bytesOf('x'), values: 1 }),
      ...dataPage({ body: [0], values: 3, encoding: DICTIONARY }),
    ]
    expect(await all(write('zero', parquetFile({ type: TYPES.bytes, pages, rows: 3 })))).toEqual([
      { a: 'x' },
      { a: 'x' },
      { a: 'x' },
    ])
    const one = struct({ 1: i32(1), 3: i32(0), 4: text('a') })
    const twice = parquetFile({ pages, rows: 3, footer: { 2: list([struct({ 4: text('r'), 5: i32(2) }), one, one]) } })
    expect((await failureOf(all(write('twice', twice)))).message).toMatch(/two columns 'a'/)
    expect(packed(1, 2)).toEqual([3, 2])
  })
})

describe('CSV', () => {
  const all = (source: string | Uint8Array, options = {}): Promise<unknown[]> =>
    readCsv(write('a.csv', source), options).toArray()

  test.each<[string, string | Uint8Array, RegExp, object]>([
    ['a quote that is never closed', 'a,b\n1,"2\n3,4\n', /row 1, line \d.*Quote Not Closed/, {}],
    ['a quote that is never closed, for 10 MB', `a,b\n1,"${'x\n'.repeat(5e6)}`, /row 1, line/, {}],
    ['a line of 10 MB', `a,b\n1,${'x'.repeat(1e7)}\n`, /row 1, line 2.*Max Record Size/, {}],
    ['fewer values', 'a,b\n1,2\n3\n', /row 2, line 3 of .*expect 2, got 1/, {}],
    ['more values', 'a,b\n1,2,3\n', /row 1, line 2 of .*expect 2, got 3/, {}],
    ['a quote within a value', 'a,b\n1,x"y\n', /row 1, line 2.*Invalid Opening Quote/, {}],
    ['text behind a quote', 'a,b\n1,"x"y\n', /row 1, line 2.*Invalid Closing Quote/, {}],
    ['bytes that are no UTF-8', Buffer.from('a,b\n1,\xff\n', 'latin1'), /is not UTF-8/, {}],
    ['half a character at the end', Buffer.from('a,b\n1,é').subarray(0, 7), /is not UTF-8/, {}],
    ['UTF-16', Buffer.from('\ufeffa,b\n1,2\n', 'utf16le'), /is not UTF-8/, {}],
    ['a name twice', 'a,a\n1,2\n', /two columns of .*'a'/, {}],
    ['100,000 columns, the last one twice', `${[...Array(1e5).keys(), 7].join(',')}\n`, /two columns of .*'7'/, {}],
    ['a name of a million characters, twice', `${'x'.repeat(4e5)},${'x'.repeat(4e5)}\n`, /two columns/, {}],
    ['no number', 'a,b\n1,2\n3,x\n', /'x' in row 2, line 3 of .* is no number/, { inferRows: 1 }],
    ['a million digits that are no number', `a\n1\n${'1'.repeat(1e6)}x\n`, /'1{40}\.\.\.' in row 2/, { inferRows: 1 }],
    ['a column that is not there', 'a\n1\n', /no column 'b' of/, { types: { b: 'number' } }],
  ])('%s', async (_, source, message, options) => {
    const error = await failureOf(all(source, options))
    expect(error.message).toMatch(message)
    expect(error.message).toContain(join(folder, 'a.csv'))
    expect(error.file).toBe(join(folder, 'a.csv'))
  })

  test('what is odd, and right', async () => {
    expect(await all('\ufeffa,b\r1,x\r2,y\r')).toEqual([
      { a: 1, b: 'x' },
      { a: 2, b: 'y' },
    ])
    expect(await all('a,b\n\0,"\0\n"\n')).toEqual([{ a: '\0', b: '\0\n' }])
    expect(await all('')).toEqual([])
    expect(await all('\ufeff')).toEqual([])
    expect(await all('\n\n\n')).toEqual([])
    expect(await all('a\n1e999\n-1e999\n')).toEqual([{ a: Number.POSITIVE_INFINITY }, { a: Number.NEGATIVE_INFINITY }])
    expect(await all('a\n\ud83e\uddf5\n')).toEqual([{ a: '🧵' }])
    const [row] = (await all('__proto__,constructor,toString\npolluted,2,3\n')) as object[]
    expect(Object.keys(row ?? {})).toEqual(['__proto__', 'constructor', 'toString'])
    const wide = (await all(`${[...Array(5e4).keys()].join(',')}\n${Array(5e4).fill('1').join(',')}\n`)) as object[]
    expect(Object.keys(wide[0] ?? {})).toHaveLength(5e4)
  })

  test('archives that are cut off, broken, or a bomb', async () => {
    const packedRows = gzipSync(`a,b\n${'1,2\n'.repeat(10_000)}`)
    const read = (bytes: Uint8Array) => failureOf(readCsv(write('a.csv.gz', bytes)).toArray())
    expect((await read(packedRows.subarray(0, 30))).code).toBe('unreadable')
    expect((await read(Uint8Array.from(packedRows.map((byte, i) => (i === 20 ? byte ^ 255 : byte))))).code).toBe(
      'unreadable',
    )
    expect((await read(gzipSync(Buffer.alloc(50e6, 'x')))).code).toBe('tooLarge')
    expect((await read(Buffer.from('a,b\n1,2\n'))).code).toBe('unreadable')
  })
})

describe('JSON lines', () => {
  const all = (source: string | Uint8Array): Promise<unknown[]> => readJsonLines(write('a.jsonl', source)).toArray()
  const ok = '{"a":1}\n'

  test.each<[string, string | Uint8Array, RegExp]>([
    ['half a line', `${ok}{"a":`, /line 2 of .* is no JSON/],
    ['a line that is a list', `${ok}[1]\n`, /line 2 of .* where an object is expected/],
    ['a line that is null', `${ok}null\n`, /line 2 of/],
    ['two objects in a line', `${ok}{} {}\n`, /line 2 of .* is no JSON/],
    ['a NUL', `${ok}{"a":\0}\n`, /line 2 of .* is no JSON/],
    ['a comment', `${ok}// {}\n`, /line 2 of .* is no JSON/],
    ['NaN', `${ok}{"a":NaN}\n`, /line 2 of .* is no JSON/],
    ['a byte order mark in the middle', `${ok}\ufeff{}\n`, /line 2 of .* is no JSON/],
    ['bytes that are no UTF-8', Buffer.from(`${ok}{"a":"\xff"}\n`, 'latin1'), /is not UTF-8/],
    ['a million brackets', `${ok}{"a":${'['.repeat(1e6)}${']'.repeat(1e6)}}\n`, /line 2 of .* nested deeper than 1000/],
    ['a million braces', `${ok}${'{"a":'.repeat(1e6)}1${'}'.repeat(1e6)}\n`, /line 2 of .* nested deeper than 1000/],
    ['a line of 20 MB', `${ok}{"a":"${'x'.repeat(2e7)}"}\n`, /line 2 of .* longer than/],
    ['an escape that is none', `${ok}{"a":"\\x41"}\n`, /line 2 of .* is no JSON/],
  ])('%s', async (_, source, message) => {
    const error = await failureOf(all(source))
    expect(error.message).toMatch(message)
    expect(error.message).toContain(join(folder, 'a.jsonl'))
  })

  test('what is odd, and right', async () => {
    expect(await all('\ufeff{"a":1}\r\n\r\n{"a":2}')).toEqual([{ a: 1 }, { a: 2 }])
    // As JSON.parse has it: the last of a key counts, and numbers are those of JavaScript.
    expect(await all('{"a":1,"a":2,"b":1e999,"c":9007199254740993}\n')).toEqual([
      { a: 2, b: Number.POSITIVE_INFINITY, c: 2 ** 53 },
    ])
    expect(await all(`{"a":"${'['.repeat(5000)}"}\n`)).toHaveLength(1)
    expect(await all(`{"a":[${'[],'.repeat(5000)}[]]}\n`)).toHaveLength(1)
    expect(await all(`{"a":${'['.repeat(999)}${']'.repeat(999)}}\n`)).toHaveLength(1)
    const [row] = (await all('{"__proto__":{"polluted":1},"a":{"__proto__":{"polluted":1}}}\n')) as object[]
    expect(Object.keys(row ?? {})).toEqual(['__proto__', 'a'])
    expect((row as { polluted?: number }).polluted).toBeUndefined()
  })

  test('a field that no batch can hold is an error of the batch', async () => {
    const rows = readJsonLines(write('a.jsonl', '{"__proto__":[1,2]}\n'))
    const batches = async (): Promise<void> => {
      for await (const batch of new DataLoader(rows, { batchSize: 1 })) expect(batch).toBeUndefined()
    }
    expect((await failureOf(batches())).message).toMatch(/'__proto__'/)
  })

  test('lines of text are what they are', async () => {
    expect(await readLines(write('a.txt', '\0\r\n"\n\ud7ff')).toArray()).toEqual([
      { text: '\0' },
      { text: '"' },
      { text: '\ud7ff' },
    ])
  })
})
