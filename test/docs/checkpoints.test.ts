// The code of docs/checkpoints.md runs, and a run that goes on continues bit for bit.
import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { runPage } from './page.js'

// Stands before the page's code: the inputs that a reader has.
const BEFORE = `
import { tensor } from 'heddle'
const inputs = (step: number) => tensor(Float32Array.from({ length: 32 }, (_, i) => Math.sin(i + step)), { shape: [4, 8] })
`

// Stands behind it: three more steps, then the same ones in a run that starts from the checkpoint.
const AFTER = `
async function three(each: typeof run): Promise<number[]> {
  const losses: number[] = []
  for (let step = 11; step <= 13; step++) losses.push(await (await each.step(inputs(step))).item())
  return losses
}
const first = await three(run)
const again = makeRun()
const saved = await store.latest()
again.model.loadStateDict(saved!.tensors['model']!)
again.adamw.loadStateDict(saved!.tensors['optimizer']!)
again.noise.loadStateDict(saved!.tensors['random']!)
console.log(JSON.stringify({ first, second: await three(again) }))
`

test('the program of the page', { timeout: 60_000 }, async () => {
  const { folder, output } = await runPage('checkpoints.md', { before: BEFORE, after: AFTER })
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  expect(output).toContain('goes on after step 10')
  const { first, second } = JSON.parse(output.trim().split('\n').at(-1) as string)
  expect(first).toHaveLength(3)
  expect(second).toEqual(first)
  expect((await readdir(join(folder, 'runs/a'))).length).toBeGreaterThanOrEqual(3)
})
