// Runs the code of a page of docs/ as one program, as a reader would who copies it block by block.
import { execFileSync } from 'node:child_process'
import { mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'
import { ONE_THREAD } from '../oneThread.js'

const root = fileURLToPath(new URL('../..', import.meta.url))

export interface PageRun {
  /** Where it ran; the caller removes it. */
  readonly folder: string
  readonly output: string
}

/** `before` stands in front of the page's blocks, `after` behind them. */
export async function runPage(page: string, { before = '', after = '' } = {}): Promise<PageRun> {
  const text = await readFile(join(root, 'docs', page), 'utf8')
  const blocks = [...text.matchAll(/```ts\n([\s\S]*?)```/g)].map((match) => match[1] as string)
  if (blocks.length === 0) throw new Error(`docs/${page} has no code`)
  const { outputText } = ts.transpileModule([before, ...blocks, after].join('\n'), {
    compilerOptions: { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext, verbatimModuleSyntax: false },
  })
  // Inside the package, where its own name leads to what was built.
  await mkdir(join(root, 'runs'), { recursive: true })
  const folder = await mkdtemp(join(root, 'runs', 'docs-'))
  await writeFile(join(folder, 'page.mjs'), outputText)
  const env = { ...process.env, ...ONE_THREAD }
  const output = execFileSync(process.execPath, ['page.mjs'], { cwd: folder, encoding: 'utf8', env })
  return { folder, output }
}
