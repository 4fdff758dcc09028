// What frozen layers save: backward time and gradient bytes of a half-frozen GPT, beside what its plans predict.
//   npm run bench:frozen -- [--layers N] [--width N] [--tokens N] [--rounds N] [--json FILE]
import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import {
  type Compiled,
  compile,
  crossEntropy,
  defaultDevice,
  grad,
  nn,
  seed,
  type Tensor,
  tensor,
} from '../lib/index.js'

const count = (value: string) => ({ type: 'string', default: value }) as const
const { values } = parseArgs({
  options: {
    layers: count('4'),
    width: count('1024'),
    tokens: count('256'),
    rounds: count('15'),
    json: { type: 'string' },
  },
})
const [layers, width, length, rounds] = [values.layers, values.width, values.tokens, values.rounds].map(Number) as [
  number,
  number,
  number,
  number,
]
const VOCABULARY = 512
const ids = Int32Array.from({ length }, (_, i) => (i * 31 + (i >> 3)) % VOCABULARY)
const tokens = tensor(ids, { shape: [1, length] })
const device = defaultDevice()
type Run = Compiled<[Tensor], Tensor[]>

/** The loss and, where asked for, the gradients of what is trainable, of a GPT some of which is frozen. */
function runOf(frozen: number, gradients: boolean): Run {
  seed(1)
  const model = new nn.GPT({ vocabSize: VOCABULARY, layers, heads: 16, width, context: length, tieWeights: false })
  const names = Array.from({ length: frozen }, (_, i) => `blocks.${i}`)
  if (frozen > 0) model.freeze(['tokenEmbedding', 'positionEmbedding', ...names])
  const parameters = gradients ? model.parameters({ trainable: true }) : []
  return compile((x: Tensor) => {
    const loss = crossEntropy(model.forward(x).reshape(-1, VOCABULARY), x.reshape(-1))
    const found = grad(loss, parameters)
    return [loss, ...parameters.map((parameter) => found.get(parameter))]
  })
}

/** Bytes that are allocated once all is done. The pool's blocks are whole pages of 2 MiB: so are the weights of this width. */
const settled = async (): Promise<number> => {
  await tokens.add(0).data()
  return device.memory().allocated
}

/** Milliseconds of one run, by the clock and of the processor (with one thread), and the bytes of its results. */
async function measure(run: Run): Promise<{ time: number; cpu: number; bytes: number }> {
  const before = await settled()
  const used = process.cpuUsage()
  const start = performance.now()
  const results = await run(tokens)
  await (results[0] as Tensor).data()
  const time = performance.now() - start
  const { user, system } = process.cpuUsage(used)
  // The loss itself was moved to JavaScript's heap.
  const bytes = (await settled()) - before
  for (const result of results) result.dispose()
  return { time, cpu: (user + system) / 1000, bytes }
}

const runs = { forward: runOf(0, false), whole: runOf(0, true), half: runOf(layers / 2, true) }
const kinds = Object.keys(runs) as (keyof typeof runs)[]
const times: Record<keyof typeof runs, { time: number; cpu: number }[]> = { forward: [], whole: [], half: [] }
const bytes = { forward: 0, whole: 0, half: 0 }
for (const kind of kinds) for (let i = 0; i < 3; i++) bytes[kind] = (await measure(runs[kind])).bytes
// By turns, so that whatever else the machine does falls on all of them.
for (let round = 0; round < rounds; round++) for (const kind of kinds) times[kind].push(await measure(runs[kind]))

const median = (list: readonly number[]): number => [...list].sort((a, b) => a - b)[list.length >> 1] as number
const took = (kind: keyof typeof runs, by: 'time' | 'cpu'): number => median(times[kind].map((one) => one[by]))
/** What is beyond the forward pass. */
const backward = (kind: 'whole' | 'half', by: 'time' | 'cpu'): number => took(kind, by) - took('forward', by)
const planned = (kind: keyof typeof runs) => {
  const { plan } = runs[kind]
  if (!plan) throw new Error(`${kind} was not run`)
  return { ...plan.work, live: plan.memory.live, results: plan.resultBytes }
}
const [forward, whole, half] = [planned('forward'), planned('whole'), planned('half')]
const figures = {
  layers,
  width,
  tokens: length,
  forwardMs: took('forward', 'time'),
  backwardMs: { whole: backward('whole', 'time'), half: backward('half', 'time') },
  backwardOfWhole: {
    predicted: (half.flops - forward.flops) / (whole.flops - forward.flops),
    measured: backward('half', 'time') / backward('whole', 'time'),
    measuredByProcessor: backward('half', 'cpu') / backward('whole', 'cpu'),
  },
  gradientBytes: { predicted: half.results, measured: bytes.half, whole: bytes.whole },
  workingBytes: { whole: whole.live, half: half.live },
}
console.log(JSON.stringify(figures, null, 2))
if (values.json) writeFileSync(values.json, `${JSON.stringify(figures, null, 2)}\n`)
