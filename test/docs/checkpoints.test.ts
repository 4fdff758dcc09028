// The code of docs/checkpoints.md runs, and a run that goes on continues bit for bit.
import { execFileSync } from 'node:child_process'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'
import { expect, onTestFinished, test } from 'vitest'

const root = fileURLToPath(new URL('../..', import.meta.url))

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
  const page = await readFile(join(root, 'docs/checkpoints.md'), 'utf8')
  const blocks = [...page.matchAll(/```ts\n([\s\S]*?)```/g)].map((match) => match[1] as string)
  expect(blocks.length).toBeGreaterThan(4)
  const { outputText } = ts.transpileModule([BEFORE, ...blocks, AFTER].join('\n'), {
    compilerOptions: { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext, verbatimModuleSyntax: false },
  })
  // Inside the package, where its own name leads to what was built.
  await mkdir(join(root, 'runs'), { recursive: true })
  const folder = await mkdtemp(join(root, 'runs', 'docs-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  await writeFile(join(folder, 'page.mjs'), outputText)
  const output = execFileSync(process.execPath, ['page.mjs'], { cwd: folder, encoding: 'utf8' })
  expect(output).toContain('goes on after step 10')
  const { first, second } = JSON.parse(output.trim().split('\n').at(-1) as string)
  expect(first).toHaveLength(3)
  expect(second).toEqual(first)
  expect((await readdir(join(folder, 'runs/a'))).length).toBeGreaterThanOrEqual(3)
})
