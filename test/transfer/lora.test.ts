// Low-rank adapters on models of any kind: what is wrapped, trained, switched, merged and taken off.
import { describe, expect, it } from 'vitest'
import {
  compile,
  functional as F,
  grad,
  nn,
  ones,
  optim,
  type Parameter,
  randomNormal,
  seed,
  type Tensor,
  tensor,
} from '../../lib/index.js'
import {
  BertForSequenceClassification,
  DistilBertModel,
  GPT2LMHeadModel,
  LlamaForCausalLM,
} from '../../lib/models/index.js'
import { adapterOf, lora } from '../../lib/transfer/index.js'

const SMALL = { hidden_size: 16, num_hidden_layers: 2, num_attention_heads: 2, intermediate_size: 24, vocab_size: 29 }
const gpt2 = (config = {}) =>
  new GPT2LMHeadModel({ n_embd: 16, n_layer: 2, n_head: 2, vocab_size: 29, n_positions: 16, ...config })
const tokens = () => tensor([[1, 5, 2, 8]], { dtype: 'i32' })
const values = async (x: Tensor): Promise<number[]> => Array.from((await x.data()) as Float32Array)
const disturb = (parameters: readonly Parameter[]): void => {
  for (const parameter of parameters) parameter.assign(parameter.add(randomNormal(parameter.shape, { std: 0.1 })))
}
const largest = (a: readonly number[], b: readonly number[]): number =>
  Math.max(...a.map((x, i) => Math.abs(x - (b[i] as number))))

describe('lora', () => {
  it("adapts what PEFT adapts by default, and keeps the model's names", () => {
    const bert = new BertForSequenceClassification(SMALL)
    const before = bert.namedParameters().map(([name]) => name)
    const adapter = lora(bert)
    expect([...adapter.layers.keys()]).toEqual(
      [0, 1].flatMap((i) => ['query', 'value'].map((name) => `bert.encoder.layer.${i}.attention.self.${name}`)),
    )
    const now = bert.namedParameters().map(([name]) => name)
    expect(now.filter((name) => !name.includes('lora'))).toEqual(before)
    expect(now).toContain('bert.encoder.layer.0.attention.self.query.lora_A.default.weight')
    expect(bert.namedParameters({ trainable: true }).map(([name]) => name)).toEqual(
      adapter.namedParameters().map(([name]) => name),
    )
    const ends = (model: nn.Module): Set<string> =>
      new Set([...lora(model).layers.keys()].map((name) => name.slice(name.lastIndexOf('.') + 1)))
    expect(ends(gpt2())).toEqual(new Set(['c_attn']))
    expect(ends(new LlamaForCausalLM(SMALL))).toEqual(new Set(['q_proj', 'v_proj']))
    expect(ends(new DistilBertModel({ dim: 16, n_layers: 1, n_heads: 2, hidden_dim: 8, vocab_size: 9 }))).toEqual(
      new Set(['q_lin', 'v_lin']),
    )
    expect(ends(new nn.GPT({ vocabSize: 9, layers: 1, heads: 2, width: 8, context: 4 }))).toEqual(new Set(['qkv']))
  })

  it('changes nothing at first, and learns', async () => {
    seed(1)
    // Larger than its own: logits are products with the frozen table of tokens.
    const model = gpt2({ initializer_range: 0.3 }).eval()
    const before = await values(model.forward(tokens()))
    const adapter = lora(model, { rank: 4, alpha: 8, targets: ['*.h', '*.wte'] })
    expect(adapter.layers.size).toBe(9)
    expect(await values(model.forward(tokens()))).toEqual(before)
    const adam = new optim.AdamW(adapter.parameters(), { lr: 0.03 })
    const step = compile((x: Tensor) => {
      const loss = F.crossEntropy(model.forward(x).reshape(4, 29), next)
      adam.step(grad(loss, adapter.parameters()))
      return loss
    })
    const next = tensor([5, 2, 8, 3], { dtype: 'i32' })
    const first = Number(await (await step(tokens())).item())
    for (let i = 0; i < 40; i++) await step(tokens())
    expect(Number(await (await step(tokens())).item())).toBeLessThan(first - 1)
    // The base is as it was.
    adapter.enabled = false
    expect(await values(model.forward(tokens()))).toEqual(before)
    adapter.enabled = true
    expect(largest(await values(model.forward(tokens())), before)).toBeGreaterThan(0.1)
    adapter.remove()
    expect(await values(model.forward(tokens()))).toEqual(before)
    expect(model.parameters({ trainable: false })).toEqual([])
  })

  it('adapts convolutions and every dtype, and merges them', async () => {
    seed(2)
    const model = new nn.Sequential(
      new nn.Conv2d(3, 4, 3, { padding: 1, stride: 2 }),
      new nn.ReLU(),
      new nn.Conv2d(4, 2, 1),
    ).eval()
    const x = randomNormal([2, 3, 8, 8]).realize()
    const adapter = lora(model, { targets: '*', rank: 2, alpha: 4 })
    disturb(adapter.parameters())
    const adapted = await values(model.forward(x))
    const merged = await values(adapter.merge() && model.forward(x))
    expect(largest(adapted, merged)).toBeLessThan(1e-5)

    const half = new nn.Sequential(new nn.Linear(8, 8, { dtype: 'bf16' })).eval()
    const own = lora(half, { targets: '*' })
    expect(own.parameters().map(({ dtype }) => dtype)).toEqual(['f32', 'f32'])
    expect(half.forward(ones([1, 8], { dtype: 'bf16' })).dtype).toBe('bf16')
    const wide = new nn.Sequential(new nn.Linear(8, 8, { dtype: 'f64' }))
    expect(
      lora(wide, { targets: '*', dora: true })
        .parameters()
        .map(({ dtype }) => dtype),
    ).toEqual(['f64', 'f64', 'f64'])
    expect(wide.forward(ones([1, 8], { dtype: 'f64' })).dtype).toBe('f64')
  })

  it('gives the bits back that it was told to keep, and rounds otherwise', async () => {
    seed(3)
    for (const dora of [false, true]) {
      const model = new nn.Sequential(new nn.Linear(32, 16)).eval()
      const adapter = lora(model, { targets: '*', dora })
      const weight = (model[0] as nn.Linear).weight
      const before = await values(weight)
      disturb(adapter.parameters())
      adapter.merge({ keep: true })
      expect(largest(await values(weight), before)).toBeGreaterThan(1e-3)
      // The adapter may change meanwhile.
      disturb(adapter.parameters())
      adapter.unmerge()
      expect(await values(weight)).toEqual(before)
      adapter.merge()
      disturb(adapter.parameters())
      adapter.unmerge()
      expect(largest(await values(weight), before)).toBeLessThan(1e-6)
    }
  })

  it('drops inputs while training only', async () => {
    seed(4)
    for (const dora of [false, true]) {
      const model = new nn.Sequential(new nn.Linear(64, 64))
      const adapter = lora(model, { targets: '*', dropout: 0.5, dora })
      disturb(adapter.parameters())
      const run = compile((x: Tensor) => model.forward(x))
      const x = randomNormal([1, 64]).realize()
      const twice = async () => [await values(await run(x)), await values(await run(x))]
      const [first, second] = await twice()
      expect(first).not.toEqual(second)
      model.eval()
      const [third, fourth] = await twice()
      expect(third).toEqual(fourth)
    }
  })

  it('has several adapters on a model, each with its own head', async () => {
    seed(5)
    const model = new BertForSequenceClassification({ ...SMALL, num_labels: 3 }).eval()
    const run = compile((x: Tensor) => model.forward(x))
    const output = async () => values(await run(tokens()))
    const plain = await output()
    const first = lora(model, { name: 'first', alsoTrain: 'classifier' })
    expect(first.namedParameters().map(([name]) => name)).toContain('classifier.weight')
    disturb(first.parameters())
    const withFirst = await output()
    const second = lora(model, { name: 'second', rank: 2, alsoTrain: 'classifier', targets: '*.key', dora: true })
    expect(await output()).toEqual(plain)
    disturb(second.parameters())
    const withSecond = await output()
    expect(largest(withFirst, withSecond)).toBeGreaterThan(1e-3)
    expect(second.use('first')).toBe(first)
    expect(await output()).toEqual(withFirst)
    expect(adapterOf(model)).toBe(first)
    expect(
      model
        .namedParameters({ trainable: true })
        .map(([name]) => name)
        .sort(),
    ).toEqual(
      first
        .namedParameters()
        .map(([name]) => name)
        .sort(),
    )
    expect(adapterOf(model, 'second').use()).toBe(second)
    expect(await output()).toEqual(withSecond)
    second.enabled = false
    expect(await output()).toEqual(plain)
    first.use().remove()
    expect(await output()).toEqual(plain)
    second.use()
    expect(await output()).toEqual(withSecond)
    second.merge()
    expect(() => second.use() && (second.enabled = false)).toThrow(/second is merged and can not be switched off/)
    expect(() => lora(model, { name: 'third' })).toThrow(/second is merged; unmerge or remove it first/)
    second.remove()
    expect(largest(await output(), withSecond)).toBeLessThan(1e-5)
    expect(model.namedModules().some(([, module]) => module instanceof nn.Linear)).toBe(true)
    expect(Object.keys(await model.stateDict()).filter((name) => name.includes('lora'))).toEqual([])
  })

  it('refuses what can not be meant, and changes nothing then', () => {
    const model = gpt2()
    const before = model.namedParameters().map(([name]) => name)
    const refused: [object, RegExp][] = [
      [{ targets: 'query' }, /no module's name fits query; a pattern is for whole names, as '\*\.query'/],
      [{ targets: '*.ln_1' }, /none of the 2 modules that fit \*\.ln_1 can be adapted/],
      [{ rank: 0 }, /rank must be an integer from 1 up, not 0/],
      [{ dropout: 2 }, /dropout must be a number from 0 to 1/],
      [{ biases: 'some' }, /biases must be one of/],
      [{ name: 'a.b' }, /an adapter's name has letters/],
      [{ alsoTrain: 'classifier' }, /no module's name fits classifier/],
      [{ alsoTrain: 'transformer.h', targets: '*.c_attn' }, /is among the modules that are trained as a whole/],
      [{ targets: '*.wte', dora: true }, /DoRA is for linear layers, and transformer\.wte is a Embedding layer/],
      [{ rankPattern: { '(': 2 } }, /'\(' is no regular expression/],
    ]
    for (const [options, message] of refused) expect(() => lora(model, options), String(message)).toThrow(message)
    expect(model.namedParameters({ trainable: true }).map(([name]) => name)).toEqual(before)
    expect(() => lora(new nn.Sequential(new nn.ReLU()))).toThrow(/has none of the layers that are adapted by default/)
    expect(() => adapterOf(model)).toThrow(/there is no active adapter on the model; there are: none/)
    lora(model)
    expect(() => lora(model)).toThrow(/the model has an adapter default already/)
  })
})
