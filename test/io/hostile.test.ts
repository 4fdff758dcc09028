// Hostile files: a typed error that says what is wrong and where, and nothing is changed.
import { execFileSync } from 'node:child_process'
import { truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { crc32, deflateRawSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { FormatError, nn } from '../../lib/index.js'
import { openSafetensors, readNpy, readNpz, readSafetensors } from '../../lib/io/index.js'
import { temporaryFolder } from './folder.js'
import { HOSTILE_NPY, HOSTILE_SAFETENSORS, npyFile, safetensorsFile } from './hostile.js'
import { bytesOfAll } from './tensors.js'

describe('safetensors', () => {
  test.each(HOSTILE_SAFETENSORS)('%s', async (_, bytes, message) => {
    const path = join(await temporaryFolder(), 'a.safetensors')
    await writeFile(path, bytes)
    const failed = await readSafetensors(path).catch((error: unknown) => error)
    expect(failed).toBeInstanceOf(FormatError)
    expect((failed as FormatError).message).toMatch(message)
    expect((failed as FormatError).file).toBe(path)
    expect((failed as FormatError).position).toBeDefined()
    expect((failed as FormatError).message.length).toBeLessThan(600)
  })

  test('a dtype that heddle does not have is an error when its tensor is asked for', async () => {
    const path = join(await temporaryFolder(), 'a.safetensors')
    const header = {
      'a.good': { dtype: 'F32', shape: [1], data_offsets: [0, 4] },
      'b.bad': { dtype: 'F8_E4M3', shape: [4], data_offsets: [4, 8] },
    }
    await writeFile(path, safetensorsFile(header))
    await expect(readSafetensors(path)).rejects.toMatchObject({
      name: 'DTypeError',
      message: expect.stringMatching(/'b\.bad' is F8_E4M3/),
    })
    expect(Object.keys(await readSafetensors(path, { only: 'a.*' }))).toEqual(['a.good'])
    await using file = await openSafetensors(path)
    expect(file.names).toEqual(['a.good', 'b.bad'])
    expect(() => file.spec('b.bad')).toThrow(/F8_E4M3/)
    expect(() => file.spec('c')).toThrow(/has no tensor 'c'/)
  })

  test('a tensor that no memory has room for', async () => {
    const path = join(await temporaryFolder(), 'a.safetensors')
    const bytes = 2 ** 42
    await writeFile(
      path,
      safetensorsFile({ a: { dtype: 'F32', shape: [bytes / 4], data_offsets: [0, bytes] } }, Buffer.alloc(0)),
    )
    // A file with a hole: it takes no room on the disk.
    await truncate(
      path,
      8 + JSON.stringify({ a: { dtype: 'F32', shape: [bytes / 4], data_offsets: [0, bytes] } }).length + bytes,
    )
    await expect(readSafetensors(path)).rejects.toMatchObject({ name: 'OutOfMemoryError' })
  })

  test('a file that becomes shorter while it is open', async () => {
    const path = join(await temporaryFolder(), 'a.safetensors')
    await writeFile(path, safetensorsFile({ a: { dtype: 'F32', shape: [2], data_offsets: [0, 8] } }))
    await using file = await openSafetensors(path)
    await truncate(path, 20)
    await expect(file.read('a')).rejects.toMatchObject({
      name: 'FormatError',
      message: expect.stringMatching(/ends at byte/),
    })
  })

  test('a model stays as it was where the tensors do not fit', async () => {
    const path = join(await temporaryFolder(), 'a.safetensors')
    const model = new nn.Linear(2, 2)
    const before = await model.stateDict()
    const info = (dtype: string, shape: number[], offsets: number[]): object => ({
      dtype,
      shape,
      data_offsets: offsets,
    })
    const cases: [object, RegExp][] = [
      [{ weight: info('F32', [2, 2], [0, 16]) }, /missing:\s+bias/],
      [
        { weight: info('F32', [2, 2], [0, 16]), bias: info('F32', [2], [16, 24]), more: info('U8', [8], [24, 32]) },
        /more/,
      ],
      [{ weight: info('F32', [4], [0, 16]), bias: info('F32', [2], [16, 24]) }, /weight: \[4\]/],
      [{ weight: info('I32', [2, 2], [0, 16]), bias: info('F32', [2], [16, 24]) }, /weight: i32/],
    ]
    for (const [header, message] of cases) {
      const end = Math.max(...Object.values(header).map((one) => one.data_offsets[1]))
      await writeFile(path, safetensorsFile(header, Buffer.alloc(end, 1)))
      const state = await readSafetensors(path)
      expect(() => model.loadStateDict(state)).toThrow(message)
      expect(await model.stateDict()).toEqual(before)
    }
  })
})

test('a pipe is no file, and is not waited for', async () => {
  const folder = await temporaryFolder()
  for (const [name, read] of [
    ['a.safetensors', readSafetensors],
    ['a.npy', readNpy],
    ['a.npz', readNpz],
    ['a.safetensors.index.json', readSafetensors],
  ] as const) {
    execFileSync('mkfifo', [join(folder, name)])
    await expect(read(join(folder, name)), name).rejects.toThrow(/it is no file/)
  }
})

describe('.npy', () => {
  test.each(HOSTILE_NPY)('%s', async (_, bytes, name, message) => {
    const path = join(await temporaryFolder(), 'a.npy')
    await writeFile(path, bytes)
    await expect(readNpy(path)).rejects.toMatchObject({ name, message: expect.stringMatching(message) })
  })
})

interface Member {
  readonly name: string
  readonly data: Uint8Array
  readonly deflate?: boolean
  /** What the archive says, where it is not the truth. */
  readonly size?: number
  readonly crc?: number
  readonly method?: number
  readonly flags?: number
}

/** A zip archive by hand, which can lie. */
function zipFile(members: readonly Member[]): Uint8Array {
  const parts: Buffer[] = []
  const directory: Buffer[] = []
  let offset = 0
  for (const { name, data, deflate = false, size = data.length, crc = crc32(data), method, flags = 0x800 } of members) {
    const packed = deflate ? deflateRawSync(data, { level: 9 }) : Buffer.from(data)
    const local = Buffer.alloc(30)
    local.writeUInt32LE(0x04034b50)
    local.writeUInt16LE(20, 4)
    local.writeUInt16LE(flags, 6)
    local.writeUInt16LE(method ?? (deflate ? 8 : 0), 8)
    local.writeUInt32LE(crc, 14)
    local.writeUInt32LE(packed.length, 18)
    local.writeUInt32LE(size, 22)
    local.writeUInt16LE(Buffer.byteLength(name), 26)
    const central = Buffer.alloc(46)
    central.writeUInt32LE(0x02014b50)
    central.writeUInt16LE(20, 4)
    local.copy(central, 6, 4, 30)
    central.writeUInt32LE(offset, 42)
    parts.push(local, Buffer.from(name), packed)
    directory.push(central, Buffer.from(name))
    offset += 30 + Buffer.byteLength(name) + packed.length
  }
  const end = Buffer.alloc(22)
  end.writeUInt32LE(0x06054b50)
  end.writeUInt16LE(members.length, 8)
  end.writeUInt16LE(members.length, 10)
  end.writeUInt32LE(Buffer.concat(directory).length, 12)
  end.writeUInt32LE(offset, 16)
  return Buffer.concat([...parts, ...directory, end])
}

describe('.npz', () => {
  const header = (shape: string, descr = '<f4'): string =>
    `{'descr': '${descr}', 'fortran_order': False, 'shape': ${shape}, }\n`
  const data = npyFile(header('(2,)'), new Uint8Array(Float32Array.of(1, 2).buffer))
  const zeros = npyFile(header('(4000000,)'), new Uint8Array(16_000_000))

  const read = async (bytes: Uint8Array, options = {}): ReturnType<typeof readNpz> => {
    const path = join(await temporaryFolder(), 'a.npz')
    await writeFile(path, bytes)
    return readNpz(path, options)
  }

  test('a good one by hand', async () => {
    for (const deflate of [false, true])
      expect(bytesOfAll(await read(zipFile([{ name: 'a.npy', data, deflate }])))).toEqual([
        ['a', 'f32', [2], '0000803f00000040'],
      ])
  })

  test.each<[string, () => Uint8Array, string, RegExp]>([
    ['an empty file', () => new Uint8Array(0), 'FormatError', /central directory/i],
    ['no archive', () => Buffer.alloc(100, 'x'), 'FormatError', /central directory/i],
    ['half an archive', () => zipFile([{ name: 'a.npy', data }]).subarray(60), 'FormatError', /./],
    ['a member that is no array', () => zipFile([{ name: 'a.txt', data }]), 'FormatError', /no \.npy array/],
    [
      'a member with other contents',
      () => zipFile([{ name: 'a.npy', data: Buffer.from('hello, world') }]),
      'FormatError',
      /not a \.npy/,
    ],
    ['a member that leads elsewhere', () => zipFile([{ name: '../a.npy', data }]), 'FormatError', /relative path/],
    ['an absolute member', () => zipFile([{ name: '/a.npy', data }]), 'FormatError', /absolute path/],
    [
      'a member twice',
      () =>
        zipFile([
          { name: 'a.npy', data },
          { name: 'a.npy', data },
        ]),
      'FormatError',
      /twice/,
    ],
    ['another checksum', () => zipFile([{ name: 'a.npy', data, crc: 1 }]), 'FormatError', /checksum/],
    [
      'another checksum, packed',
      () => zipFile([{ name: 'a.npy', data, crc: 1, deflate: true }]),
      'FormatError',
      /checksum/,
    ],
    [
      'a size that is too small',
      () => zipFile([{ name: 'a.npy', data: zeros, size: 100, deflate: true }]),
      'FormatError',
      /./,
    ],
    [
      'a size that is too big',
      () => zipFile([{ name: 'a.npy', data, size: data.length + 8, deflate: true }]),
      'FormatError',
      /8 bytes of elements, and 16 follow/,
    ],
    [
      'a size that can not be',
      () => zipFile([{ name: 'a.npy', data, size: 4_000_000_000, deflate: true }]),
      'FormatError',
      /can not become/,
    ],
    ['another packing', () => zipFile([{ name: 'a.npy', data, method: 12 }]), 'FormatError', /unsupported compression/],
    [
      'an encrypted member',
      () => zipFile([{ name: 'a.npy', data, flags: 0x801, deflate: true }]),
      'FormatError',
      /encrypted/,
    ],
    [
      'packed bytes that are none',
      () => zipFile([{ name: 'a.npy', data: Buffer.alloc(200, 0xff), method: 8 }]),
      'FormatError',
      /./,
    ],
    ['objects', () => zipFile([{ name: 'a.npy', data: npyFile(header('(1,)', '|O')) }]), 'DTypeError', /\|O/],
  ])('%s', async (_, make, name, message) => {
    await expect(read(make())).rejects.toMatchObject({ name, message: expect.stringMatching(message) })
  })

  test('what unpacks to more than is allowed', async () => {
    const bomb = zipFile(Array.from({ length: 3 }, (_, i) => ({ name: `${i}.npy`, data: zeros, deflate: true })))
    expect(bomb.length).toBeLessThan(100_000)
    await expect(read(bomb, { maxBytes: 40_000_000 })).rejects.toThrow(/raise maxBytes/)
    expect(Object.keys(await read(bomb, { maxBytes: 40_000_000, only: '[01]' }))).toEqual(['0', '1'])
    expect(Object.keys(await read(bomb))).toHaveLength(3)
  })
})
