// Trains the benchmarks' models on the GPU: losses against the CPU's, the same bits again, replays, what a call costs,
// and running out of memory.
//   node dist/bench/cuda/train.js [--device cuda] [--results FOLDER] [--quick] [--only TEXT]
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { defaultDevice, setDefaultDevice } from '../../lib/index.js'
import { benchmark, trainingStep } from '../models.js'
import { hostCost } from './hostCost.js'
import type { ModelName, TrainingRun } from './losses.js'
import { exhausted, limited, recovery } from './recovery.js'
import type { Row } from './results.js'
import { EXIT, runCases, stageOf, told } from './stage.js'

export interface CheckRow extends Row {
  readonly pass?: boolean
  /** What was found, and what it may be at most or must be at least, in words. */
  readonly found?: number
  readonly goal?: string
  readonly facts?: Readonly<Record<string, number | string>>
}

type Check = Omit<CheckRow, 'case'>

const stage = stageOf(process.argv.slice(2))
const MODELS: readonly ModelName[] = ['mlp', 'cnn', 'gpt']
const SIZE = stage.quick ? 'quick' : 'full'
const STEPS = stage.quick ? 6 : 100
/** The first run of a plan is walked, the second is recorded and replayed at once. */
const RUNS_BEFORE_REPLAYS = 1
const LOSS_TOLERANCE = 1e-3
const CALL_GOAL_US = 50
/** What a check needs at least: two processes that train on the CPU. */
const SECONDS_PER_CASE = 45

const run = promisify(execFile)

/** Runs in a process of its own, which has one default device from its start. */
async function trainedBy(model: ModelName, device: string, runs = 1): Promise<readonly TrainingRun[]> {
  const program = fileURLToPath(new URL('./losses.js', import.meta.url))
  const given = ['--model', model, '--device', device, '--steps', String(STEPS), '--runs', String(runs)]
  if (stage.quick) given.push('--quick')
  const { stdout } = await run(process.execPath, [program, ...given], { maxBuffer: 2 ** 24 })
  return JSON.parse(stdout) as TrainingRun[]
}

async function lossesCheck(model: ModelName): Promise<Check> {
  const [[ours], [cpu]] = (await Promise.all([trainedBy(model, stage.device), trainedBy(model, 'cpu')])) as [
    [TrainingRun],
    [TrainingRun],
  ]
  const differences = ours.losses.map((loss, i) => {
    const wanted = cpu.losses[i] as number
    return Math.abs(loss - wanted) / Math.max(1, Math.abs(wanted))
  })
  // A loss that is no number makes the largest difference one that passes nothing.
  const found = differences.every(Number.isFinite) ? Math.max(...differences) : Number.MAX_VALUE
  const facts = { steps: STEPS, firstLoss: ours.losses[0] as number, lastLoss: ours.losses.at(-1) as number }
  return { pass: found <= LOSS_TOLERANCE, found, goal: `relative difference at most ${LOSS_TOLERANCE}`, facts }
}

const differentBits = (a: TrainingRun, b: TrainingRun): number =>
  a.losses.filter((loss, i) => !Object.is(loss, b.losses[i])).length + (a.weights === b.weights ? 0 : 1)

const SAME_BITS = 'no loss and no weights that differ in a bit'

async function againCheck(model: ModelName): Promise<Check> {
  const [first, second] = (await trainedBy(model, stage.device, 2)) as [TrainingRun, TrainingRun]
  const found = differentBits(first, second)
  return { pass: found === 0, found, goal: SAME_BITS, facts: { steps: STEPS } }
}

async function processesCheck(model: ModelName): Promise<Check> {
  const [[first], [second]] = [await trainedBy(model, stage.device), await trainedBy(model, stage.device)] as [
    [TrainingRun],
    [TrainingRun],
  ]
  const found = differentBits(first, second)
  return { pass: found === 0, found, goal: SAME_BITS, facts: { steps: STEPS } }
}

async function replaysCheck(model: ModelName): Promise<Check> {
  const [{ replays }] = (await trainedBy(model, stage.device)) as [TrainingRun]
  const least = STEPS - RUNS_BEFORE_REPLAYS
  return { pass: replays >= least, found: replays, goal: `at least ${least} of ${STEPS} runs replayed` }
}

async function hostCheck(model: ModelName): Promise<Check> {
  const subject = benchmark(model, SIZE)
  const step = trainingStep(subject, 'sgd')
  const call = () => step(subject.x, subject.y)
  for (let i = 0; i < 4; i++) await (await call()).item()
  const cost = await hostCost(defaultDevice(), call, stage.quick ? 20 : 300)
  return {
    pass: cost.callUs < CALL_GOAL_US,
    found: cost.callUs,
    goal: `a call keeps the JavaScript thread less than ${CALL_GOAL_US} us`,
    facts: { ...cost },
  }
}

const recoveryCheck = async (exhaustion: typeof limited): Promise<Check> => {
  const found = await recovery(defaultDevice(), exhaustion, SIZE)
  return { pass: found === 0, found, goal: 'losses after OutOfMemoryError as without it, to the bit' }
}

const onGpu = stage.device.startsWith('cuda')
const cases = [
  // First: the larger models' arena would hold the step that is not to fit.
  { case: 'out of memory: a limit', check: () => recoveryCheck(limited) },
  // Filling the machine's own memory would end other processes.
  ...(onGpu ? [{ case: 'out of memory: the device', check: () => recoveryCheck(exhausted) }] : []),
  ...MODELS.flatMap((model) => [
    { case: `${model}: losses as on the CPU`, check: () => lossesCheck(model) },
    { case: `${model}: the same bits again`, check: () => againCheck(model) },
    // The CPU backend records nothing, and chooses algorithms in every process anew.
    ...(onGpu
      ? [
          { case: `${model}: the same bits in another process`, check: () => processesCheck(model) },
          { case: `${model}: replays`, check: () => replaysCheck(model) },
        ]
      : []),
    { case: `${model}: host`, check: () => hostCheck(model) },
  ]),
]

setDefaultDevice(stage.device)
const results = stage.results<CheckRow>('train')
const code = await runCases(stage, results, cases, {
  seconds: SECONDS_PER_CASE,
  measure: ({ check }) => check(),
  told: (row) => told(row, ['pass', 'found', 'goal']),
})
const failed = results.rows.filter(({ case: name, pass }) => pass === false && name.includes(stage.only))
for (const { case: name, found, goal } of failed) console.log(`not met: ${name}: found ${found}, goal ${goal}`)
process.exitCode = code === EXIT.complete && failed.length > 0 ? EXIT.failed : code
