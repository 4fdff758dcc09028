// Kills a saving process at many points and looks after each whether the old or the new checkpoint is there, whole.
import { spawn } from 'node:child_process'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { differenceOf, lossOf, storeAt } from './run.js'
import type { Ending } from './save.js'

const ENDINGS: readonly Ending[] = ['plain', 'torn', 'unsynced', 'clock']
/** Operations from the start of the process to the end of its third save or so: every point of a save is among them. */
const SPAN = 150
/** Milliseconds, about as long. */
const CLOCK_SPAN = 900

const program = fileURLToPath(new URL('../../dist/test/crash/save.js', import.meta.url)).replace(
  '/dist/dist/',
  '/dist/',
)

interface Outcome {
  readonly saved: number | undefined
  readonly problems: readonly string[]
  readonly killed: boolean
}

function killOne(root: string, ending: Ending, point: number): Promise<Outcome> {
  const child = spawn(process.execPath, [program, root, ending, String(point)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const timer = ending === 'clock' ? setTimeout(() => child.kill('SIGKILL'), point) : undefined
  let output = ''
  child.stdout.on('data', (text: Buffer) => (output += text.toString()))
  return new Promise((done, fail) => {
    child.on('error', fail)
    child.on('close', (_, signal) => {
      clearTimeout(timer)
      const lines = output.split('\n')
      const saved = lines.flatMap((line) => (/^(saved|begin) /.test(line) ? [Number(line.split(' ')[1])] : [])).at(-1)
      done({ saved, problems: lines.filter((line) => line.startsWith('problem')), killed: signal === 'SIGKILL' })
    })
  })
}

/** What is wrong with the store after a kill, in words. */
async function faultsOf(
  root: string,
  before: number,
  { saved, problems, killed }: Outcome,
): Promise<{ faults: string[]; step: number }> {
  const faults = [...problems]
  if (!killed) faults.push('the process ended by itself')
  const store = storeAt(root, (error) => faults.push(`damaged: ${error.message}`))
  const latest = await store.latest()
  const least = Math.max(before, saved ?? 0)
  const step = latest?.step ?? 0
  if (step < least || step > least + 1) faults.push(`step ${step} is there, and ${least} had been saved`)
  const best = await store.best()
  const list = await store.list()
  for (const checkpoint of [latest, best]) {
    const difference = checkpoint && differenceOf(checkpoint)
    if (difference) faults.push(`step ${checkpoint.step}: ${difference}`)
  }
  const leastLoss = Math.min(...Array.from({ length: step }, (_, i) => lossOf(i + 1)))
  if (best && lossOf(best.step) > leastLoss) faults.push(`the best of ${step} steps is gone`)
  // Two kept, the best, one new, and one that is about to be removed.
  if (list.length > 5) faults.push(`${list.length} checkpoints are kept`)
  const leftovers = (await readdir(root).catch(() => [])).filter((name) => name.startsWith('.tmp-'))
  if (leftovers.length > 3) faults.push(`${leftovers.length} leftovers are not removed`)
  return { faults, step }
}

/** Kills at `points` points, each process going on where the one before was killed. Gives how many left all well. */
export async function crash(
  points: number,
  report: (line: string) => void,
): Promise<{ passed: number; failed: number }> {
  const folder = await mkdtemp(join(tmpdir(), 'heddle-crash-'))
  let root = join(folder, '0')
  let failed = 0
  let step = 0
  try {
    for (let i = 0; i < points; i++) {
      const ending = ENDINGS[i % ENDINGS.length] as Ending
      // Steps of the golden ratio cover the span evenly, however many there are.
      const share = (i * 0.6180339887498949) % 1
      const point = 1 + Math.floor(share * (ending === 'clock' ? CLOCK_SPAN : SPAN))
      const outcome = await killOne(root, ending, point)
      const result = await faultsOf(root, step, outcome)
      step = result.step
      for (const fault of result.faults) report(`point ${i} (${ending} ${point}): ${fault}`)
      if (result.faults.length === 0) continue
      // Whatever is broken now is not held against the points that follow.
      failed++
      root = join(folder, String(i + 1))
      step = 0
    }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
  return { passed: points - failed, failed }
}
