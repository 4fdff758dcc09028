// Writes native/schema.gen.h and lib/schema/hash.gen.ts from the dtypes, the opcodes and every registered op;
// `--check` compares instead.
import { createHash } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { kernelOps } from '../dist/lib/graph/op.js'
import '../dist/lib/index.js'
import '../dist/lib/ops/machine.js'
import { DTYPES } from '../dist/lib/schema/dtype.js'
import { PLAN_VERSION } from '../dist/lib/schema/plan.js'
import { OPCODES, REDUCTIONS } from '../dist/lib/schema/program.js'
import { renderSchema } from './render-schema.mjs'

const rendered = renderSchema(
  { dtypes: DTYPES, opcodes: OPCODES, reductions: REDUCTIONS, planVersion: PLAN_VERSION, ops: kernelOps() },
  createHash,
)
const files = { 'native/schema.gen.h': rendered.header, 'lib/schema/hash.gen.ts': rendered.hashModule }

for (const [path, text] of Object.entries(files)) {
  const target = fileURLToPath(new URL(`../${path}`, import.meta.url))
  if (!process.argv.includes('--check')) writeFileSync(target, text)
  else if (readFileSync(target, 'utf8') !== text) {
    console.error(`${path} is stale: run npm run generate:schema`)
    process.exitCode = 1
  }
}
