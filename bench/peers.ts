// Training steps side by side with JAX: the same models, weights, data and cores, in turns, in one run.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface, type Interface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { defaultDevice, type Tensor } from '../lib/index.js'
import { median } from './median.js'
import { ADAMW, type Benchmark, benchmark, type OptimizerName, RATES, trainingStep } from './models.js'

const root = fileURLToPath(new URL('../..', import.meta.url))
const peers = join(root, '.peers')
const JAX = ['jax==0.10.2', 'numpy']

/** The peer's Python, installed once into an ignored folder. */
function installJax(): string {
  const python = join(peers, 'jax', 'bin', 'python')
  if (existsSync(python)) return python
  console.error('installing the peer (JAX) into .peers ...')
  mkdirSync(peers, { recursive: true })
  execFileSync('python3', ['-m', 'venv', join(peers, 'jax')])
  execFileSync(python, ['-m', 'pip', 'install', '--quiet', ...JAX], { stdio: 'inherit' })
  return python
}

/** The peer's process: one request, one answer. */
class Peer {
  private readonly child: ChildProcess
  private readonly lines: AsyncIterator<string>
  private readonly reader: Interface

  constructor(python: string) {
    this.child = spawn(python, [join(root, 'bench', 'peers', 'jax_peer.py')], { stdio: ['pipe', 'pipe', 'inherit'] })
    this.reader = createInterface({ input: this.child.stdout as NodeJS.ReadableStream })
    this.lines = this.reader[Symbol.asyncIterator]()
  }

  async ask<T>(request: object): Promise<T> {
    this.child.stdin?.write(`${JSON.stringify(request)}\n`)
    const { value, done } = await this.lines.next()
    if (done) throw new Error('the peer ended without an answer')
    return JSON.parse(value) as T
  }

  close(): void {
    this.child.stdin?.end()
    this.reader.close()
  }
}

/** Writes the model where the peer reads it: raw arrays and a table of them. */
async function exportModel({ name, model, x, y, facts }: Benchmark, optimizer: OptimizerName): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'heddle-peer-'))
  const save = async (file: string, value: Tensor): Promise<object> => {
    const data = await value.data()
    writeFileSync(join(folder, file), new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
    return { file, shape: value.shape, dtype: value.dtype === 'i32' ? 'int32' : 'float32' }
  }
  const parameters: Record<string, object> = {}
  for (const [parameter, cell] of model.namedParameters()) parameters[parameter] = await save(`${parameter}.bin`, cell)
  const description = {
    model: name,
    ...facts,
    optimizer: { name: optimizer, lr: RATES[optimizer], ...ADAMW },
    parameters,
    x: await save('x.bin', x),
    y: await save('y.bin', y),
  }
  writeFileSync(join(folder, 'model.json'), JSON.stringify(description))
  return folder
}

export interface PeerRow {
  readonly case: string
  readonly heddleMs: number
  readonly peer: string
  readonly peerMs: number
  /** Median of the pairs' peerMs / heddleMs: above 1 heddle is faster. */
  readonly ratio: number
  /** Largest relative difference of the losses of 50 SGD steps from the same weights; null for other optimizers. */
  readonly lossDifference: number | null
  readonly arenaBytes: number
  readonly peerTempBytes: number
}

/** Milliseconds of one block of steps; short enough to alternate often, long enough to measure. */
const BLOCK_MS = 300

async function compare(
  peer: Peer,
  name: 'mlp' | 'cnn' | 'gpt',
  optimizer: OptimizerName,
  pairs: number,
): Promise<PeerRow> {
  const subject = benchmark(name)
  const folder = await exportModel(subject, optimizer)
  const { tempBytes } = await peer.ask<{ tempBytes: number }>({ load: folder })
  const step = trainingStep(subject, optimizer)
  let lossDifference: number | null = null
  if (optimizer === 'sgd') {
    const { losses } = await peer.ask<{ losses: number[] }>({ losses: 50 })
    lossDifference = 0
    for (const expected of losses) {
      const loss = Number(await (await step(subject.x, subject.y)).item())
      lossDifference = Math.max(lossDifference, Math.abs(loss - expected) / Math.max(1, Math.abs(expected)))
    }
  }
  const heddle = async (steps: number): Promise<number> => {
    const start = performance.now()
    let loss: Tensor | undefined
    for (let i = 0; i < steps; i++) loss = await step(subject.x, subject.y)
    await loss?.item()
    await defaultDevice().synchronize()
    return (performance.now() - start) / steps
  }
  const theirs = async (steps: number): Promise<number> => (await peer.ask<{ ms: number }>({ steps })).ms / steps
  await heddle(5)
  await theirs(5)
  const steps = Math.max(3, Math.round(BLOCK_MS / (await theirs(3))))
  const ours: number[] = []
  const other: number[] = []
  for (let pair = 0; pair < pairs; pair++) {
    ours.push(await heddle(steps))
    other.push(await theirs(steps))
  }
  rmSync(folder, { recursive: true })
  return {
    case: `${name} ${optimizer}`,
    heddleMs: median(ours),
    peer: 'jax',
    peerMs: median(other),
    ratio: median(ours.map((ms, i) => (other[i] as number) / ms)),
    lossDifference,
    arenaBytes: step.plan?.memory.arena ?? 0,
    peerTempBytes: tempBytes,
  }
}

const { values } = parseArgs({
  options: { json: { type: 'string' }, pairs: { type: 'string', default: '20' }, only: { type: 'string' } },
})
const rows: PeerRow[] = []
for (const name of ['mlp', 'cnn', 'gpt'] as const) {
  for (const optimizer of ['sgd', 'adamw'] as const) {
    if (values.only && !`${name} ${optimizer}`.includes(values.only)) continue
    const peer = new Peer(installJax())
    rows.push(await compare(peer, name, optimizer, Number(values.pairs)))
    peer.close()
    console.table(rows.slice(-1))
  }
}
const mean = Math.exp(rows.reduce((sum, { ratio }) => sum + Math.log(ratio), 0) / rows.length)
console.log(`geometric mean of the ratios: ${mean.toFixed(3)}`)
if (values.json) writeFileSync(values.json, `${JSON.stringify(rows, null, 2)}\n`)
