// A convolutional network reads handwritten digits.   node dist/examples/cnn.js [--epochs N]
import { parseArgs } from 'node:util'
import { nn, seed } from '../lib/index.js'
import { trainClassifier } from './train-classifier.js'

const { values } = parseArgs({ options: { epochs: { type: 'string', default: '4' } } })
seed(1)
const model = new nn.Sequential(
  new nn.Conv2d(1, 32, 3, { padding: 1 }),
  new nn.ReLU(),
  new nn.MaxPool2d(2),
  new nn.Conv2d(32, 64, 3, { padding: 1 }),
  new nn.ReLU(),
  new nn.MaxPool2d(2),
  new nn.Flatten(),
  new nn.Linear(64 * 7 * 7, 128),
  new nn.ReLU(),
  new nn.Dropout(0.25),
  new nn.Linear(128, 10),
)
const accuracy = await trainClassifier(model, [1, 28, 28], Number(values.epochs))
console.log(`${(100 * accuracy).toFixed(1)} % of the test digits are read right`)
