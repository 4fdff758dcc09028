// heddle inspect: what files and folders hold, in words and in JSON, and what it says of damaged ones.
import { truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { Inspected } from '../../lib/cli/inspect.js'
import { nn } from '../../lib/index.js'
import { CheckpointStore, writeSafetensors } from '../../lib/io/index.js'
import { temporaryFolder } from '../io/folder.js'
import { heddle } from './heddle.js'

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
