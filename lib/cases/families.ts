// Every family of cases, by name: what test/ops checks and `heddle bench` times.
import * as activation from './activation.js'
import * as argReduce from './argReduce.js'
import * as attention from './attention.js'
import type { OpCase } from './case.js'
import * as concat from './concat.js'
import * as conv from './conv.js'
import * as crossEntropy from './crossEntropy.js'
import * as element from './element.js'
import * as gather from './gather.js'
import * as loss from './loss.js'
import * as matmul from './matmul.js'
import * as norm from './norm.js'
import * as pool from './pool.js'
import * as quantized from './quantized.js'
import * as reduce from './reduce.js'
import * as softmax from './softmax.js'
import * as view from './view.js'

export const FAMILIES: Readonly<Record<string, readonly OpCase[]>> = Object.fromEntries(
  Object.entries({
    activation,
    argReduce,
    attention,
    concat,
    conv,
    crossEntropy,
    element,
    gather,
    loss,
    matmul,
    norm,
    pool,
    quantized,
    reduce,
    softmax,
    view,
  }).map(([name, { CASES }]) => [name, CASES]),
)

export type { Benchmark, OpCase, OperandSpec } from './case.js'
