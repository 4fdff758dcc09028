// Optimizers, schedules, initialisers and losses beside PyTorch or optax: the largest difference of every case, in f64.
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface, type Interface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { type Case, difference, type Path, TOLERANCE } from './case.js'
import { families } from './cases.js'

const root = fileURLToPath(new URL('../..', import.meta.url))
const OPTAX = ['jax==0.10.2', 'optax==0.2.8', 'numpy']

/** A Python of the system that has PyTorch. */
function torchPython(): string {
  // Debian's package is seen by Debian's own Python alone.
  const found = ['python3', '/usr/bin/python3'].find((python) => spawnSync(python, ['-c', 'import torch']).status === 0)
  if (found) return found
  throw new Error('no Python here has PyTorch; apt-get install python3-torch')
}

/** A Python with optax, installed once into an ignored folder. */
function optaxPython(): string {
  const folder = join(root, '.peers', 'optax')
  const python = join(folder, 'bin', 'python')
  if (spawnSync(python, ['-c', 'import optax']).status === 0) return python
  console.error('installing the peer (optax) into .peers ...')
  mkdirSync(join(root, '.peers'), { recursive: true })
  if (!existsSync(python)) execFileSync('python3', ['-m', 'venv', folder])
  execFileSync(python, ['-m', 'pip', 'install', '--quiet', ...OPTAX], { stdio: 'inherit' })
  return python
}

/** A peer's process: one request, one answer. */
class Peer {
  private readonly child: ChildProcess
  private readonly lines: AsyncIterator<string>
  private readonly reader: Interface

  private constructor(
    readonly name: 'torch' | 'optax',
    python: string,
  ) {
    this.child = spawn(python, [join(root, 'conformance', 'peer.py')], { stdio: ['pipe', 'pipe', 'inherit'] })
    this.reader = createInterface({ input: this.child.stdout as NodeJS.ReadableStream })
    this.lines = this.reader[Symbol.asyncIterator]()
  }

  static async start(name: 'torch' | 'optax', python: string): Promise<readonly [Peer, string]> {
    const peer = new Peer(name, python)
    return [peer, `${name} ${(await peer.line<Record<string, string>>())[name]}`]
  }

  private async line<T>(): Promise<T> {
    const { value, done } = await this.lines.next()
    if (done) throw new Error(`the peer ${this.name} ended without an answer`)
    return JSON.parse(value) as T
  }

  ask(request: object): Promise<unknown> {
    this.child.stdin?.write(`${JSON.stringify(request)}\n`)
    return this.line()
  }

  close(): void {
    this.child.stdin?.end()
    this.reader.close()
  }
}

export interface Row {
  readonly case: string
  readonly peer: string
  /** Of all steps and elements, |ours - theirs| / max(1, |theirs|). */
  readonly maxDifference: number
  readonly steps: number
  readonly pass: boolean
}

const { values } = parseArgs({
  options: {
    json: { type: 'string' },
    only: { type: 'string' },
    /** Asks this peer alone. */
    peer: { type: 'string' },
    /** Writes the peers' numbers to test/optim/reference, for tests without a peer. */
    record: { type: 'boolean', default: false },
  },
})

/** The peers that are there, PyTorch first: where both can tell, it does. */
async function startPeers(): Promise<(readonly [Peer, string])[]> {
  const started: (readonly [Peer, string])[] = []
  for (const [name, find] of [['torch', torchPython] as const, ['optax', optaxPython] as const]) {
    if (values.peer && values.peer !== name) continue
    try {
      started.push(await Peer.start(name, find()))
    } catch (error) {
      console.error(`without the peer ${name}: ${(error as Error).message}`)
    }
  }
  return started
}

const started = await startPeers()
const rows: Row[] = []
const left: string[] = []
for (const [family, cases] of Object.entries(families)) {
  const recorded: Record<string, object> = {}
  for (const subject of cases as readonly Case[]) {
    if (values.only && !subject.case.includes(values.only)) continue
    const [peer, version] = started.find(([{ name }]) => subject.calls[name] !== undefined) ?? []
    if (!peer) {
      left.push(subject.case)
      continue
    }
    const answer = await peer.ask({ ...subject.request, peer: peer.name, call: subject.calls[peer.name] })
    const theirs: Path = subject.theirs(answer)
    const apart = difference(await subject.ours(), theirs)
    rows.push({
      case: subject.case,
      peer: version as string,
      maxDifference: apart,
      steps: subject.steps,
      pass: apart <= TOLERANCE,
    })
    recorded[subject.case] = {
      peer: version,
      path: subject.kept ? subject.kept.map((step) => theirs[step - 1]) : theirs,
    }
  }
  if (values.record && !values.only && !values.peer) {
    const file = join(root, 'test', 'optim', 'reference', `${family}.json`)
    writeFileSync(file, `${JSON.stringify({ source: 'npm run conformance:torch -- --record', cases: recorded })}\n`)
  }
}
for (const [peer] of started) peer.close()
console.table(rows)
if (left.length > 0) console.error(`left out, for want of a peer: ${left.join('; ')}`)
if (values.json) writeFileSync(values.json, `${JSON.stringify(rows, null, 2)}\n`)
if (rows.length === 0 || rows.some(({ pass }) => !pass)) process.exitCode = 1
