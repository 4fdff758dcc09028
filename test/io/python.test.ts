// Files of Python's safetensors and NumPy are read, and files written here are read by them.
import { execFileSync, spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import type { StateDict } from '../../lib/index.js'
import {
  readNpy,
  readNpz,
  readSafetensors,
  type StoredTensor,
  writeNpy,
  writeNpz,
  writeSafetensors,
} from '../../lib/io/index.js'
import { temporaryFolder } from './folder.js'
import { bytesOfAll, generator, oneOfEach, randomTensor } from './tensors.js'

const root = fileURLToPath(new URL('../..', import.meta.url))
const install = spawnSync(process.execPath, [join(root, 'scripts/python-peers.mjs')], { encoding: 'utf8' })
const folder = install.status === 0 ? install.stdout.trim() : undefined
if (!folder) console.warn(`round trips with Python are skipped: ${install.stderr.trim()}`)

type Description = Record<string, [string, readonly number[], string]>

const descriptionOf = (tensors: StateDict): Description =>
  Object.fromEntries(bytesOfAll(tensors).map(([name, ...rest]) => [name, rest]))

function python(order: 'read' | 'write', kind: string, path: string, input?: Description): Description {
  const output = execFileSync('python3', [join(root, 'test/io/peer.py'), order, kind, path], {
    env: { ...process.env, PYTHONPATH: folder },
    encoding: 'utf8',
    ...(input ? { input: JSON.stringify(input) } : {}),
  })
  return input ? {} : (JSON.parse(output) as Description)
}

/** NumPy has no bf16, and archives have no backslashes. */
const ofNumpy = (tensors: Record<string, StoredTensor>): Record<string, StoredTensor> =>
  Object.fromEntries(
    Object.entries(tensors).flatMap(([name, state]) =>
      state.dtype === 'bf16' ? [] : [[name.replaceAll('\\', ''), state] as const],
    ),
  )

describe.skipIf(!folder)('Python', { timeout: 60_000 }, () => {
  test('reads our safetensors, every dtype, bit for bit', async () => {
    const path = join(await temporaryFolder(), 'a.safetensors')
    const tensors = oneOfEach(5)
    await writeSafetensors(path, tensors, { metadata: { format: 'np' } })
    expect(python('read', 'safetensors', path)).toEqual(descriptionOf(tensors))
    const plain = ofNumpy(tensors)
    await writeSafetensors(path, plain)
    expect(python('read', 'safetensors-numpy', path)).toEqual(descriptionOf(plain))
  })

  test('writes safetensors that we read', async () => {
    const path = join(await temporaryFolder(), 'a.safetensors')
    const tensors = oneOfEach(6)
    python('write', 'safetensors', path, descriptionOf(tensors))
    expect(descriptionOf(await readSafetensors(path))).toEqual(descriptionOf(tensors))
  })

  test('reads our .npz, stored and compressed', async () => {
    const path = join(await temporaryFolder(), 'a.npz')
    const tensors = ofNumpy(oneOfEach(7))
    for (const compress of [false, true]) {
      await writeNpz(path, tensors, { compress })
      expect(python('read', 'npz', path)).toEqual(descriptionOf(tensors))
    }
  })

  test('writes .npz that we read', async () => {
    const path = join(await temporaryFolder(), 'a.npz')
    const tensors = ofNumpy(oneOfEach(8))
    for (const kind of ['npz', 'npz-compressed']) {
      python('write', kind, path, descriptionOf(tensors))
      expect(descriptionOf(await readNpz(path))).toEqual(descriptionOf(tensors))
    }
  })

  test('.npy both ways: scalars, orders of axes and bytes, versions', async () => {
    const folder = await temporaryFolder()
    const file = (name: string | number): string => join(folder, `${name}.npy`)
    const random = generator(10)
    const arrays: StoredTensor[] = [
      ...Object.values(ofNumpy(oneOfEach(9))),
      randomTensor('f32', [3, 4, 5], random),
      randomTensor('i64', [2, 7], random),
      randomTensor('f16', [2, 3, 2, 3], random),
      randomTensor('f64', [1], random),
    ]
    const all = descriptionOf(Object.fromEntries(arrays.map((array, i) => [i, array])))
    for (const [i, array] of arrays.entries()) await writeNpy(file(i), array)
    expect(python('read', 'npy', folder)).toEqual(all)
    for (const kind of ['npy', 'npy-fortran', 'npy-big-endian', 'npy-version-2']) {
      python('write', kind, folder, all)
      for (const [i, array] of arrays.entries())
        expect(descriptionOf({ array: await readNpy(file(i)) }), `${kind} ${i}`).toEqual(descriptionOf({ array }))
    }
  })
})
