// A multilayer perceptron reads handwritten digits.   node dist/examples/mlp.js [--epochs N]
import { parseArgs } from 'node:util'
import { nn, seed } from '../lib/index.js'
import { trainClassifier } from './train-classifier.js'

const { values } = parseArgs({ options: { epochs: { type: 'string', default: '5' } } })
seed(1)
const model = new nn.Sequential(
  new nn.Linear(784, 256),
  new nn.ReLU(),
  new nn.Linear(256, 128),
  new nn.ReLU(),
  new nn.Linear(128, 10),
)
const accuracy = await trainClassifier(model, [784], Number(values.epochs))
console.log(`${(100 * accuracy).toFixed(1)} % of the test digits are read right`)
