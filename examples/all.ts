// Runs the examples about pretrained models one after the other and gathers their figures in one file.
//   npm run examples -- [NAME ...] [--full] [--json FILE]
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

const EXAMPLES = [
  'generate',
  'fine-tune',
  'lora',
  'transfer-learning',
  'distill',
  'distill-sentences',
  'cascade',
  'quantize',
  'right-size',
] as const

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { full: { type: 'boolean', default: false }, json: { type: 'string' } },
})
const unknown = positionals.filter((name) => !(EXAMPLES as readonly string[]).includes(name))
if (unknown.length > 0) {
  console.error(`examples: there is no ${unknown.join(', ')}; there are ${EXAMPLES.join(', ')}`)
  process.exit(2)
}

const folder = mkdtempSync(join(tmpdir(), 'heddle-examples-'))
const figures: Record<string, unknown> = {}
const failed: string[] = []
const chosen = EXAMPLES.filter((name) => positionals.length === 0 || positionals.includes(name))
for (const [position, name] of chosen.entries()) {
  console.log(`\n[${position + 1}/${chosen.length}] ${name}`)
  const file = join(folder, `${name}.json`)
  const program = fileURLToPath(new URL(`./${name}.js`, import.meta.url))
  const start = performance.now()
  const { status } = spawnSync(process.execPath, [program, '--json', file, ...(values.full ? ['--full'] : [])], {
    stdio: 'inherit',
  })
  const seconds = Math.round((performance.now() - start) / 1000)
  if (status === 0) figures[name] = { seconds, ...JSON.parse(readFileSync(file, 'utf8')) }
  else failed.push(name)
}
rmSync(folder, { recursive: true })
if (values.json) {
  const machine = { processor: cpus()[0]?.model, cores: cpus().length, node: process.version }
  writeFileSync(values.json, `${JSON.stringify({ machine, full: values.full, examples: figures }, null, 2)}\n`)
}
if (failed.length > 0) {
  console.error(`examples: ${failed.join(', ')} failed`)
  process.exitCode = 1
}
