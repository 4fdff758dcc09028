// Parquet: files of another implementation, row groups, and broken files.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'
import { columnsOf, DataError, DataLoader, Random, readParquet } from '../../lib/data/index.js'

const folder = mkdtempSync(join(tmpdir(), 'heddle-'))
afterAll(() => rmSync(folder, { recursive: true }))
const fixture = (codec: string): URL => new URL(`files/${codec}.parquet`, import.meta.url)
const row = (i: number) => ({
  id: BigInt(i),
  x: i === 3 ? null : i / 4,
  name: `é ${i % 3}`,
  flag: i % 2 === 0,
  vector: [i, i + 0.5],
  point: { a: BigInt(i), b: `${i}` },
  small: i,
})
const failureOf = async (work: Promise<unknown>): Promise<DataError> => {
  const error = await work.then(
    () => new Error('nothing failed'),
    (error) => error,
  )
  expect(error).toBeInstanceOf(DataError)
  return error
}

describe('readParquet', () => {
  it.each(['none', 'snappy', 'gzip', 'zstd', 'brotli', 'lz4'])(
    'reads what pyarrow wrote with the codec %s',
    async (codec) => {
      const rows = await readParquet(fixture(codec))
      expect(rows.length).toBe(10)
      expect(rows.columns).toEqual(['id', 'x', 'name', 'flag', 'vector', 'point', 'small'])
      expect(await rows.toArray()).toEqual(Array.from({ length: 10 }, (_, i) => row(i)))
      expect(await rows.get(9)).toEqual(row(9))
      expect(await rows.get(3)).toEqual(row(3))
    },
  )

  it('reads the columns asked for, for columns and a shuffling loader', async () => {
    const rows = await readParquet(fixture('snappy'), { columns: ['x', 'name', 'vector'], cachedGroups: 1 })
    expect(await rows.get(5)).toEqual({ x: 1.25, name: 'é 2', vector: [5, 5.5] })
    expect((await columnsOf(rows))['x']).toEqual(Float64Array.from({ length: 10 }, (_, i) => row(i).x ?? Number.NaN))
    const seen: unknown[] = []
    for await (const { vector, name } of new DataLoader(
      rows.map(({ vector, name }) => ({ vector: vector as number[], name: name as string })),
      { batchSize: 4, shuffle: true },
    )) {
      const values = (await vector.array()) as number[][]
      values.forEach(([first], i) => expect(name[i]).toBe(`é ${(first as number) % 3}`))
      seen.push(...values.map(([first]) => first))
    }
    expect(seen).not.toEqual([...seen].sort())
    expect([...seen].sort()).toEqual(Array.from({ length: 10 }, (_, i) => i))
  })

  it('says what it can not read', async () => {
    const write = (name: string, bytes: Uint8Array): string => {
      writeFileSync(join(folder, name), bytes)
      return join(folder, name)
    }
    const whole = readFileSync(fixture('snappy'))
    expect(await failureOf(readParquet(join(folder, 'none')))).toMatchObject({
      code: 'unreadable',
      file: join(folder, 'none'),
    })
    expect(await failureOf(readParquet(write('empty', new Uint8Array())))).toMatchObject({ code: 'malformed' })
    expect(await failureOf(readParquet(write('text', new TextEncoder().encode('a,b\n'.repeat(100)))))).toMatchObject({
      code: 'malformed',
    })
    expect(await failureOf(readParquet(write('torn', whole.subarray(0, 900))))).toMatchObject({ code: 'malformed' })
    expect(await failureOf(readParquet(fixture('snappy'), { columns: ['y'] }))).toMatchObject({ field: 'y' })
    expect(await failureOf(readParquet(fixture('snappy'), { maxGroup: { rows: 3 } }))).toMatchObject({
      code: 'tooLarge',
      row: 1,
    })
    expect(await failureOf(readParquet(fixture('snappy'), { maxGroup: { bytes: 10 } }))).toMatchObject({
      code: 'tooLarge',
    })
    // The pages of the second row group overwritten.
    const damaged = Uint8Array.from(whole)
    damaged.fill(0xff, 500, 900)
    const error = await failureOf((await readParquet(write('damaged', damaged))).toArray())
    expect(error).toMatchObject({ code: 'malformed' })
    expect(error.row).toBeGreaterThan(0)
    expect(error.message).toMatch(/rows \d+ to \d+ of/)
  })

  it('survives files with changed bytes', { timeout: 120_000 }, async () => {
    const random = new Random(2)
    const path = join(folder, 'changed')
    for (const codec of ['none', 'snappy', 'zstd']) {
      const whole = readFileSync(fileURLToPath(fixture(codec)))
      for (let i = 0; i < 100; i++) {
        const bytes = Uint8Array.from(whole)
        for (let changes = 1 + random.integer(4); changes > 0; changes--)
          bytes[random.integer(bytes.length)] = random.integer(256)
        writeFileSync(path, bytes)
        await (async () => (await readParquet(path)).toArray())().catch((error) =>
          expect(error).toBeInstanceOf(DataError),
        )
      }
    }
  })
})
