// The loop the digit examples share: epochs of shuffled batches through one compiled step, then the accuracy.
import { argmax, compile, crossEntropy, eq, grad, type nn, optim, sum, type Tensor, tensor } from '../lib/index.js'
import { Progress } from '../lib/train/progress.js'
import { generator } from './demo/random.js'
import { type Digits, loadDigits, pick, shuffled } from './digits.js'

const BATCH = 64

/** Trains `model` on the digits and gives the share of the test digits it gets right. `shape` is that of one image. */
export async function trainClassifier(
  model: nn.Layer & nn.Module,
  shape: readonly number[],
  epochs: number,
): Promise<number> {
  const { train, test } = loadDigits()
  const parameters = model.parameters()
  const adamw = new optim.AdamW(parameters, { lr: 1e-3 })
  const step = compile((images: Tensor, labels: Tensor) => {
    const loss = crossEntropy(model.forward(images), labels)
    adamw.step(grad(loss, parameters))
    return loss
  })
  const correct = compile((images: Tensor, labels: Tensor) =>
    sum(eq(argmax(model.forward(images), { axis: 1 }), labels)),
  )
  const random = generator(2)
  const batches = Math.floor(train.labels.length / BATCH)
  const progress = new Progress({ total: epochs * batches })
  for (let epoch = 0; epoch < epochs; epoch++) {
    const order = shuffled(train.labels.length, random)
    for (let i = 0; i < batches; i++) {
      const [images, labels] = toTensors(pick(train, order.slice(i * BATCH, (i + 1) * BATCH)), shape)
      const loss = await step(images, labels)
      images.dispose()
      labels.dispose()
      if (i % 20 === 19) progress.update(epoch * batches + i + 1, { loss: Number(await loss.item()).toFixed(4) })
    }
  }
  progress.finish()
  model.eval()
  const [images, labels] = toTensors(test, shape)
  return Number(await (await correct(images, labels)).item()) / test.labels.length
}

const toTensors = ({ images, labels }: Digits, shape: readonly number[]): [Tensor, Tensor] => [
  tensor(images, { shape: [labels.length, ...shape] }),
  tensor(labels),
]
