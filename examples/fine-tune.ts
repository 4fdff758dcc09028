// A text classifier on a pretrained encoder: which page of the documentation a sentence is from, learnt from few of them.
//   node dist/examples/fine-tune.js [--full] [--json FILE]       (--full: the real all-MiniLM-L6-v2)
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DataLoader, loadTokenizer } from '../lib/data/index.js'
import { crossEntropy, nn, optim, schedule, seed, type Tensor } from '../lib/index.js'
import { BertForSequenceClassification, fromPretrained, savePretrained } from '../lib/models/index.js'
import { Accuracy, evaluate, train } from '../lib/train/index.js'
import { features, layerwiseDecay } from '../lib/transfer/index.js'
import { generator } from './demo/random.js'
import { shuffled } from './digits.js'
import { full, report } from './example.js'
import { inventedTexts, pretrainedEncoder, textsOfPages } from './fine-tune/texts.js'

const folder = mkdtempSync(join(tmpdir(), 'heddle-fine-tune-'))
seed(1)
const encoder = full ? pretrainedEncoder() : await inventedTexts.encoder(folder)
const { names, texts } = full ? textsOfPages() : inventedTexts.texts(generator(1), 300)
const tokenizer = await loadTokenizer(encoder)
const LENGTH = full ? 48 : 12
const samples = shuffled(texts.length, generator(2)).map((i) => {
  const { text, label } = texts[i] as (typeof texts)[number]
  const ids = tokenizer.encode(text).slice(0, LENGTH)
  const [tokens, mask] = [new Int32Array(LENGTH), new Int32Array(LENGTH).fill(1, 0, ids.length)]
  tokens.set(ids)
  return { tokens, mask, label }
})
const cut = Math.floor(samples.length * (full ? 0.5 : 0.7))
const loader = (list: typeof samples, shuffle = false) =>
  new DataLoader(list, { batchSize: 16, shuffle, dtypes: { label: 'i32' } })
const [learn, test] = [loader(samples.slice(0, cut), true), loader(samples.slice(cut))]

const model = await fromPretrained(encoder, {
  as: BertForSequenceClassification,
  config: { num_labels: names.length },
  newWeights: ['bert.pooler', 'classifier'],
})
type Batch = { tokens: Tensor; mask: Tensor; label: Tensor }
const loss = (network: BertForSequenceClassification, { tokens, mask, label }: Batch) => {
  const predictions = network.forward(tokens, { mask })
  return { loss: crossEntropy(predictions, label), predictions, targets: label }
}
const judge = async () =>
  Number((await evaluate(model, test, { loss, metrics: { accuracy: new Accuracy() } }))['accuracy'])

// A linear probe on what the frozen encoder makes of the texts: the mean over a text's tokens.
const cached = (data: typeof learn) =>
  features(model, data, ({ bert }, { tokens, mask, label }) => {
    const real = mask.cast('f32').unsqueeze(-1)
    const hidden = bert.forward(tokens, { mask }).lastHiddenState
    return {
      x: hidden
        .mul(real)
        .sum({ axes: 1 })
        .div(real.sum({ axes: 1 })),
      label,
    }
  })
const probe = new nn.Linear(model.config['hidden_size'] as number, names.length)
const ofProbe = (layer: nn.Linear, { x, label }: { x: Tensor; label: Tensor }) => {
  const predictions = layer.forward(x)
  return { loss: crossEntropy(predictions, label), predictions, targets: label }
}
const rows = async (data: typeof learn) =>
  new DataLoader(await cached(data), { batchSize: 32, shuffle: true, dtypes: { label: 'i32' } })
const adamw = (parameters: ReturnType<typeof probe.parameters>) => new optim.AdamW(parameters, { lr: 1e-2 })
await train(probe, await rows(learn), { loss: ofProbe, optimizer: adamw, epochs: 30, progress: false })
const metrics = { accuracy: new Accuracy() }
const probed = Number((await evaluate(probe, await rows(test), { loss: ofProbe, metrics }))['accuracy'])
// All of it, what is nearer to the text at smaller rates.
const before = await judge()
const lr = schedule.warmupCosine({ peak: full ? 2e-4 : 3e-3, warmup: 10 })
const optimizer = new optim.AdamW(layerwiseDecay(model, { decay: 0.8 }), { lr })
await train(model, learn, { loss, optimizer, epochs: full ? 6 : 8, clipNorm: 1, progress: false })
const accuracy = await judge()
await savePretrained(model, join(folder, 'classifier'))
rmSync(folder, { recursive: true })
report({ labels: names.length, learntFrom: cut, chance: 1 / names.length, before, probe: probed, accuracy })
