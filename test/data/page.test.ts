// The blocks of docs/data.md, run as they stand: they print what their comments say.
import { execFile } from 'node:child_process'
import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import sharp from 'sharp'
import ts from 'typescript'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const root = fileURLToPath(new URL('../..', import.meta.url))
// In dist/, so that `heddle/data` is this package.
const folder = join(root, 'dist', 'test', 'data', 'page')
const page = readFileSync(join(root, 'docs', 'data.md'), 'utf8')
const blocks = [...page.matchAll(/```ts(?: file=(\S+))?\n([\s\S]*?)```/g)].map(([, file, code]) => ({
  file,
  code: code as string,
}))

/** The lines that the comments after `console.log` promise. */
const promised = (code: string): string[] =>
  [...code.matchAll(/console\.log\(.*\) \/\/ (.*)$/gm)].flatMap(([, line]) => (line as string).split(' | '))

beforeAll(async () => {
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(join(folder, 'model'), { recursive: true })
  const houses = [
    '80,3,north,200',
    '120,4,south,340',
    ',2,north,150',
    '60,2,south,140',
    '95,3,north,260',
    '150,5,south,420',
    '70,2,north,170',
    '110,4,south,300',
  ]
  writeFileSync(join(folder, 'houses.csv'), `area,rooms,district,price\n${houses.join('\n')}\n`)
  const reviews = ['good', 'bad', 'good good film', 'a bad film'].map((text, i) => JSON.stringify({ text, stars: i }))
  writeFileSync(join(folder, 'reviews.jsonl'), reviews.join('\n'))
  const vocab = Object.fromEntries(['[UNK]', 'good', 'bad', 'film', 'a'].map((token, id) => [token, id]))
  const tokenizer = {
    added_tokens: [],
    normalizer: null,
    pre_tokenizer: { type: 'Whitespace' },
    post_processor: null,
    decoder: null,
    model: {
      type: 'WordPiece',
      unk_token: '[UNK]',
      continuing_subword_prefix: '##',
      max_input_chars_per_word: 100,
      vocab,
    },
  }
  writeFileSync(join(folder, 'model', 'tokenizer.json'), JSON.stringify(tokenizer))
  copyFileSync(fileURLToPath(new URL('files/zstd.parquet', import.meta.url)), join(folder, 'rows.parquet'))
  for (const [name, r] of [
    ['cats', 200],
    ['dogs', 50],
  ] as const) {
    mkdirSync(join(folder, 'photos', name), { recursive: true })
    for (const i of [0, 1]) {
      await sharp({ create: { width: 40, height: 30, channels: 3, background: { r, g: 90, b: 20 } } })
        .jpeg()
        .toFile(join(folder, 'photos', name, `${i}.jpg`))
    }
  }
  for (const { file, code } of blocks) if (file) writeFileSync(join(folder, file), code)
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe('docs/data.md', () => {
  const scripts = blocks.filter(({ file }) => !file)
  it.each(scripts.map(({ code }, i) => [i + 1, code] as const))(
    'block %i prints what it says',
    { timeout: 60_000 },
    async (number, code) => {
      const { outputText, diagnostics } = ts.transpileModule(code, {
        compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022 },
        reportDiagnostics: true,
      })
      expect(diagnostics).toEqual([])
      const script = join(folder, `block${number}.mjs`)
      writeFileSync(script, outputText)
      const { stdout } = await promisify(execFile)(process.execPath, [script], { cwd: folder })
      expect(promised(code).length).toBeGreaterThan(0)
      expect(stdout.trim().split('\n')).toEqual(promised(code))
    },
  )

  it('type-checks', { timeout: 60_000 }, () => {
    const files = scripts.map(({ code }, i) => {
      const path = join(folder, `block${i + 1}.mts`)
      writeFileSync(path, code)
      return path
    })
    const program = ts.createProgram(files, {
      module: ts.ModuleKind.NodeNext,
      moduleResolution: ts.ModuleResolutionKind.NodeNext,
      target: ts.ScriptTarget.ES2022,
      lib: ['lib.es2023.d.ts', 'lib.esnext.disposable.d.ts'],
      types: ['node'],
      strict: true,
      noEmit: true,
      skipLibCheck: true,
    })
    const found = ts
      .getPreEmitDiagnostics(program)
      .map(({ messageText, file }) => `${file?.fileName}: ${ts.flattenDiagnosticMessageText(messageText, '\n')}`)
    expect(found).toEqual([])
  })
})
