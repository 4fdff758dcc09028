// CSV, JSON lines and text: what is read, and what broken or hostile files give.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { gzipSync } from 'node:zlib'
import { afterAll, describe, expect, it } from 'vitest'
import { DataError, DataLoader, readCsv, readJsonLines, readLines } from '../../lib/data/index.js'
import type { Tensor } from '../../lib/index.js'

const folder = mkdtempSync(join(tmpdir(), 'heddle-'))
afterAll(() => rmSync(folder, { recursive: true }))
const file = (name: string, contents: string | Uint8Array): string => {
  writeFileSync(join(folder, name), contents)
  return join(folder, name)
}
const failure = async (stream: { toArray(): Promise<unknown> }): Promise<DataError> => {
  const error = await stream.toArray().then(
    () => new Error('nothing failed'),
    (error) => error,
  )
  expect(error).toBeInstanceOf(DataError)
  return error
}

describe('readCsv', () => {
  const iris = 'width,species,code,petal\n1.5,setosa,007,\n-2e3,"virginica, ""wild""",010,NA\n.5,"two\nlines",5,3\n'

  it('finds numbers, missing ones and strings', async () => {
    const rows = readCsv(file('iris.csv', iris))
    expect(await rows.toArray()).toEqual([
      { width: 1.5, species: 'setosa', code: '007', petal: Number.NaN },
      { width: -2000, species: 'virginica, "wild"', code: '010', petal: Number.NaN },
      { width: 0.5, species: 'two\nlines', code: '5', petal: 3 },
    ])
    // A file is read anew for every epoch.
    expect(await rows.toArray()).toHaveLength(3)
  })

  it('reads URLs, gzip, chunks that cut characters, other delimiters, comments, names and types', async () => {
    const bytes = new TextEncoder().encode('\ufeff# a comment\né;true\r\nü;0\r\n')
    const options = { header: ['letter', 'flag'], delimiter: ';', comment: '#', types: { flag: 'boolean' } } as const
    const expected = [
      { letter: 'é', flag: true },
      { letter: 'ü', flag: false },
    ]
    expect(await readCsv(() => Array.from(bytes, (byte) => Uint8Array.of(byte)), options).toArray()).toEqual(expected)
    expect(await readCsv(pathToFileURL(file('letters.csv.gz', gzipSync(bytes))), options).toArray()).toEqual(expected)
    expect(await readCsv(['1,2\n3,4'], { header: false }).toArray()).toEqual([
      { column1: 1, column2: 2 },
      { column1: 3, column2: 4 },
    ])
    expect(await readCsv(['a,b\n']).toArray()).toEqual([])
    expect(await readCsv(['']).toArray()).toEqual([])
  })

  it('feeds a loader', async () => {
    const rows = readCsv(['x,y\n1,a\n2,b\n3,c\n'])
    const seen: unknown[] = []
    for await (const { x, y } of new DataLoader(rows, { batchSize: 2 }) as AsyncIterable<{ x: Tensor; y: string[] }>) {
      seen.push([await x.array(), y])
    }
    expect(seen).toEqual([
      [
        [1, 2],
        ['a', 'b'],
      ],
      [[3], ['c']],
    ])
  })

  it('reads a large file in bounded pieces, and stops reading when the loop is left', async () => {
    let given = 0
    function* endless(): Generator<string> {
      yield 'a,b\n'
      for (;;) {
        given++
        yield `${given},${'x'.repeat(1000)}\n`
      }
    }
    expect(await readCsv(endless).skip(5000).take(3).toArray()).toHaveLength(3)
    expect(given).toBeLessThan(8000)
  })

  it.each([
    ['a,b\n1,2\n3\n', { code: 'malformed', row: 2, line: 3 }],
    ['a,b\n1,2\n3,4,5\n', { code: 'malformed', row: 2 }],
    ['a,b\n1,"2\n3,4\n', { code: 'malformed' }],
    ['a,b\n1,2"2\n', { code: 'malformed', row: 1, line: 2 }],
    ['a,a\n1,2\n', { code: 'malformed', field: 'a' }],
  ])('says where it is broken: %j', async (text, expected) => {
    const path = file('broken.csv', text)
    expect(await failure(readCsv(path))).toMatchObject({ ...expected, file: path })
  })

  it('says which value is none of its column, after the rows that the type was found in', async () => {
    const text = `a,b\n${'1,2\n'.repeat(150)}1,many\n`
    const error = await failure(readCsv([text]))
    expect(error).toMatchObject({ code: 'value', row: 151, line: 152, field: 'b' })
    expect(error.message).toContain("'many' in row 151, line 152 is no number, which the column 'b' holds")
    expect((await readCsv([text], { types: { b: 'string' } }).toArray())[150]).toEqual({ a: 1, b: 'many' })
    expect(await failure(readCsv(['a\n1\n'], { types: { z: 'number' } }))).toMatchObject({ field: 'z' })
  })

  it('refuses a record without end before it fills the memory', async () => {
    let given = 0
    function* unclosed(): Generator<string> {
      yield 'a,b\n1,"'
      for (;;) {
        given++
        yield 'x'.repeat(1000)
      }
    }
    expect(await failure(readCsv(unclosed, { maxRecord: 100_000 }))).toMatchObject({ code: 'tooLarge' })
    expect(given).toBeLessThan(1000)
  })

  it('reads names that mean something to JavaScript as any other', async () => {
    const [row] = await readCsv(['__proto__,constructor\n1,2\n']).toArray()
    expect(Object.entries(row as object)).toEqual([
      ['__proto__', 1],
      ['constructor', 2],
    ])
    expect(Object.getPrototypeOf(row)).toBe(Object.prototype)
  })

  it('survives bytes of all kinds', async () => {
    for (let seed = 0; seed < 60; seed++) {
      const bytes = Uint8Array.from({ length: 300 }, (_, i) => {
        const mixed = Math.imul(i + 1, 2654435761 + seed * 40503) >>> 13
        return seed % 2 === 0 ? ',"\n\r a1'.charCodeAt(mixed % 8) || 44 : mixed & 255
      })
      await readCsv([bytes])
        .toArray()
        .catch((error) => expect(error).toBeInstanceOf(DataError))
    }
  })
})

describe('readJsonLines', () => {
  it('reads objects, passing over empty lines', async () => {
    const path = file('rows.jsonl', '{"a":1}\r\n\n{"a":[1,{"b":"é"}]}')
    expect(await readJsonLines(path).toArray()).toEqual([{ a: 1 }, { a: [1, { b: 'é' }] }])
    expect(await readJsonLines(file('rows.jsonl.gz', gzipSync('{"a":1}\n'))).toArray()).toEqual([{ a: 1 }])
  })

  it.each([
    ['{"a":1}\n\n{"a":\n', { code: 'malformed', line: 3, row: 2 }],
    ['[1]\n', { code: 'malformed', line: 1, row: 1 }],
    ['null\n', { code: 'malformed', line: 1 }],
    [`${'['.repeat(200_000)}\n`, { code: 'malformed', line: 1 }],
  ])('says which line is broken: %#', async (text, expected) => {
    expect(await failure(readJsonLines([text]))).toMatchObject(expected)
  })

  it('refuses lines without end, other encodings and files that are not there', async () => {
    function* endless(): Generator<string> {
      for (;;) yield ' '.repeat(1000)
    }
    expect(await failure(readJsonLines(endless, { maxLine: 10_000 }))).toMatchObject({ code: 'tooLarge', line: 1 })
    expect((await failure(readJsonLines([Uint8Array.of(0x7b, 0xff)]))).message).toContain('is not UTF-8')
    expect(await failure(readJsonLines(join(folder, 'nothing.jsonl')))).toMatchObject({
      code: 'unreadable',
      file: join(folder, 'nothing.jsonl'),
    })
    expect(await failure(readCsv(join(folder, 'nothing.csv')))).toMatchObject({ code: 'unreadable' })
    expect(await failure(readJsonLines(file('torn.jsonl.gz', gzipSync('{"a":1}\n').subarray(0, 20))))).toMatchObject({
      code: 'unreadable',
    })
  })
})

describe('readLines', () => {
  it('gives every line', async () => {
    expect(await readLines(['one\n\ntw', 'o\nthree']).toArray()).toEqual([
      { text: 'one' },
      { text: '' },
      { text: 'two' },
      { text: 'three' },
    ])
  })
})
