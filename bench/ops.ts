// Every op case timed: the cases of test/ops, compiled.
//   npm run bench [-- --only TEXT] [--json FILE]
import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import b from 'benny'
import { compile, defaultDevice, type Tensor, tensor } from '../lib/index.js'
import * as activation from '../test/ops/activation.js'
import * as attention from '../test/ops/attention.js'
import type { OpCase, OperandSpec } from '../test/ops/case.js'
import * as conv from '../test/ops/conv.js'
import * as element from '../test/ops/element.js'
import * as matmul from '../test/ops/matmul.js'
import * as norm from '../test/ops/norm.js'
import * as pool from '../test/ops/pool.js'
import * as quantized from '../test/ops/quantized.js'
import * as reduce from '../test/ops/reduce.js'
import * as softmax from '../test/ops/softmax.js'
import * as view from '../test/ops/view.js'

const FAMILIES: Record<string, { readonly CASES: readonly OpCase[] }> = {
  activation,
  attention,
  conv,
  element,
  matmul,
  norm,
  pool,
  quantized,
  reduce,
  softmax,
  view,
}
/** Runs per measured call, so that the cost of waiting for the device is spread over them. */
const RUNS = 20

const { values } = parseArgs({ options: { only: { type: 'string' }, json: { type: 'string' } } })

function draw({ shape, low = -2, high = 2, integers, dtype = 'f32' }: OperandSpec): Tensor {
  const size = shape.reduce((product, extent) => product * extent, 1)
  const whole = integers || dtype === 'i32' || dtype === 'i64'
  const data = Array.from({ length: size }, () => {
    const x = low + Math.random() * (high - low)
    return whole ? Math.floor(x) : x
  })
  return tensor(data, { shape, dtype })
}

/** The seconds of one run, measured by benny. */
async function measure(family: string, op: OpCase): Promise<{ case: string; microseconds: number; margin: number }> {
  const operands = op.operands.map(draw)
  const run = compile((tensors: Tensor[]) => op.run(...tensors))
  const once = async (): Promise<void> => {
    for (let i = 0; i < RUNS; i++) (await run(operands)).dispose()
    await defaultDevice().synchronize()
  }
  await once()
  const name = `${family} ${op.name}`
  const summary = await b.suite(name, b.add(name, once, { minSamples: 5, maxTime: 0.2 }), b.complete())
  const [result] = summary.results
  return {
    case: name,
    microseconds: (result?.details.median ?? Number.NaN) * (1e6 / RUNS),
    margin: result?.margin ?? Number.NaN,
  }
}

const rows = []
for (const [family, { CASES }] of Object.entries(FAMILIES)) {
  for (const op of CASES) {
    if (op.dtypes && !op.dtypes.includes('f32')) continue
    if (values.only && !`${family} ${op.name}`.includes(values.only)) continue
    rows.push(await measure(family, op))
  }
}
console.table(rows)
if (values.json) writeFileSync(values.json, `${JSON.stringify(rows, null, 2)}\n`)
