// Trains a small GPT, from nothing, on the type declarations npm installed here, and shows what it learned.
//   npm run demo [-- --text FILE] [--json FILE] [--seconds N]
import { readFileSync, writeFileSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { compile, crossEntropy, defaultDevice, grad, nn, optim, seed, type Tensor, tensor } from '../lib/index.js'
import { formatDuration, Progress } from '../lib/train/progress.js'
import { drawWindows, readDeclarations, splitText } from './demo/corpus.js'
import { DelayMeter } from './demo/delay.js'
import { generator } from './demo/random.js'
import { sampleText } from './demo/sample.js'
import { trigramLoss } from './demo/trigram.js'

const { values } = parseArgs({
  options: { text: { type: 'string' }, json: { type: 'string' }, seconds: { type: 'string', default: '120' } },
})
const MODEL = { vocabSize: 256, layers: 4, heads: 4, width: 128, context: 128 }
const BATCH = 16
const STEPS = 2400
const PEAK_RATE = 4e-3
const VALIDATION_BATCHES = 24

const started = performance.now()
const declarations = fileURLToPath(new URL('../../node_modules/@types/node', import.meta.url))
const corpus = values.text
  ? splitText(values.text, readFileSync(values.text))
  : splitText('the type declarations of Node.js', readDeclarations(declarations))
console.log(
  `heddle learns ${corpus.name}: ${corpus.train.length} bytes to read, ${corpus.validation.length} to be judged by`,
)

seed(7)
const random = generator(7)
const baseline = process.memoryUsage.rss()
const model = new nn.GPT(MODEL)
const parameters = model.parameters()
const adamw = new optim.AdamW(parameters, { lr: PEAK_RATE, weightDecay: 0.1, betas: [0.9, 0.95] })
const weights = parameters.reduce((sum, { size }) => sum + size, 0)
console.log(
  `a GPT of ${(weights / 1e6).toFixed(1)} million weights on ${defaultDevice()} (${defaultDevice().threads} threads)\n`,
)

const lossOf = (tokens: Tensor, targets: Tensor): Tensor =>
  crossEntropy(model.forward(tokens).reshape(-1, MODEL.vocabSize), targets)

const step = compile(
  (tokens: Tensor, targets: Tensor) => {
    const loss = lossOf(tokens, targets)
    adamw.step(optim.clipGradients(grad(loss, parameters), { maxNorm: 1 }))
    return loss
  },
  { name: 'training step' },
)

function batchOf(text: Uint8Array, draw: () => number): { tokens: Tensor; targets: Tensor } {
  const { tokens, targets } = drawWindows(text, BATCH, MODEL.context, draw)
  return { tokens: tensor(tokens, { shape: [BATCH, MODEL.context] }), targets: tensor(targets) }
}

/** Warm-up, then half a cosine down to a tenth. */
function rateAt(done: number, total: number): number {
  const warmup = Math.min(50, total / 10)
  if (done < warmup) return (PEAK_RATE * (done + 1)) / warmup
  const share = (done - warmup) / Math.max(1, total - warmup)
  return PEAK_RATE * (0.1 + 0.45 * (1 + Math.cos(Math.PI * share)))
}

const meter = new DelayMeter()
const budget = Number(values.seconds) * 1000
const progress = new Progress({ total: STEPS })
let total = STEPS
let idle = 0
let smooth = 0
const training = performance.now()
for (let done = 0; done < total; done++) {
  meter.enter(done < 2 ? undefined : 'busy')
  adamw.lr = rateAt(done, total)
  const { tokens, targets } = batchOf(corpus.train, random)
  const loss = await step(tokens, targets)
  tokens.dispose()
  targets.dispose()
  if (done % 10 === 9) {
    const value = Number(await loss.item())
    smooth = smooth === 0 ? value : 0.8 * smooth + 0.2 * value
    const spent = performance.now() - training - idle
    // A slow machine takes fewer steps rather than longer.
    total = Math.min(STEPS, Math.max(done + 1, Math.floor((budget / spent) * (done + 1))))
    progress.update(
      done + 1,
      { loss: smooth.toFixed(3), 'tokens/s': (((done + 1) * BATCH * MODEL.context) / (spent / 1000)).toFixed(0) },
      total,
    )
  }
  if (done % 100 === 50) {
    // A pause now and then shows what the event loop's delay is without training.
    await defaultDevice().synchronize()
    meter.enter('idle')
    await pause(200)
    idle += 200
  }
}
await defaultDevice().synchronize()
meter.enter(undefined)
progress.finish()
const seconds = (performance.now() - training - idle) / 1000
const peakBytes = process.resourceUsage().maxRSS * 1024

model.eval()
const evaluate = compile(lossOf, { name: 'validation' })
const judge = generator(99)
let validationLoss = 0
for (let i = 0; i < VALIDATION_BATCHES; i++) {
  const { tokens, targets } = batchOf(corpus.validation, judge)
  using loss = await evaluate(tokens, targets)
  validationLoss += Number(await loss.item()) / VALIDATION_BATCHES
  tokens.dispose()
  targets.dispose()
}
const trigram = trigramLoss(corpus.train, corpus.validation)
const stateBytes = weights * 4 * 3
const plannedBytes = (step.plan?.memory.arena ?? 0) + stateBytes + baseline

console.log('\nIt dreams up:\n')
console.log(await sampleText(model, values.text ? '\n' : '    /**\n     * ', { length: 500, temperature: 0.7, random }))

const figures = {
  validationLoss,
  trigramLoss: trigram,
  tokensPerSecond: (total * BATCH * MODEL.context) / seconds,
  eventLoopDelayP99Ms: meter.p99('busy'),
  idleDelayP99Ms: meter.p99('idle'),
  peakBytes,
  plannedBytes,
  seconds: (performance.now() - started) / 1000,
}
const mb = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(0)} MB`
console.log('')
console.table({
  'validation loss (nats per byte)': figures.validationLoss.toFixed(3),
  'a trigram model reaches': figures.trigramLoss.toFixed(3),
  'tokens per second': figures.tokensPerSecond.toFixed(0),
  'event-loop delay p99, training / idle': `${figures.eventLoopDelayP99Ms.toFixed(2)} / ${figures.idleDelayP99Ms.toFixed(2)} ms`,
  'peak memory / plan, weights and baseline': `${mb(peakBytes)} / ${mb(plannedBytes)}`,
  'steps, time in all': `${total}, ${formatDuration(figures.seconds)}`,
})
if (values.json) writeFileSync(values.json, `${JSON.stringify(figures, null, 2)}\n`)
