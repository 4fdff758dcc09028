// Scores every row of a Parquet file, in batches, to a file of JSON lines; stopped at any moment, it goes on where it was.
//   node dist/examples/batch-scoring.js IN.parquet OUT.jsonl [--weights F.safetensors] [--batch N]
import { open } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { readParquet } from '../lib/data/index.js'
import { nn, seed, softmax, type Tensor } from '../lib/index.js'
import { readSafetensors } from '../lib/io/index.js'
import { batcher } from '../lib/serve/index.js'
import { Progress } from '../lib/train/index.js'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { weights: { type: 'string' }, batch: { type: 'string', default: '256' } },
})
const [input, output] = positionals
if (!input || !output) throw new Error('usage: batch-scoring.js IN.parquet OUT.jsonl')
const batchSize = Number(values.batch)

seed(1)
const model = new nn.Sequential(new nn.Linear(784, 128), new nn.ReLU(), new nn.Linear(128, 10)).eval()
if (values.weights) model.loadStateDict(await readSafetensors(values.weights))
const scorer = batcher((pixels: Tensor) => softmax(model.forward(pixels)), {
  input: { shape: [784] },
  maxBatch: batchSize,
  maxQueue: 2 * batchSize,
  maxDelayMs: 0,
  name: 'scorer',
})

/** Where the rows that are written end, and how many they are; half a line at the end counts as none. */
async function written(file: Awaited<ReturnType<typeof open>>): Promise<{ rows: number; bytes: number }> {
  let [rows, bytes, position] = [0, 0, 0]
  for await (const chunk of file.createReadStream({ start: 0, autoClose: false }) as AsyncIterable<Buffer>) {
    for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, at + 1)) {
      rows++
      bytes = position + at + 1
    }
    position += chunk.length
  }
  return { rows, bytes }
}

/** A line for a row: its score, or why it has none; a bad row does not stop the job. */
async function score(row: number, pixels: unknown): Promise<string> {
  try {
    const { data } = await scorer.predict(pixels as number[])
    const probabilities = Array.from(data, Number)
    const probability = Math.max(...probabilities)
    return JSON.stringify({ row, digit: probabilities.indexOf(probability), probability })
  } catch (error) {
    return JSON.stringify({ row, error: (error as Error).message })
  }
}

const table = await readParquet(input, { columns: ['pixels'] })
await using file = await open(output, 'a+')
const { rows: start, bytes } = await written(file)
await file.truncate(bytes)
if (start > 0) console.log(`goes on behind row ${start} of ${table.length}`)

// Two batches at a time: while one is scored the next is read, and the one before is written.
const progress =
  start < table.length ? new Progress({ total: table.length, start, rate: { unit: 'rows', perStep: 1 } }) : undefined
let before: Promise<void> = Promise.resolve()
for (let at = start; at < table.length; at += batchSize) {
  const end = Math.min(at + batchSize, table.length)
  const rows = await Promise.all(Array.from({ length: end - at }, (_, i) => table.get(at + i)))
  const lines = Promise.all(rows.map(({ pixels }, i) => score(at + i, pixels)))
  await before
  before = lines.then(async (scored) => {
    // On the disk before it counts: what is in the file never has to be scored again.
    await file.appendFile(`${scored.join('\n')}\n`)
    await file.datasync()
    progress?.update(end)
  })
}
await before
progress?.finish()
await scorer.close()
console.log(`${table.length} rows are scored in ${output}`)
