// Without its optional packages heddle/data loads, and says what to install where one is needed.
import { execFileSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, it } from 'vitest'

const root = fileURLToPath(new URL('../..', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'heddle-'))
afterAll(() => rmSync(folder, { recursive: true }))

describe('an optional package that is not installed', () => {
  it('is named where it is needed, and nowhere else', () => {
    cpSync(join(root, 'dist', 'lib'), join(folder, 'lib'), { recursive: true })
    mkdirSync(join(folder, 'node_modules'))
    symlinkSync(join(root, 'node_modules', 'node-gyp-build'), join(folder, 'node_modules', 'node-gyp-build'))
    writeFileSync(join(folder, 'package.json'), '{"type":"module"}')
    writeFileSync(join(folder, 'tokenizer.json'), '{}')
    const script = `
      import { decodeImage, loadTokenizer, readCsv, readJsonLines } from './lib/data/index.js'
      console.log((await readJsonLines(['{"a":1}']).toArray()).length)
      for (const work of [() => decodeImage(new Uint8Array(1)), () => loadTokenizer('tokenizer.json'), () => readCsv(['a']).toArray()])
        await work().catch((error) => console.log(error.name, error.message))`
    writeFileSync(join(folder, 'script.js'), script)
    const printed = execFileSync(process.execPath, ['script.js'], { cwd: folder, encoding: 'utf8' })
    expect(printed.trim().split('\n')).toEqual([
      '1',
      ...[
        ['decodeImage', 'sharp'],
        ['loadTokenizer', '@huggingface/tokenizers'],
        ['readCsv', 'csv-parse'],
      ].map(
        ([op, name]) =>
          `HeddleError ${op}: it needs the package ${name}, which can not be loaded; install it (npm install ${name})`,
      ),
    ])
  })
})
