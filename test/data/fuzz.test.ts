// Good tables, changed at random: a typed error or rows of the right kind, never a crash, never more memory than they are worth.
// HEDDLE_FUZZ says how many changes each format gets; HEDDLE_FUZZ_SEED which.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { afterAll, describe, expect, test } from 'vitest'
import { DataError, readCsv, readJsonLines, readParquet } from '../../lib/data/index.js'
import { generator } from '../io/tensors.js'
import { RARE_PARQUET } from './hostile.js'

const rounds = Number(process.env['HEDDLE_FUZZ'] ?? 150)
const seed = Number(process.env['HEDDLE_FUZZ_SEED'] ?? 1)
/** Growth of resident memory over all rounds of a format, of which every file has a few KB. */
const MOST_GROWTH = 400 * 2 ** 20

const folder = mkdtempSync(join(tmpdir(), 'heddle-fuzz-'))
afterAll(() => rmSync(folder, { recursive: true }))

const TOKENS = ['"', ',', '\n', '\r', '\r\n', '\0', '{', '}', '[', ']', '\\', ':', '__proto__', '1e999', '-', '\ufeff']
const NUMBERS = [0, 1, 0x7f, 0x80, 0xff]

/** One to four changes: bits, bytes, tokens, long numbers, cuts, copies of a part elsewhere; at the end of a file more often. */
function changed(good: Uint8Array, random: () => number): Uint8Array {
  let bytes: Buffer = Buffer.from(good)
  const whole = (n: number): number => Math.floor(random() * n)
  for (let left = 1 + whole(4); left > 0; left--) {
    const at = random() < 0.5 ? whole(bytes.length) : Math.max(0, bytes.length - 1 - whole(bytes.length / 3))
    const end = Math.min(bytes.length, at + whole(30))
    const token = Buffer.from(TOKENS[whole(TOKENS.length)] as string)
    switch (whole(8)) {
      case 0:
        if (at < bytes.length) bytes[at] = (bytes[at] as number) ^ (1 << whole(8))
        break
      case 1:
        if (at < bytes.length) bytes[at] = NUMBERS[whole(NUMBERS.length)] as number
        break
      case 2:
        bytes = Buffer.concat([bytes.subarray(0, at), token, bytes.subarray(at)])
        break
      case 3:
        token.copy(bytes, at)
        break
      case 4:
        bytes.fill(random() < 0.5 ? 0xff : 0x80, at, Math.min(bytes.length, at + 1 + whole(9)))
        break
      case 5:
        if (random() < 0.3) bytes = bytes.subarray(0, at)
        break
      case 6:
        bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(end)])
        break
      default:
        bytes = Buffer.concat([bytes.subarray(0, end), bytes.subarray(at)])
    }
  }
  return bytes
}

/** Runs all rounds and says how many were read and how many refused; both must happen. */
async function fuzz(
  path: string,
  good: Uint8Array,
  read: (path: string) => Promise<unknown[]>,
  check: (row: unknown) => void,
): Promise<void> {
  const random = generator(seed)
  const before = process.memoryUsage.rss()
  let right = 0
  for (let round = 0; round < rounds; round++) {
    writeFileSync(path, changed(good, random))
    try {
      for (const row of await read(path)) check(row)
      right++
    } catch (error) {
      expect(error, `round ${round}: ${error instanceof Error ? error.stack : String(error)}`).toBeInstanceOf(DataError)
      const { message, file } = error as DataError
      expect(file, `round ${round}: ${message}`).toBe(path)
      expect(message.length, `round ${round}`).toBeLessThan(1000)
    }
    expect(({} as Record<string, unknown>)['polluted'], `round ${round}`).toBeUndefined()
    expect(Object.keys(Object.prototype), `round ${round}`).toEqual([])
  }
  expect(process.memoryUsage.rss() - before).toBeLessThan(MOST_GROWTH)
  expect(right).toBeLessThan(rounds)
  if (rounds >= 100) expect(right).toBeGreaterThan(0)
}

const isRecord = (row: unknown): boolean => typeof row === 'object' && row !== null && !Array.isArray(row)

describe('changed at random', { timeout: 60_000 + rounds * 200 }, () => {
  test.each(['none', 'snappy', 'gzip', 'zstd', 'brotli', 'lz4'])('Parquet, %s', async (codec) => {
    const good = readFileSync(fileURLToPath(new URL(`files/${codec}.parquet`, import.meta.url)))
    await fuzz(
      join(folder, `${codec}.parquet`),
      good,
      async (path) => (await readParquet(path)).toArray(),
      (row) => expect(isRecord(row)).toBe(true),
    )
  })

  test.each(RARE_PARQUET)('Parquet by hand, %s', async (name, good) => {
    await fuzz(
      join(folder, `${name}.parquet`),
      good,
      async (path) => (await readParquet(path)).toArray(),
      (row) => expect(isRecord(row)).toBe(true),
    )
  })

  test.each(['', '.gz'])('CSV%s', async (suffix) => {
    const rows = Array.from({ length: 60 }, (_, i) => `${i},"a ""${i}"", b",${i / 7},${i % 2 === 0},ü`).join('\r\n')
    const text = `id,text,x,flag,last\r\n${rows}\r\n`
    await fuzz(
      join(folder, `a.csv${suffix}`),
      suffix ? gzipSync(text) : Buffer.from(text),
      (path) => readCsv(path, { types: { id: 'number', flag: 'boolean' } }).toArray(),
      (row) => {
        const { id, flag } = row as Record<string, unknown>
        expect(typeof id).toBe('number')
        expect(flag === null || typeof flag === 'boolean').toBe(true)
      },
    )
  })

  test.each(['', '.gz'])('JSON lines%s', async (suffix) => {
    const lines = Array.from({ length: 40 }, (_, i) =>
      JSON.stringify({ id: i, text: `a "${i}" ü`, list: [[i], { x: null }], __proto: 1 }),
    )
    const text = `${lines.join('\n')}\n`
    await fuzz(
      join(folder, `a.jsonl${suffix}`),
      suffix ? gzipSync(text) : Buffer.from(text),
      (path) => readJsonLines(path).toArray(),
      (row) => expect(isRecord(row)).toBe(true),
    )
  })
})
