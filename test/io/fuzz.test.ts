// Good files, changed at random: a typed error or correct data, never a crash, never more memory than the file is worth.
// HEDDLE_FUZZ says how many changes each format gets; HEDDLE_FUZZ_SEED which.
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { ArgumentError, HeddleError, OutOfMemoryError, type StateDict } from '../../lib/index.js'
import {
  CheckpointStore,
  loadCheckpoint,
  readNpy,
  readNpz,
  readSafetensors,
  writeNpy,
  writeNpz,
  writeSafetensors,
} from '../../lib/io/index.js'
import { bytesOf } from '../../lib/schema/dtype.js'
import { temporaryFolder } from './folder.js'
import { bytesOfAll, generator, oneOfEach, randomTensor } from './tensors.js'

const rounds = Number(process.env['HEDDLE_FUZZ'] ?? 250)
const seed = Number(process.env['HEDDLE_FUZZ_SEED'] ?? 1)
/** Growth of resident memory over all rounds of a format, of which every file has a few KB. */
const MOST_GROWTH = 300 * 2 ** 20

const TOKENS = [
  '{',
  '}',
  '[',
  ']',
  ',',
  ':',
  '"',
  '\\',
  '\0',
  '-1',
  '1e999',
  '9007199254740993',
  '0',
  'null',
  'F32',
  'F64',
]

/** One to four changes: bits, bytes, tokens, numbers, cuts, copies of a part elsewhere. `most` is where most of them fall. */
function changed(good: Uint8Array, most: number, random: () => number): Uint8Array {
  let bytes: Buffer = Buffer.from(good)
  const whole = (n: number): number => Math.floor(random() * n)
  for (let left = 1 + whole(4); left > 0; left--) {
    const at = whole(random() < 0.8 ? Math.min(most, bytes.length) : bytes.length)
    const end = Math.min(bytes.length, at + whole(20))
    switch (whole(7)) {
      case 0:
        if (at < bytes.length) bytes[at] = (bytes[at] as number) ^ (1 << whole(8))
        break
      case 1:
        if (at < bytes.length) bytes[at] = [0, 1, 0x7f, 0x80, 0xff][whole(5)] as number
        break
      case 2:
        bytes = Buffer.concat([
          bytes.subarray(0, at),
          Buffer.from(TOKENS[whole(TOKENS.length)] as string),
          bytes.subarray(at),
        ])
        break
      case 3: {
        const token = Buffer.from(TOKENS[whole(TOKENS.length)] as string)
        token.copy(bytes, at)
        break
      }
      case 4:
        bytes = bytes.subarray(0, at)
        break
      case 5:
        bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(end)])
        break
      default:
        bytes = Buffer.concat([bytes.subarray(0, end), bytes.subarray(at)])
    }
  }
  return bytes
}

/** What a reader gave, or its error, which must be one of ours and not one about what the caller did. */
async function outcomeOf<T>(read: Promise<T>, round: number): Promise<T | undefined> {
  try {
    return await read
  } catch (error) {
    expect(error, `round ${round}: ${error instanceof Error ? error.stack : String(error)}`).toBeInstanceOf(HeddleError)
    expect(error, `round ${round}`).not.toBeInstanceOf(ArgumentError)
    expect(error, `round ${round}`).not.toBeInstanceOf(OutOfMemoryError)
    return undefined
  }
}

/** Data fill their shapes, and are no more than the file has. */
function checkWhole(tensors: StateDict, fileBytes: number, round: number): void {
  let total = 0
  for (const { data, dtype, shape } of Object.values(tensors)) {
    expect(data.byteLength, `round ${round}`).toBe(shape.reduce((a, b) => a * b, 1) * bytesOf(dtype))
    total += data.byteLength
  }
  expect(total, `round ${round}`).toBeLessThanOrEqual(fileBytes)
}

/** Runs all rounds and says how many were read and how many refused; both must happen. */
async function fuzz(attempt: (round: number, random: () => number) => Promise<boolean>): Promise<void> {
  const random = generator(seed)
  const before = process.memoryUsage.rss()
  let read = 0
  for (let round = 0; round < rounds; round++) if (await attempt(round, random)) read++
  expect(process.memoryUsage.rss() - before).toBeLessThan(MOST_GROWTH)
  expect(read).toBeLessThan(rounds)
}

describe('changed at random', { timeout: 60_000 + rounds * 200 }, () => {
  test('safetensors', async () => {
    const path = join(await temporaryFolder(), 'a.safetensors')
    await writeSafetensors(path, oneOfEach(seed), { metadata: { format: 'pt' } })
    const good = await readFile(path)
    const header = 8 + Number(good.readBigUInt64LE(0))
    await fuzz(async (round, random) => {
      const bytes = changed(good, header, random)
      await writeFile(path, bytes)
      const tensors = await outcomeOf(readSafetensors(path), round)
      if (tensors) checkWhole(tensors, bytes.length, round)
      return tensors !== undefined
    })
  })

  test('shards', async () => {
    const folder = await temporaryFolder()
    const path = join(folder, 'model.safetensors')
    await writeSafetensors(path, oneOfEach(seed), { maxShardBytes: 200 })
    const index = `${path}.index.json`
    const good = await readFile(index)
    await fuzz(async (round, random) => {
      await writeFile(index, changed(good, good.length, random))
      const tensors = await outcomeOf(readSafetensors(folder), round)
      if (tensors) checkWhole(tensors, 10_000, round)
      return tensors !== undefined
    })
  })

  test('.npy', async () => {
    const path = join(await temporaryFolder(), 'a.npy')
    await writeNpy(path, randomTensor('f32', [4, 5], generator(seed)))
    const good = await readFile(path)
    await fuzz(async (round, random) => {
      const bytes = changed(good, 80, random)
      await writeFile(path, bytes)
      const tensor = await outcomeOf(readNpy(path), round)
      if (tensor) checkWhole({ tensor }, bytes.length, round)
      return tensor !== undefined
    })
  })

  test.each([false, true])('.npz, compressed: %s', async (compress) => {
    const path = join(await temporaryFolder(), 'a.npz')
    const random = generator(seed)
    const tensors = Object.fromEntries(
      (['f32', 'i64', 'u8'] as const).map((dtype) => [dtype, randomTensor(dtype, [10], random)]),
    )
    await writeNpz(path, tensors, { compress })
    const good = await readFile(path)
    const known = bytesOfAll(tensors).map(([, ...rest]) => JSON.stringify(rest))
    await fuzz(async (round, draw) => {
      await writeFile(path, changed(good, good.length, draw))
      const read = await outcomeOf(readNpz(path), round)
      // Checksums: whatever is read, under whatever name, is one of the arrays.
      if (read)
        for (const [, ...rest] of bytesOfAll(read)) expect(known, `round ${round}`).toContain(JSON.stringify(rest))
      return read !== undefined
    })
  })

  test('checkpoints: what was saved, or an error; a store takes the one before', async () => {
    const root = await temporaryFolder()
    const store = new CheckpointStore(root, { onProblem: () => undefined })
    const tensors = { model: oneOfEach(seed), optimizer: oneOfEach(seed + 1) }
    const json = { epoch: 3, offsets: [1, 2, 3] }
    await store.save(1, { tensors, json }, { loss: 1 })
    await store.save(2, { tensors, json }, { loss: 2 })
    const newest = join(root, 'step-000002')
    const files = ['model.safetensors', 'optimizer.safetensors', 'checkpoint.json']
    const goods = await Promise.all(files.map((file) => readFile(join(newest, file))))
    await fuzz(async (round, random) => {
      const i = Math.floor(random() * files.length)
      const good = goods[i] as Buffer
      await writeFile(join(newest, files[i] as string), changed(good, good.length, random))
      const read = await outcomeOf(loadCheckpoint(newest), round)
      if (read) {
        expect({ step: read.step, json: read.json, metrics: read.metrics }).toEqual({
          step: 2,
          json,
          metrics: { loss: 2 },
        })
        for (const [group, state] of Object.entries(tensors))
          expect(bytesOfAll(read.tensors[group] ?? {})).toEqual(bytesOfAll(state))
      } else if (round % 5 === 0) expect((await store.latest())?.step).toBe(1)
      await writeFile(join(newest, files[i] as string), good)
      return read !== undefined
    })
    expect((await store.latest())?.step).toBe(2)
  })
})
