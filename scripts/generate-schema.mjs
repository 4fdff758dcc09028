// Writes native/schema.gen.h from the dtypes, the opcodes and every registered op; `--check` compares instead.
import { createHash } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { kernelOps } from '../dist/lib/graph/op.js'
import '../dist/lib/index.js'
import { DTYPES } from '../dist/lib/schema/dtype.js'
import { PLAN_VERSION } from '../dist/lib/schema/plan.js'
import { OPCODES, REDUCTIONS } from '../dist/lib/schema/program.js'
import { renderSchema } from './render-schema.mjs'

const target = fileURLToPath(new URL('../native/schema.gen.h', import.meta.url))
const text = renderSchema({ dtypes: DTYPES, opcodes: OPCODES, reductions: REDUCTIONS, planVersion: PLAN_VERSION, ops: kernelOps() }, createHash)

if (!process.argv.includes('--check')) writeFileSync(target, text)
else if (readFileSync(target, 'utf8') !== text) {
  console.error('native/schema.gen.h is stale: run npm run generate:schema')
  process.exit(1)
}
