// Loading safetensors beside the page cache's bandwidth, saving beside the disk's: in turns, in one run, on random data.
import { randomFillSync } from 'node:crypto'
import { mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import type { StateDict } from '../lib/index.js'
import { loadCheckpoint, readSafetensors, saveCheckpoint, writeSafetensors } from '../lib/io/index.js'
import { median } from './median.js'

const { values } = parseArgs({
  options: {
    mebibytes: { type: 'string', default: '1024' },
    rounds: { type: 'string', default: '7' },
    folder: { type: 'string', default: tmpdir() },
    json: { type: 'string' },
  },
})
const rounds = Number(values.rounds)
const PIECE = 4 << 20

/** Tensors as a transformer has them: a few big matrices, many small vectors. */
function model(bytes: number): StateDict {
  const tensors: Record<string, StateDict[string]> = {}
  const random = (count: number): Float32Array => randomFillSync(new Float32Array(count))
  for (let layer = 0, left = bytes; left > 0; layer++, left -= (16 << 20) + 4 * 16384) {
    tensors[`blocks.${layer}.weight`] = { dtype: 'f32', shape: [1024, 4096], data: random(4 << 20) }
    for (let i = 0; i < 4; i++)
      tensors[`blocks.${layer}.bias.${i}`] = { dtype: 'f32', shape: [4096], data: random(4096) }
  }
  return tensors
}

/** Four reads in flight into `target`, which is warm when it was read into before: what the page cache can give. */
async function readInto(path: string, target: Buffer): Promise<void> {
  const handle = await open(path, 'r')
  let next = 0
  const worker = async (): Promise<void> => {
    while (next < target.length) {
      const position = next
      next += PIECE
      await handle.read(target, position, Math.min(PIECE, target.length - position), position)
    }
  }
  await Promise.all([worker(), worker(), worker(), worker()])
  await handle.close()
}

/** The file's bytes into a new file and an fsync, in order: what the disk takes. */
async function writeFrom(path: string, source: Buffer): Promise<void> {
  const handle = await open(path, 'wx')
  for (let at = 0; at < source.length; at += PIECE)
    await handle.write(source, at, Math.min(PIECE, source.length - at), at)
  await handle.sync()
  await handle.close()
}

interface Cost {
  readonly seconds: number
  /** Of all threads, in user and kernel mode: what a busy machine can not blur. */
  readonly cpuSeconds: number
}

async function cost(work: () => Promise<unknown>): Promise<Cost> {
  const [start, before] = [performance.now(), process.cpuUsage()]
  await work()
  const { user, system } = process.cpuUsage(before)
  return { seconds: (performance.now() - start) / 1000, cpuSeconds: (user + system) / 1e6 }
}

const folder = await mkdtemp(join(values.folder, 'heddle-bench-io-'))
const path = join(folder, 'model.safetensors')
const copy = join(folder, 'copy')
const checkpoint = join(folder, 'checkpoint')
try {
  const tensors = model(Number(values.mebibytes) << 20)
  await writeSafetensors(path, tensors)
  const whole = await readFile(path)
  const gigabytes = whole.length / 1e9
  /** What one leaves behind, garbage and blocks that the disk has yet to give up, is not to be on the next one's account. */
  const settle = async (): Promise<void> => {
    await rm(copy, { recursive: true, force: true })
    await rm(`${copy}.safetensors`, { force: true })
    await writeFrom(join(folder, 'settle'), Buffer.alloc(1))
    await rm(join(folder, 'settle'))
    globalThis.gc?.()
  }

  const work: Record<string, () => Promise<unknown>> = {
    'load: readSafetensors': () => readSafetensors(path),
    'load: fs.readFile': () => readFile(path),
    'load: page cache into new memory': () => readInto(path, Buffer.allocUnsafeSlow(whole.length)),
    'load: page cache into warm memory': () => readInto(path, whole),
    'load: loadCheckpoint, verified': () => loadCheckpoint(checkpoint),
    'save: writeSafetensors': () => writeSafetensors(`${copy}.safetensors`, tensors),
    'save: plain file and fsync': () => writeFrom(copy, whole),
    'save: saveCheckpoint, hashed': () => saveCheckpoint(copy, { tensors: { model: tensors } }),
  }
  await saveCheckpoint(checkpoint, { tensors: { model: tensors } })
  const costs = new Map<string, Cost[]>(Object.keys(work).map((name) => [name, []]))
  const names = Object.keys(work)
  for (let round = 0; round < rounds; round++)
    // Each has another one before it in every round.
    for (const [i] of names.entries()) {
      const name = names[(i * 3 + round) % names.length] as string
      costs.get(name)?.push(await cost(work[name] as () => Promise<unknown>))
      await settle()
    }
  const typical = (name: string, figure: keyof Cost): number =>
    median((costs.get(name) ?? []).map((one) => one[figure])) / gigabytes
  const rate = (name: string): number => 1 / typical(name, 'seconds')
  for (const name of names)
    console.log(
      `${name.padEnd(36)} ${rate(name).toFixed(2)} GB/s  ${typical(name, 'cpuSeconds').toFixed(2)} CPU seconds per GB`,
    )
  const ratios: Record<string, number> = {}
  const ratio = (name: string, base: string): void => {
    ratios[`${name} / ${base}`] = rate(name) / rate(base)
    console.log(`${name} / ${base}: ${((100 * rate(name)) / rate(base)).toFixed(0)} %`)
  }
  for (const base of ['load: fs.readFile', 'load: page cache into new memory', 'load: page cache into warm memory'])
    ratio('load: readSafetensors', base)
  ratio('save: writeSafetensors', 'save: plain file and fsync')
  ratio('save: saveCheckpoint, hashed', 'save: plain file and fsync')
  if (values.json) {
    const gigabytesPerSecond = Object.fromEntries(names.map((name) => [name, rate(name)]))
    await writeFile(values.json, `${JSON.stringify({ gigabytesPerSecond, ratios }, null, 2)}\n`)
  }
} finally {
  await rm(folder, { recursive: true, force: true })
}
