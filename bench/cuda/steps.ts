// Times whole training steps: GPT-2 124M and ResNet-50, what they cost the host, and how long the GPU stands idle.
//   node dist/bench/cuda/steps.js [--device cuda] [--results FOLDER] [--quick] [--only TEXT]
//   node dist/bench/cuda/steps.js --list: the cases, as gpu/peers.py reads them
import { type Compiled, defaultDevice, seed, setDefaultDevice, type Tensor } from '../../lib/index.js'
import type { Goals } from './cases.js'
import { gpt2, gpt2Sizes } from './gpt2.js'
import { type HostCost, hostCost } from './hostCost.js'
import { PRECISIONS, type StepPrecision } from './precision.js'
import { resnet50, resnet50Sizes } from './resnet50.js'
import type { Row } from './results.js'
import { runCases, type Stage, stageOf, told } from './stage.js'
import { type Timing, throughput } from './throughput.js'
import { idleShare } from './utilization.js'

/** A model with its training step and data. */
export interface StepSubject {
  readonly step: Compiled<[Tensor, Tensor], Tensor>
  readonly inputs: readonly [Tensor, Tensor]
  readonly weights: number
  /** Operations of one step, by the usual count; 0 where there is none. */
  readonly flops: number
  /** Tokens or images of one step. */
  readonly items: number
}

export interface StepRow extends Row, Partial<Timing>, Partial<HostCost> {
  /** What is held and computed in which dtype. */
  readonly precision?: string
  readonly sizes?: object
  readonly weights?: number
  readonly itemsPerS?: number
  readonly tflops?: number
  readonly compileMs?: number
  /** What the step's plan works in, besides the parameters and their state. */
  readonly arenaBytes?: number
  /** After all steps of the measurement. */
  readonly loss?: number
  /** Null where nothing says how busy the GPU is. */
  readonly idle?: number | null
  readonly goals?: Goals
  readonly deviceName?: string
}

const GOALS: Goals = { peers: 1, callUs: 50, idle: 0.02 }
const READS_EVERY = 10
const IDLE_SECONDS = 6
/** What a case needs at least: compiling, five samples of a second, the host's cost, the idle share. */
const SECONDS_PER_CASE = 30

interface StepCase {
  readonly case: string
  readonly model: 'gpt2' | 'resnet50'
  readonly dtype: 'f32' | 'bf16'
  /** Parameters f32, products in `dtype`. */
  readonly autocast: boolean
  readonly precision: string
  readonly sizes: object
}

const MAKERS: Record<StepCase['model'], (precision: StepPrecision, quick: boolean) => StepSubject> = {
  gpt2: (precision, quick) => gpt2(precision, gpt2Sizes(quick)),
  resnet50: (precision, quick) => resnet50(precision, resnet50Sizes(quick)),
}

const casesOf = (quick: boolean): StepCase[] =>
  (['gpt2', 'resnet50'] as const).flatMap((model) =>
    Object.entries(PRECISIONS).map(([name, precision]) => {
      const sizes = model === 'gpt2' ? gpt2Sizes(quick) : resnet50Sizes(quick)
      return { case: `${model} ${name}`, model, ...precision, sizes }
    }),
  )

async function measure(
  { model, dtype, autocast, precision, sizes }: StepCase,
  { quick }: Stage,
): Promise<Omit<StepRow, 'case'>> {
  seed(1)
  const device = defaultDevice()
  const { step, inputs, weights, flops, items } = MAKERS[model]({ dtype, autocast }, quick)
  await device.synchronize()
  const start = performance.now()
  const first = await step(...inputs)
  const compileMs = performance.now() - start
  await first.item()
  const run = async (): Promise<void> => (await step(...inputs)).dispose()
  const timing = await throughput(device, run, quick ? { sampleMs: 20, samples: 3 } : { sampleMs: 1000 })
  const cost = await hostCost(device, () => step(...inputs), quick ? 20 : 40)
  let calls = 0
  // As in a training loop: the loss is read now and then.
  const looping = async (): Promise<void> => {
    const loss = await step(...inputs)
    if (++calls % READS_EVERY === 0) await loss.item()
    else loss.dispose()
  }
  const idle = device.kind === 'cuda' ? await idleShare(looping, quick ? 0.1 : IDLE_SECONDS) : undefined
  const last = await (await step(...inputs)).item()
  if (!Number.isFinite(last)) throw new Error(`the loss came to ${last}`)
  for (const input of inputs) input.dispose()
  return {
    precision,
    sizes,
    weights,
    ...timing,
    itemsPerS: (items / timing.ms) * 1000,
    tflops: flops / timing.ms / 1e9,
    ...cost,
    idle: idle ?? null,
    compileMs,
    arenaBytes: step.plan?.memory.arena ?? 0,
    loss: Number(last),
    goals: GOALS,
    deviceName: device.instructionSet,
  }
}

const stage = stageOf(process.argv.slice(2), { list: { type: 'boolean' } })
const cases = casesOf(stage.quick)
if (stage.own['list']) {
  console.log(JSON.stringify(cases, null, 1))
} else {
  setDefaultDevice(stage.device)
  process.exitCode = await runCases(stage, stage.results<StepRow>('heddle-steps'), cases, {
    seconds: SECONDS_PER_CASE,
    measure: (subject) => measure(subject, stage),
    told: (row) => told(row, ['ms', 'itemsPerS', 'tflops', 'callUs', 'threadUs', 'idle', 'replayed']),
  })
}
