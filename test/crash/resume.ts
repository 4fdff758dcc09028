// Kills a training at random steps, again and again, and compares what it comes to with a training that nobody killed.
import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { ONE_THREAD } from '../oneThread.js'
import { STEPS } from './trainedRun.js'

const program = fileURLToPath(new URL('../../dist/test/crash/train.js', import.meta.url)).replace(
  '/dist/dist/',
  '/dist/',
)

interface Ended {
  readonly hash: string | undefined
  readonly killed: boolean
  /** The first and the last step it took. */
  readonly first: number | undefined
  readonly last: number | undefined
}

type Child = ChildProcessByStdio<null, Readable, null>

/** Trains until the end, or until `kill` says so after a step. */
async function runOnce(folder: string | undefined, kill: (stepsTaken: number) => number | undefined): Promise<Ended> {
  // The algorithms must not depend on what is fastest in which process.
  const child: Child = spawn(process.execPath, [program, ...(folder === undefined ? [] : [folder])], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, ...ONE_THREAD, HEDDLE_DETERMINISTIC: '1' },
  })
  let output = ''
  let taken = 0
  child.stdout.on('data', (text: Buffer) => {
    output += text.toString()
    const steps = output.split('\n').filter((line) => line.startsWith('step ')).length
    if (steps === taken) return
    taken = steps
    const delay = kill(taken)
    if (delay !== undefined) setTimeout(() => child.kill('SIGKILL'), delay)
  })
  const [, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null]
  const lines = output.split('\n')
  const steps = lines.flatMap((line) => (line.startsWith('step ') ? [Number(line.slice(5))] : []))
  const hash = lines.find((line) => line.startsWith('hash '))?.slice(5)
  return { hash, killed: signal === 'SIGKILL', first: steps[0], last: steps.at(-1) }
}

/** Pseudo-random numbers in [0, 1): steps of the golden ratio, which cover everything however few there are. */
function* points(): Generator<number, never> {
  for (let i = 1; ; i++) yield (i * 0.6180339887498949) % 1
}

/**
 * Kills trainings at `kills` points in all: each is killed, goes on, and is killed again until it is through. Gives how many
 * of the kills belong to trainings that came to the same bits as one that nobody killed.
 */
export async function resume(
  kills: number,
  report: (line: string) => void,
): Promise<{ passed: number; failed: number }> {
  const expected = (await runOnce(undefined, () => undefined)).hash
  if (!expected) throw new Error('the training that nobody kills does not come to its end')
  const random = points()
  let passed = 0
  let failed = 0
  while (passed + failed < kills) {
    const folder = await mkdtemp(join(tmpdir(), 'heddle-resume-'))
    let killed = 0
    const faults: string[] = []
    try {
      for (;;) {
        // Beyond the first steps some way, so that every process gets further than the last checkpoint of the one before.
        const after = 1 + Math.floor(random.next().value * (STEPS / 2))
        const delay = random.next().value * 20
        const more = passed + failed + killed < kills
        let asked = false
        const ended = await runOnce(folder, (taken) => {
          if (!more || asked || taken < after) return undefined
          asked = true
          return delay
        })
        if (ended.killed) {
          killed++
          continue
        }
        if (ended.hash === undefined) faults.push('it ended by itself without a result')
        else if (ended.hash !== expected) faults.push(`it came to other bits after ${killed} kills`)
        break
      }
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
    // A training that nobody managed to kill says nothing.
    if (killed === 0 && passed + failed < kills) continue
    for (const fault of faults) report(fault)
    if (faults.length === 0) passed += killed
    else failed += killed
  }
  return { passed, failed }
}
