// The figures of training: what the trainer costs, bf16 beside f32, whether the loader keeps up, files beside the disk.
//   npm run bench:training -- [--quick] [--json FILE]
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { fed } from './training/fed.js'
import { overhead } from './training/overhead.js'
import { lossInPrecision } from './training/precision.js'

const { values } = parseArgs({
  options: { json: { type: 'string' }, quick: { type: 'boolean', default: false } },
})
/** `quick` is there to be run, not to be read. */
const { quick } = values

/** Another benchmark, in a process of its own. */
function figuresOf(program: string, ...options: string[]): unknown {
  const folder = mkdtempSync(join(tmpdir(), 'heddle-bench-'))
  try {
    const file = join(folder, 'figures.json')
    const path = fileURLToPath(new URL(`./${program}.js`, import.meta.url))
    execFileSync(process.execPath, ['--expose-gc', path, '--json', file, ...options], {
      stdio: ['ignore', 'ignore', 'inherit'],
    })
    return JSON.parse(readFileSync(file, 'utf8'))
  } finally {
    rmSync(folder, { recursive: true })
  }
}

const trainer = []
for (const name of ['mlp', 'cnn', 'gpt'] as const) trainer.push(await overhead(name, quick ? 50 : 1500))
console.table(trainer)
const loader = []
for (const workers of [0, 1, 2]) loader.push(await fed(workers, quick ? 10 : 300))
console.table(loader)
const loss = await lossInPrecision(quick ? 20 : 500)
console.table([loss])
const precision = quick ? undefined : figuresOf('precision')
const files = figuresOf('io', ...(quick ? ['--mebibytes', '32', '--rounds', '1'] : []))
console.log(precision, files)
if (values.json) {
  writeFileSync(values.json, `${JSON.stringify({ trainer, loader, loss, precision, files }, null, 2)}\n`)
}
