// heddle inspect: what files and folders hold, in words and in JSON, and what it says of damaged ones.
import { truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { Inspected } from '../../lib/cli/inspect.js'
import { FormatError, nn } from '../../lib/index.js'
import { CheckpointStore, writeSafetensors } from '../../lib/io/index.js'
import { readOnnx } from '../../lib/io/onnx.js'
import { temporaryFolder } from '../io/folder.js'
import { heddle } from './heddle.js'
import { type Field, MODEL, message, varint } from './onnx.js'

const layer = (): Promise<nn.StateDict> => new nn.Linear(3, 2).stateDict()
const json = (...argv: string[]): Inspected => JSON.parse(heddle(['inspect', ...argv, '--json']).stdout) as Inspected

describe('heddle inspect', () => {
  it('lists the tensors of a file, and those that fit a pattern', async () => {
    const file = join(await temporaryFolder(), 'a.safetensors')
    await writeSafetensors(file, await layer(), { metadata: { made: 'by\u001b[2J hand' } })
    const { status, stdout } = heddle(['inspect', file])
    expect(status).toBe(0)
    expect(stdout).toMatch(/^ {2}weight {2}f32 {2}\[2,3\] {2}24 B$/m)
    expect(stdout).toMatch(/^ {2}2 tensors, 8 elements, 32 B$/m)
    // What a file says can not move the cursor.
    expect(stdout).not.toContain('\u001b')
    const found = json(file, 'bi*')
    expect(found).toMatchObject({ kind: 'safetensors', groups: [{ metadata: { made: 'by\u001b[2J hand' } }] })
    expect(found.groups[0]?.tensors).toEqual([{ name: 'bias', dtype: 'f32', shape: [2], bytes: 8 }])
  })

  it('shows a checkpoint, and of a run the newest', async () => {
    const root = await temporaryFolder()
    const store = new CheckpointStore(root)
    await store.save(1, { tensors: { model: await layer() } })
    const { path } = await store.save(7, { tensors: { model: await layer() } }, { loss: 0.25 })
    const run = json(root)
    expect(run).toMatchObject({ kind: 'run', steps: [1, 7], checkpoint: { step: 7, metrics: { loss: 0.25 } } })
    expect(json(path)).toMatchObject({ kind: 'checkpoint', checkpoint: { step: 7 } })
    expect(heddle(['inspect', root]).stdout).toMatch(
      /steps 1, 7; the newest:\nstep 7, saved 20\d\d-.*\n {2}loss 0.25\n/,
    )
  })

  it('says what is damaged', async () => {
    const root = await temporaryFolder()
    const { path } = await new CheckpointStore(root).save(1, { tensors: { model: await layer() } })
    await truncate(join(path, 'model.safetensors'), 20)
    const damaged = heddle(['inspect', path])
    expect(damaged).toMatchObject({ status: 1, stdout: '' })
    expect(damaged.stderr).toMatch(/has 20 bytes, and was saved with/)
    const text = join(root, 'notes.txt')
    await writeFile(text, 'nothing like it')
    const refused = heddle(['inspect', text])
    expect(refused.status).toBe(1)
    expect(refused.stderr).toMatch(/^heddle inspect: .*notes\.txt: its header/)
    expect(heddle(['inspect', join(root, 'gone')])).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('ENOENT'),
    })
  })

  it('refuses what it does not know', () => {
    expect(heddle(['inspect'])).toMatchObject({ status: 2, stderr: expect.stringContaining('Usage') })
    expect(heddle(['inspect', 'x', '--loud'])).toMatchObject({ status: 2, stderr: expect.stringContaining("'--loud'") })
    expect(heddle(['inspect', '--help'])).toMatchObject({ status: 0, stdout: expect.stringContaining('PATTERN') })
  })
})

describe('heddle inspect of ONNX files', () => {
  const write = async (bytes: Uint8Array): Promise<string> => {
    const file = join(await temporaryFolder(), 'model.onnx')
    await writeFile(file, bytes)
    return file
  }

  it('tells inputs, outputs, operators and initialisers', async () => {
    const file = await write(message(MODEL))
    const found = json(file)
    expect(found.onnx).toEqual({
      irVersion: 9,
      producer: 'test 1.0',
      graph: 'net',
      opsets: { '': 17 },
      inputs: [{ name: 'x', dtype: 'f32', shape: ['batch', 3] }],
      outputs: [{ name: 'y', dtype: 'f32', shape: ['batch', 2] }],
      operators: [
        ['Add', 2],
        ['If', 1],
        ['MatMul', 1],
        ['Relu', 1],
        ['com.example.Custom', 1],
      ],
    })
    expect(found.groups[0]?.tensors).toEqual([
      { name: 'w', dtype: 'f32', shape: [3, 2], bytes: 24, external: '' },
      { name: 'b', dtype: 'f16', shape: [2], bytes: 4, external: 'b.bin' },
    ])
    const { status, stdout } = heddle(['inspect', file])
    expect(status).toBe(0)
    expect(stdout).toContain('ONNX, IR version 9, operators of ai.onnx 17, by test 1.0')
    expect(stdout).toMatch(/^ {2}input {3}x {2}f32 {2}\[batch,3\]$/m)
    expect(stdout).toMatch(/^ {2}6 operators: Add 2, /m)
    expect(stdout).toMatch(/^ {2}b \(in b\.bin\) +f16/m)
    expect(stdout).not.toContain('\u001b')
    expect(json(file, 'w').groups[0]?.tensors.map(({ name }) => name)).toEqual(['w'])
  })

  it.each<readonly [string, Uint8Array, RegExp]>([
    ['nothing', new Uint8Array(0), /it has no graph/],
    ['text', Buffer.from('nothing like it'), /at byte \d+: /],
    [
      'a length beyond the end',
      Buffer.from([...varint(7 * 8 + 2), 100, 1, 2]),
      /field 7 has 100 bytes, and 2 are left/,
    ],
    [
      'a length of 2^63',
      Buffer.from([...varint(7 * 8 + 2), ...varint(2n ** 63n)]),
      /field 7 has 9223372036854775808 bytes/,
    ],
    ['a number without end', Buffer.from([8, ...new Array<number>(11).fill(0xff)]), /more than ten bytes/],
    ['a wire type that is none', Buffer.from([7 * 8 + 6]), /unknown wire type 6/],
    ['a negative extent', message([[7, [[5, [[1, -3n]]]]]]), /extent is -3/],
    [
      'more elements than there are',
      message([
        [
          7,
          [
            [
              5,
              [
                [1, 2 ** 40],
                [1, 2 ** 40],
              ],
            ],
          ],
        ],
      ]),
      /too many elements/,
    ],
    ['a number where a message should be', message([[7, [[1, 5]]]]), /field 1 is no message/],
    ['a number where a name should be', message([[7, [[2, 5]]]]), /field 2 is no text/],
  ])('of %s is an error that says where', async (_, bytes, what) => {
    const file = await write(bytes)
    await expect(readOnnx(file)).rejects.toThrow(FormatError)
    await expect(readOnnx(file)).rejects.toThrow(what)
    expect(heddle(['inspect', file])).toMatchObject({ status: 1, stdout: '', stderr: expect.stringMatching(what) })
  })

  it('with graphs within graphs without end is an error', async () => {
    let graph: readonly Field[] = [[2, 'innermost']]
    for (let i = 0; i < 100; i++) graph = [[1, [[5, [[6, graph]]]]]]
    await expect(readOnnx(await write(message([[7, graph]])))).rejects.toThrow(/more than 64 deep/)
  })

  it('cut off anywhere, or with any byte changed, is read or refused, and nothing else', async () => {
    const whole = message(MODEL)
    const file = await write(whole)
    for (let length = 0; length < whole.length; length++) {
      await writeFile(file, whole.subarray(0, length))
      await readOnnx(file).catch((error) => expect(error).toBeInstanceOf(FormatError))
    }
    for (let at = 0; at < whole.length; at++) {
      const changed = Buffer.from(whole)
      changed[at] = (changed[at] as number) ^ (1 << (at % 8)) ^ 0x80
      await writeFile(file, changed)
      await readOnnx(file).catch((error) => expect(error).toBeInstanceOf(FormatError))
    }
  })
})
