// Which customers leave? A table with gaps and categories, trained with early stopping, beside scikit-learn.
//   node dist/examples/train-csv.js [--rows N] [--json FILE]
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import {
  assemble,
  collate,
  DataLoader,
  dataset,
  OneHotEncoder,
  Pipeline,
  readCsv,
  SimpleImputer,
  StandardScaler,
  split,
} from '../lib/data/index.js'
import { crossEntropy, nn, optim, seed, softmax, type Tensor } from '../lib/index.js'
import { Accuracy, AUC, evaluate, train } from '../lib/train/index.js'
import { writeCustomers } from './churn.js'
import { logisticRegression } from './logistic.js'

const { values } = parseArgs({ options: { rows: { type: 'string', default: '6000' }, json: { type: 'string' } } })
const folder = mkdtempSync(join(tmpdir(), 'heddle-churn-'))
writeCustomers(join(folder, 'customers.csv'), Number(values.rows))

// Split first; what prepares the table learns from the training part alone.
const rows = dataset(await readCsv(join(folder, 'customers.csv')).toArray())
const labels = (await rows.toArray()).map(({ left }) => String(left))
const parts = split(rows, { train: 0.7, validation: 0.15, test: 0.15 }, { seed: 1, stratify: labels })
const numbers = ['age', 'months', 'price', 'calls']
const encoder = new OneHotEncoder({ columns: ['plan', 'region'], unknown: 'ignore' })
const prepare = await new Pipeline([
  new SimpleImputer({ columns: ['age', 'price'], strategy: 'median', indicator: true }),
  new SimpleImputer({ columns: ['plan'], strategy: 'mostFrequent' }),
  new StandardScaler({ columns: numbers }),
  encoder,
]).fit(parts.train)
const inputs = [...numbers, 'age_missing', 'price_missing', ...encoder.outputs]
// Prepared once, not in every epoch.
const samplesOf = (part: keyof typeof parts) =>
  parts[part]
    .map((row) => ({ x: assemble(prepare.transform(row), inputs), y: Number(row['left'] === 'yes') }))
    .toArray()
const [learn, judge, unseen] = [await samplesOf('train'), await samplesOf('validation'), await samplesOf('test')]
const batches = (samples: typeof learn, shuffle = false) =>
  new DataLoader(samples, { batchSize: 64, shuffle, dtypes: { y: 'i32' } })

seed(1)
const { Dropout, Linear, ReLU, Sequential } = nn
const hidden = [new Linear(inputs.length, 64), new ReLU(), new Dropout(0.2), new Linear(64, 32), new ReLU()]
const model = new Sequential(...hidden, new Linear(32, 2))
const loss = (network: typeof model, { x, y }: { x: Tensor; y: Tensor }) => {
  const predictions = network.forward(x)
  const leaves = softmax(predictions, { axis: 1 }).slice(undefined, 1)
  return { loss: crossEntropy(predictions, y), predictions, targets: y, leaves }
}
const area = new AUC()
const auc = { metric: area, measure: ({ leaves, targets }: ReturnType<typeof loss>) => area.update(leaves, targets) }
const metrics = { accuracy: new Accuracy(), auc }
const run = await train(model, batches(learn, true), {
  loss,
  optimizer: (parameters) => new optim.AdamW(parameters, { lr: 2e-3, weightDecay: 0.05 }),
  epochs: 60,
  validation: { data: batches(judge), metrics },
  earlyStopping: { patience: 8 },
})
const heddle = await evaluate(model, batches(unseen), { loss, metrics })
console.log(`stopped (${run.stopped}) after ${run.epochs} epochs; on customers it has not seen:`)

const logistic = await logisticRegression(folder, collate(learn), collate(unseen))
console.table({ heddle, 'logistic regression': logistic ?? 'scikit-learn is not installed' })
if (values.json) writeFileSync(values.json, JSON.stringify({ heddle, logistic, epochs: run.epochs }))
rmSync(folder, { recursive: true })
