// Layers and their rates, gradual unfreezing, heads, cached features, biases alone, bottlenecks.
import { describe, expect, it } from 'vitest'
import { DataLoader } from '../../lib/data/index.js'
import { compile, crossEntropy, grad, nn, optim, randomNormal, seed, type Tensor, tensor } from '../../lib/index.js'
import {
  BertForSequenceClassification,
  DistilBertForSequenceClassification,
  GPT2LMHeadModel,
  LlamaForCausalLM,
  RobertaForSequenceClassification,
} from '../../lib/models/index.js'
import { train } from '../../lib/train/index.js'
import {
  bitFit,
  bottleneckAdapters,
  features,
  gradualUnfreezing,
  layerGroups,
  layerwiseDecay,
  rateFactors,
  replaceHead,
  trainOnly,
} from '../../lib/transfer/index.js'

type Row = { readonly data: Float32Array; readonly shape: readonly number[] }
const SMALL = { hidden_size: 16, num_hidden_layers: 3, num_attention_heads: 2, intermediate_size: 24, vocab_size: 29 }
const bert = () => new BertForSequenceClassification(SMALL)
const distilbert = () =>
  new DistilBertForSequenceClassification({ dim: 16, n_layers: 2, n_heads: 2, hidden_dim: 8, vocab_size: 9 })
const gpt2 = () => new GPT2LMHeadModel({ n_embd: 16, n_layer: 2, n_head: 2, vocab_size: 29, n_positions: 16 })
const values = async (x: Tensor): Promise<number[]> => Array.from((await x.data()) as Float32Array)
const trainable = (model: nn.Module): string[] => model.namedParameters({ trainable: true }).map(([name]) => name)

describe('layers', () => {
  const names = (model: nn.Module): string[] => layerGroups(model).map(({ name }) => name)

  it('are found by names in every family and in lists of modules', () => {
    expect(names(bert())).toEqual(['before', ...[0, 1, 2].map((i) => `bert.encoder.layer.${i}`), 'behind'])
    expect(names(distilbert())).toEqual([
      'before',
      'distilbert.transformer.layer.0',
      'distilbert.transformer.layer.1',
      'behind',
    ])
    expect(names(gpt2())).toEqual(['before', 'transformer.h.0', 'transformer.h.1', 'behind'])
    expect(names(new LlamaForCausalLM(SMALL))).toEqual([
      'before',
      ...[0, 1, 2].map((i) => `model.layers.${i}`),
      'behind',
    ])
    const model = new nn.Sequential(new nn.Linear(2, 2), new nn.ReLU(), new nn.Linear(2, 2), new nn.Linear(2, 2))
    expect(names(model)).toEqual(['0', '2', '3'])
    for (const each of [bert(), distilbert(), gpt2(), model])
      expect(
        layerGroups(each)
          .flatMap(({ parameters }) => parameters.map(([name]) => name))
          .sort(),
      ).toEqual(
        each
          .namedParameters()
          .map(([name]) => name)
          .sort(),
      )
    expect(
      layerGroups(bert())
        .at(-1)
        ?.parameters.map(([name]) => name),
    ).toContain('classifier.weight')
    const own = layerGroups(model, { layers: ['0', '2'] })
    expect(own.map(({ parameters }) => parameters.map(([name]) => name))).toEqual([
      ['0.weight', '0.bias'],
      ['2.weight', '2.bias', '3.weight', '3.bias'],
    ])
    expect(() => layerGroups(model, { layers: ['0', 'x'] })).toThrow(/no parameter that is left fits x/)
    expect(() => layerGroups(new nn.Linear(2, 2))).toThrow(/Linear has no list of layers/)
  })

  it('learn at rates that fall towards the input', async () => {
    seed(1)
    const model = new nn.Sequential(new nn.Linear(4, 4), new nn.LayerNorm(4), new nn.Linear(4, 4))
    const groups = layerwiseDecay(model, { decay: 0.5 })
    expect(groups.map(({ lrFactor, weightDecay }) => [lrFactor, weightDecay])).toEqual([
      [0.25, undefined],
      [0.25, 0],
      [0.5, 0],
      [1, undefined],
      [1, 0],
    ])
    const before = await Promise.all(model.parameters().map(values))
    const sgd = new optim.SGD(layerwiseDecay(model, { decay: 0.5 }), { lr: 0.1 })
    const gradients = grad(
      model
        .forward(randomNormal([2, 4]))
        .mul(randomNormal([2, 4]))
        .sum(),
      model.parameters(),
    )
    const slopes = await Promise.all(model.parameters().map((parameter) => values(gradients.get(parameter))))
    sgd.step(gradients)
    const after = await Promise.all(model.parameters().map(values))
    const factors = [0.25, 0.25, 0.5, 0.5, 1, 1]
    after.forEach((now, i) =>
      now.forEach((x, j) =>
        expect(x).toBeCloseTo(
          (before[i]?.[j] as number) - 0.1 * (factors[i] as number) * (slopes[i]?.[j] as number),
          5,
        ),
      ),
    )
    expect(rateFactors(model, [['0', 0.1]]).map(({ lrFactor }) => lrFactor)).toEqual([0.1, undefined])
    expect(() => rateFactors(model, [['x', 1]])).toThrow(/no trainable parameter that is left fits x/)
    expect(layerwiseDecay(model.freeze('0'), { decay: 0.5 }).map(({ lrFactor }) => lrFactor)).toEqual([0.5, 1, 1])
  })

  it('join one after the other, and the frozen stay frozen', async () => {
    seed(2)
    const model = new nn.Sequential(new nn.Linear(4, 8), new nn.ReLU(), new nn.Linear(8, 8), new nn.Linear(8, 2))
    model.freeze('2.bias')
    const start = await model.stateDict()
    const data = new DataLoader(
      Array.from({ length: 8 }, (_, i) => ({
        x: Float32Array.from({ length: 4 }, (__, j) => Math.sin(i + j)),
        y: i % 2,
      })),
      { batchSize: 4, dtypes: { y: 'i32' } },
    )
    const seen: string[][] = []
    await train(model, data, {
      loss: (network, { x, y }) => crossEntropy(network.forward(x), y),
      optimizer: (parameters) => new optim.SGD(parameters, { lr: 0.1 }),
      epochs: 4,
      callbacks: [gradualUnfreezing(model), { onEpoch: () => void seen.push(trainable(model)) }],
      progress: false,
    })
    const head = ['3.weight', '3.bias']
    expect(seen).toEqual([
      ['2.weight', ...head],
      ['0.weight', '0.bias', '2.weight', ...head],
      ['0.weight', '0.bias', '2.weight', ...head],
      ['0.weight', '0.bias', '2.weight', ...head],
    ])
    const end = await model.stateDict()
    expect(end['2.bias']).toEqual(start['2.bias'])
    for (const name of ['0.weight', '2.weight', '3.weight']) expect(end[name]).not.toEqual(start[name])
    const stepwise = gradualUnfreezing(model, { every: { steps: 2 }, first: 2 })
    expect(stepwise.onEpoch).toBeUndefined()
    stepwise.onStart?.({ step: 0, epoch: 0 } as never)
    expect(trainable(model)).toEqual(['2.weight', ...head])
    stepwise.onStep?.({ step: 2 } as never)
    expect(trainable(model).length).toBe(5)
  })
})

describe('heads, probes, biases', () => {
  it('a head is replaced by a fresh one, and the config says so', async () => {
    const model = bert()
    const head = replaceHead(model, 5)
    expect(model.classifier).toBe(head)
    expect(head.weight.shape).toEqual([5, 16])
    expect(model.config['num_labels']).toBe(5)
    expect(await values(head.bias as Tensor)).toEqual([0, 0, 0, 0, 0])
    expect(model.forward(tensor([[1, 2]], { dtype: 'i32' })).shape).toEqual([1, 5])
    const roberta = new RobertaForSequenceClassification({ ...SMALL, pad_token_id: 1, max_position_embeddings: 20 })
    expect(replaceHead(roberta, 4)).toBe(roberta.classifier.out_proj)
    const plain = new nn.Sequential(new nn.Linear(2, 3, { bias: false }), new nn.ReLU())
    expect(replaceHead(plain, 7).bias).toBeUndefined()
    expect(() => replaceHead(plain, 7, { name: 'x' })).toThrow(/no linear layer's name fits x; there are 0/)
    expect(() => replaceHead(plain, 0)).toThrow(/outputs must be an integer from 1/)
  })

  it('features are computed once, and a probe learns from them', async () => {
    seed(3)
    const encoder = new nn.Sequential(new nn.Linear(2, 32), new nn.Tanh(), new nn.Dropout(0.5))
    const samples = Array.from({ length: 90 }, (_, i) => {
      const [x, y] = [Math.sin(i * 12.9), Math.cos(i * 78.2)]
      return { point: Float32Array.of(x, y), inside: Number(x * y > 0), text: `sample ${i}` }
    })
    const loader = new DataLoader(samples, { batchSize: 32, dtypes: { inside: 'i32' } })
    const cached = await features(encoder, loader, (model, { point, inside }) => ({ x: model.forward(point), inside }))
    expect(cached.length).toBe(90)
    expect(encoder.training).toBe(true)
    const { x, inside } = await cached.get(40)
    expect([(x as Row).shape, inside]).toEqual([[32], samples[40]?.inside])
    encoder.eval()
    const direct = await values(encoder.forward(tensor(samples[40]?.point as Float32Array, { shape: [1, 2] })))
    expect(Math.max(...Array.from((x as Row).data, (v, i) => Math.abs(v - (direct[i] as number))))).toBeLessThan(1e-6)
    const probe = new nn.Linear(32, 2)
    const run = await train(
      probe,
      new DataLoader(cached, { batchSize: 30, shuffle: true, dtypes: { inside: 'i32' } }),
      {
        loss: (model, batch) => crossEntropy(model.forward(batch.x), batch.inside),
        optimizer: (parameters) => new optim.AdamW(parameters, { lr: 0.05 }),
        epochs: 20,
        progress: false,
      },
    )
    const losses = run.history.map(({ figures }) => figures['epoch/loss'] as number)
    expect(losses.at(-1)).toBeLessThan(0.8 * (losses[0] as number))
    await expect(features(encoder, loader, (model, { point }) => ({ x: model.forward(point).sum() }))).rejects.toThrow(
      /x must be a tensor with a row for each sample/,
    )
  })

  it('biases alone are trained, with the head', () => {
    const model = bitFit(bert(), { alsoTrain: 'classifier' })
    const names = trainable(model)
    expect(names).toContain('classifier.weight')
    expect(names.filter((name) => !name.endsWith('bias'))).toEqual(['classifier.weight'])
    expect(() => bitFit(new nn.Sequential(new nn.Linear(2, 2, { bias: false })))).toThrow(/no parameter's name fits/)
    const other = bert()
    expect(() => bitFit(other, { alsoTrain: 'head' })).toThrow(/no parameter's name fits head/)
    expect(trainable(other).length).toBe(other.parameters().length)
    expect(trainable(trainOnly(other, 'bert.pooler'))).toEqual(['bert.pooler.dense.weight', 'bert.pooler.dense.bias'])
  })
})

describe('bottlenecks', () => {
  it('stand behind the parts of a layer in every family', () => {
    const count = (model: nn.Module, kind: 'houlsby' | 'pfeiffer') => bottleneckAdapters(model, { kind, size: 4 }).names
    expect(count(bert(), 'pfeiffer')).toEqual([0, 1, 2].map((i) => `bert.encoder.layer.${i}.output.dense`))
    expect(count(bert(), 'houlsby').length).toBe(6)
    expect(count(distilbert(), 'pfeiffer').length).toBe(2)
    expect(count(distilbert(), 'houlsby').length).toBe(4)
    expect(count(gpt2(), 'pfeiffer').length).toBe(2)
    expect(count(gpt2(), 'houlsby').length).toBe(4)
    expect(count(new LlamaForCausalLM(SMALL), 'pfeiffer').length).toBe(3)
    expect(count(new LlamaForCausalLM(SMALL), 'houlsby').length).toBe(6)
    expect(count(new nn.GPT({ vocabSize: 9, layers: 2, heads: 2, width: 8, context: 4 }), 'houlsby').length).toBe(4)
  })

  it('change nothing at first, learn, and are taken off', async () => {
    seed(4)
    const model = bert().eval()
    const names = model.namedParameters().map(([name]) => name)
    const tokens = tensor([[1, 5, 2, 8]], { dtype: 'i32' })
    const before = await values(model.forward(tokens))
    const adapters = bottleneckAdapters(model, { size: 4, kind: 'houlsby', alsoTrain: 'classifier' })
    expect(await values(model.forward(tokens))).toEqual(before)
    const now = model.namedParameters().map(([name]) => name)
    expect(now).toEqual(expect.arrayContaining(names))
    expect(now).toContain('bert.encoder.layer.0.output.dense.adapter.down.weight')
    expect(trainable(model).length).toBe(adapters.parameters().length)
    const adam = new optim.AdamW(adapters.parameters(), { lr: 0.05 })
    const step = compile((x: Tensor, y: Tensor) => {
      const loss = crossEntropy(model.forward(x), y)
      adam.step(grad(loss, adapters.parameters()))
      return loss
    })
    const target = tensor([1], { dtype: 'i32' })
    const first = Number(await (await step(tokens, target)).item())
    for (let i = 0; i < 20; i++) await step(tokens, target)
    expect(Number(await (await step(tokens, target)).item())).toBeLessThan(first / 4)
    adapters.enabled = false
    expect(adapters.enabled).toBe(false)
    adapters.remove()
    expect(model.namedParameters({ trainable: true }).map(([name]) => name)).toEqual(names)
    expect(() => bottleneckAdapters(model, { alsoTrain: 'head' })).toThrow(/no parameter's name fits head/)
    expect(trainable(model)).toEqual(names)
    expect(() => bottleneckAdapters(model, { targets: '*.LayerNorm' })).toThrow(/none can be replaced/)
  })
})
