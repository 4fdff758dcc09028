// Safetensors files: what is written is read back bit for bit, whole, in parts and in shards.
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { nn, type StateDict } from '../../lib/index.js'
import { openSafetensors, readSafetensors, writeSafetensors } from '../../lib/io/index.js'
import { temporaryFolder } from './folder.js'
import { intercept } from './intercept.js'
import { bytesOfAll, generator, oneOfEach, randomTensor } from './tensors.js'

describe('one file', () => {
  test('every dtype, scalars, empty tensors and odd names come back bit for bit', async () => {
    const path = join(await temporaryFolder(), 'a.safetensors')
    const tensors = oneOfEach()
    await writeSafetensors(path, tensors, { metadata: { format: 'pt' } })
    expect(bytesOfAll(await readSafetensors(path))).toEqual(bytesOfAll(tensors))
    const { length } = await readFile(path)
    const held = Object.values(tensors).reduce((sum, { data }) => sum + data.byteLength, 0)
    expect(length - held).toBeLessThan(2000)
    await using file = await openSafetensors(path)
    expect(file.metadata).toEqual({ format: 'pt' })
    expect(file.spec('layer.2.bf16')).toEqual({ dtype: 'bf16', shape: [3, 3, 2], bytes: 36 })
    expect(bytesOfAll({ x: await file.read('12') })).toEqual(bytesOfAll({ x: tensors['12'] as never }))
  })

  test('tensors bigger than a read, at odd lengths, beside many small ones', async () => {
    const path = join(await temporaryFolder(), 'a.safetensors')
    const random = generator(7)
    const tensors: StateDict = Object.fromEntries([
      ['big', randomTensor('u8', [9_000_001], random)],
      ...Array.from({ length: 700 }, (_, i) => [`small.${i}`, randomTensor('i8', [i % 13], random)] as const),
      ['wide', randomTensor('f32', [1_100_003], random)],
    ])
    await writeSafetensors(path, tensors)
    const read = await readSafetensors(path)
    for (const [name, { data }] of Object.entries(tensors)) {
      const found = read[name]?.data as ArrayBufferView
      expect(Buffer.compare(Buffer.from(found.buffer), Buffer.from(data.buffer)), name).toBe(0)
    }
  })

  test('rows are read alone', async () => {
    const path = join(await temporaryFolder(), 'a.safetensors')
    const data = Float32Array.from({ length: 5 * 6 }, (_, i) => i)
    await writeSafetensors(path, {
      before: { data: Uint8Array.of(1, 2, 3), shape: [3], dtype: 'u8' },
      rows: { data, shape: [5, 2, 3], dtype: 'f32' },
    })
    await using file = await openSafetensors(path)
    expect(await file.readRows('rows', 3, 2)).toEqual({ data: data.slice(18), shape: [2, 2, 3], dtype: 'f32' })
    expect(await file.readRows('before', 1, 1)).toEqual({ data: Uint8Array.of(2), shape: [1], dtype: 'u8' })
    expect((await file.readRows('rows', 5, 0)).shape).toEqual([0, 2, 3])
    await expect(file.readRows('rows', 4, 2)).rejects.toThrow(/has 5 rows, and none from 4 up to 6/)
  })

  test('no tensors at all', async () => {
    const path = join(await temporaryFolder(), 'a.safetensors')
    await writeSafetensors(path, {})
    expect(await readSafetensors(path)).toEqual({})
  })

  test('halves held as numbers are stored in 16 bits, without loss', async () => {
    const path = join(await temporaryFolder(), 'a.safetensors')
    const data = Float32Array.of(1.5, -0, 65504, 2 ** -24, Number.POSITIVE_INFINITY)
    const brain = Float32Array.of(1.5, -0, 3.0040855e38, 2 ** -133, Number.NEGATIVE_INFINITY)
    await writeSafetensors(path, {
      h: { dtype: 'f16', shape: [5], data },
      b: { dtype: 'bf16', shape: [5], data: brain },
    })
    const read = await readSafetensors(path)
    expect(read['h']?.data).toEqual(Uint16Array.of(0x3e00, 0x8000, 0x7bff, 1, 0x7c00))
    expect(read['b']?.data).toEqual(Uint16Array.of(0x3fc0, 0x8000, 0x7f62, 1, 0xff80))
  })

  test('a glob or a RegExp chooses tensors', async () => {
    const path = join(await temporaryFolder(), 'a.safetensors')
    await writeSafetensors(path, oneOfEach())
    expect(Object.keys(await readSafetensors(path, { only: 'layer.[0-2]' })).sort()).toEqual([
      'layer.0.f32',
      'layer.1.f64',
      'layer.2.bf16',
    ])
    expect(Object.keys(await readSafetensors(path, { only: /16$/ })).sort()).toEqual(['layer.2.bf16', 'layer.3.f16'])
  })

  test('a model goes out and comes back', async () => {
    const path = join(await temporaryFolder(), 'model.safetensors')
    const from = new nn.Linear(3, 4)
    const to = new nn.Linear(3, 4)
    await writeSafetensors(path, await from.stateDict({ bits: true }))
    to.loadStateDict(await readSafetensors(path))
    expect(await to.stateDict()).toEqual(await from.stateDict())
  })

  test('what a process that was killed while it wrote has left is removed', async () => {
    const folder = await temporaryFolder()
    let own = ''
    const end = await intercept({
      before: ({ name, path }) => {
        if (name === 'rename') own = basename(path)
      },
    })
    await writeSafetensors(join(folder, 'a.safetensors'), oneOfEach())
    end()
    const killed = own.replace(/-\d+-(\d+-[0-9a-f]{8})$/, '-4194999-$1')
    await writeFile(join(folder, killed), 'half a file')
    await writeFile(join(folder, killed.replace('.tmp-a', '.tmp-b')), 'half of another')
    await writeSafetensors(join(folder, 'a.safetensors'), oneOfEach())
    expect((await readdir(folder)).sort()).toEqual([killed.replace('.tmp-a', '.tmp-b'), 'a.safetensors'])
  })

  test('what cannot be written is said before anything is', async () => {
    const folder = await temporaryFolder()
    const path = join(folder, 'a.safetensors')
    const f32 = { dtype: 'f32' as const, shape: [2], data: Float32Array.of(1, 2) }
    await expect(writeSafetensors(path, { a: { ...f32, shape: [3] } })).rejects.toThrow(/'a' has 8 bytes/)
    await expect(writeSafetensors(path, { a: { ...f32, dtype: 'i32' } })).rejects.toThrow(/takes a Int32Array/)
    await expect(writeSafetensors(path, { '\ud800': f32 })).rejects.toThrow(/well-formed/)
    await expect(writeSafetensors(path, { ['__metadata__']: f32 })).rejects.toThrow(/__metadata__/)
    await expect(writeSafetensors(path, {}, { metadata: { a: 1 as never } })).rejects.toThrow(/strings only/)
    await expect(writeSafetensors(join(folder, 'a.bin'), {})).rejects.toThrow(/must end in/)
    expect(await readdir(folder)).toEqual([])
  })
})

describe('shards', () => {
  const folderOf = async (): Promise<string> => temporaryFolder()

  test('files with an index, found by folder, by index and by the name of the whole', async () => {
    const folder = await folderOf()
    const path = join(folder, 'model.safetensors')
    const tensors = oneOfEach()
    await writeSafetensors(path, tensors, { maxShardBytes: 120 })
    const files = await readdir(folder)
    expect(files.length).toBeGreaterThan(3)
    expect(files).toContain('model.safetensors.index.json')
    for (const way of [folder, path, `${path}.index.json`])
      expect(bytesOfAll(await readSafetensors(way))).toEqual(bytesOfAll(tensors))
  })

  test('written again, whole or in shards, nothing of before is left', async () => {
    const folder = await folderOf()
    const path = join(folder, 'model.safetensors')
    for (const maxShardBytes of [120, 120, 400, Number.POSITIVE_INFINITY, 200]) {
      const tensors = oneOfEach(maxShardBytes)
      await writeSafetensors(path, tensors, { maxShardBytes })
      expect(bytesOfAll(await readSafetensors(folder))).toEqual(bytesOfAll(tensors))
      const index = await readFile(`${path}.index.json`, 'utf8').catch(() => undefined)
      const needed = index
        ? [...new Set(Object.values<string>(JSON.parse(index).weight_map)), 'model.safetensors.index.json']
        : ['model.safetensors']
      expect((await readdir(folder)).sort()).toEqual(needed.sort())
    }
  })

  test('an error of the disk at any operation leaves the old or the new, and nothing else', async () => {
    const root = await folderOf()
    const [old, next] = [oneOfEach(1), oneOfEach(2)]
    for (const [before, after] of [
      [300, 400],
      [300, Number.POSITIVE_INFINITY],
      [Number.POSITIVE_INFINITY, 300],
    ] as const)
      for (let point = 1; ; point++) {
        const folder = join(root, `${before}-${after}-${point}`)
        await mkdir(folder)
        const path = join(folder, 'model.safetensors')
        await writeSafetensors(path, old, { maxShardBytes: before })
        let count = 0
        const end = await intercept({
          before: ({ name }) => {
            if (name !== 'handle.close' && ++count === point) throw Object.assign(new Error('EIO'), { code: 'EIO' })
          },
        })
        const failure = await writeSafetensors(path, next, { maxShardBytes: after }).catch((error: unknown) => error)
        end()
        if (count < point) break
        const read = bytesOfAll(await readSafetensors(folder))
        expect([bytesOfAll(old), bytesOfAll(next)], `operation ${point}`).toContainEqual(read)
        if (failure === undefined) expect(read, `operation ${point}`).toEqual(bytesOfAll(next))
        expect((await readdir(folder)).filter((name) => name.startsWith('.tmp-'))).toEqual([])
        await rm(folder, { recursive: true })
      }
  })

  test('an index that leads elsewhere, to nothing, or to a file without the tensor', async () => {
    const folder = await folderOf()
    const path = join(folder, 'model.safetensors')
    await writeSafetensors(path, oneOfEach())
    await mkdir(join(folder, 'folder'))
    const index = join(folder, 'x.safetensors.index.json')
    const cases: [unknown, RegExp][] = [
      [{ weight_map: { a: '../model.safetensors' } }, /no name of a file beside it/],
      [{ weight_map: { a: '/etc/passwd' } }, /no name of a file beside it/],
      [{ weight_map: { a: 3 } }, /no name of a file beside it/],
      [{ weight_map: { a: 'missing.safetensors' } }, /is not there/],
      [{ weight_map: { a: 'a'.repeat(10_000) } }, /is not there/],
      [{ weight_map: { a: 'folder' } }, /it is no file/],
      [{ weight_map: { a: 'model.safetensors' } }, /'a' should be in/],
      [{ weight_map: [] }, /no weight_map/],
      [[], /no weight_map/],
    ]
    for (const [content, message] of cases) {
      await writeFile(index, JSON.stringify(content))
      await expect(readSafetensors(index)).rejects.toMatchObject({
        name: 'FormatError',
        message: expect.stringMatching(message),
      })
    }
  })
})
