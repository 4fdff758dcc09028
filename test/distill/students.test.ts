// Students made of their teachers: what they keep, and that they compute what is left of the teacher.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { attentionInputs, dropLayers, narrow, relationsTransfer, taylorScores } from '../../lib/distill/index.js'
import { ArgumentError, mseLoss, nn, StudentError, seed, type Tensor, tensor } from '../../lib/index.js'
import {
  BertForMaskedLM,
  BertModel,
  DistilBertModel,
  fromPretrained,
  GPT2LMHeadModel,
  generate,
  LlamaForCausalLM,
  type PretrainedModel,
  RobertaForSequenceClassification,
  savePretrained,
} from '../../lib/models/index.js'

const bert = { vocab_size: 20, hidden_size: 16, num_hidden_layers: 4, num_attention_heads: 4, intermediate_size: 24 }
const gpt2 = { vocab_size: 20, n_embd: 16, n_layer: 4, n_head: 4, n_inner: 24, n_positions: 32 }
const llama = {
  vocab_size: 20,
  hidden_size: 16,
  intermediate_size: 24,
  num_hidden_layers: 4,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  max_position_embeddings: 32,
}
const distilbert = { vocab_size: 20, dim: 16, n_layers: 4, n_heads: 4, hidden_dim: 24, max_position_embeddings: 32 }

const tokens = tensor(
  Int32Array.from({ length: 12 }, (_, i) => 2 + ((i * 7) % 17)),
  { shape: [2, 6] },
)
type Forward = {
  forward(tokens: Tensor): Tensor | { readonly lastHiddenState: Tensor; readonly hiddenStates: readonly Tensor[] }
}
const outputOf = (model: unknown): Tensor => {
  const output = (model as Forward).forward(tokens)
  return 'lastHiddenState' in output ? output.lastHiddenState : output
}
const numbers = async (x: Tensor): Promise<number[]> => [...((await x.data()) as Float32Array)]

async function same(found: Tensor, expected: Tensor, digits = 5): Promise<void> {
  expect(found.shape).toEqual(expected.shape)
  const wanted = await numbers(expected)
  for (const [i, x] of (await numbers(found)).entries()) expect(x).toBeCloseTo(wanted[i] as number, digits)
}

const MODELS: readonly (readonly [name: string, make: () => PretrainedModel])[] = [
  ['BERT', () => new BertModel(bert)],
  ['RoBERTa', () => new RobertaForSequenceClassification({ ...bert, max_position_embeddings: 40 })],
  ['DistilBERT', () => new DistilBertModel(distilbert)],
  ['GPT-2', () => new GPT2LMHeadModel(gpt2)],
  ['Llama', () => new LlamaForCausalLM(llama)],
]

/** Where heads and neurons go back into the width, by family: the parameters that make head 1 and neurons 3 and 5 count nothing. */
const OUTPUTS = /(attention\.output\.dense|out_lin|attn\.c_proj|o_proj)\.weight$/
const INPUTS = /(attention\.self\.(query|key|value)|[qkv]_lin|c_attn|[qkv]_proj)\.weight$/
const DOWN = /(layer\.\d+\.output\.dense|lin2|mlp\.c_proj|down_proj)\.weight$/
const UP = /(intermediate\.dense|lin1|c_fc|gate_proj|up_proj)\.weight$/

/** Multiplies rows (axis 0) or columns (axis 1) of a matrix. */
async function scale(
  model: PretrainedModel,
  pattern: RegExp,
  places: readonly number[],
  factor: number,
): Promise<void> {
  for (const [name, parameter] of model.namedParameters()) {
    if (!pattern.test(name)) continue
    const data = (await parameter.data()).slice() as Float32Array
    const [rows, columns] = parameter.shape as readonly [number, number]
    // GPT-2 has [in, out]; the axis that is not the width is the one that is meant.
    const axis =
      rows === 16 && columns === 16 ? Number(!/c_proj/.test(name) && OUTPUTS.test(name)) : Number(rows === 16)
    for (let i = 0; i < data.length; i++) {
      const place = axis === 0 ? Math.floor(i / columns) : i % columns
      if (places.includes(place)) data[i] = (data[i] as number) * factor
    }
    parameter.write(data)
  }
}

describe('dropLayers', () => {
  test.each(MODELS)('%s keeps the layers it is told to', async (_, make) => {
    seed(1)
    const teacher = make().eval()
    const student = await dropLayers(teacher, [0, 2, 3])
    expect(student.constructor).toBe(teacher.constructor)
    const whole = await dropLayers(teacher, 4)
    await same(outputOf(whole), outputOf(teacher))
    const names = (model: PretrainedModel): number => model.namedParameters().length
    expect(names(student)).toBeLessThan(names(teacher))
    const [mine, theirs] = [await student.stateDict(), await teacher.stateDict()]
    for (const [name, { data }] of Object.entries(mine)) {
      const from = name.replace(/(layer|h|layers)\.([12])\./, (__, kind, layer) => `${kind}.${Number(layer) + 1}.`)
      expect([...(data as Float32Array)]).toEqual([...(theirs[from] as { data: Float32Array }).data])
    }
  })

  test('the first layers of BERT give its hidden states', async () => {
    seed(2)
    const teacher = new BertModel(bert).eval()
    const student = await dropLayers(teacher, [0, 1])
    await same(student.forward(tokens).lastHiddenState, teacher.forward(tokens).hiddenStates[2] as Tensor)
    expect(student.config['num_hidden_layers']).toBe(2)
    await expect(dropLayers(teacher, [2, 1])).rejects.toThrow(ArgumentError)
    await expect(dropLayers(teacher, 5)).rejects.toThrow(/of 4 layers/)
    const bare = await dropLayers(new BertModel(bert, { pooler: false }), 2)
    expect(bare.pooler).toBeUndefined()
  })

  test('a Sequential whose rest does not fit is an error with a table', async () => {
    seed(3)
    const teacher = new nn.Sequential(new nn.Linear(4, 8), new nn.ReLU(), new nn.Linear(8, 8), new nn.Linear(8, 3))
    const student = await dropLayers(teacher, [0, 1, 3])
    const x = tensor([[1, 2, 3, 4]])
    await same(
      student.forward(x),
      (teacher[3] as nn.Linear).forward(new nn.ReLU().forward((teacher[0] as nn.Linear).forward(x))),
    )
    await expect(dropLayers(teacher, [0, 1])).resolves.toBeInstanceOf(nn.Sequential)
    await expect(
      dropLayers(new nn.Sequential(new nn.Linear(4, 8), new nn.Linear(8, 6), new nn.Linear(6, 3)), [0, 2]),
    ).rejects.toThrow(/0 gives 8, 1 \(Linear\) takes 6/)
    // A copy: nothing is shared.
    for (const parameter of student.parameters()) expect(teacher.parameters()).not.toContain(parameter)
  })
})

describe('narrow', () => {
  test.each(MODELS)('%s without what counts nothing is what it was', async (name, make) => {
    seed(4)
    const teacher = make().eval()
    // Head 1, or where heads share keys and values heads 0 and 1; the others count more, so that these are the least.
    const gone = name === 'Llama' ? [0, 1, 2, 3, 4, 5, 6, 7] : [4, 5, 6, 7]
    await scale(teacher, OUTPUTS, gone, 0)
    const inputs = name === 'GPT-2' ? [0, 16, 32].flatMap((start) => gone.map((place) => place + start)) : gone
    await scale(teacher, INPUTS, name === 'Llama' ? [] : inputs, 0.01)
    await scale(teacher, DOWN, [3, 5], 0)
    await scale(teacher, UP, [3, 5], 0.01)
    const heads = name === 'Llama' ? 2 : 3
    const student = await narrow(teacher, { heads, inner: 22 })
    const count = (model: PretrainedModel): number => model.parameters().reduce((sum, { size }) => sum + size, 0)
    expect(count(student)).toBeLessThan(count(teacher))
    await same(outputOf(student), outputOf(teacher))

    const folder = await mkdtemp(join(tmpdir(), 'heddle-narrow-'))
    onTestFinished(() => rm(folder, { recursive: true, force: true }))
    await savePretrained(student, folder)
    await same(outputOf(await fromPretrained(folder)), outputOf(teacher))
    // Once more, from what is there.
    const smaller = await narrow(student, { heads: 2, inner: 10 })
    expect((await numbers(outputOf(smaller))).every(Number.isFinite)).toBe(true)
  })

  test('of the width whole heads are left', async () => {
    seed(5)
    const teacher = new BertForMaskedLM(bert)
    const student = await narrow(teacher, { width: 8, inner: 12 })
    expect(student.config).toMatchObject({ hidden_size: 8, num_attention_heads: 2, intermediate_size: 12 })
    expect((await numbers(outputOf(student))).every(Number.isFinite)).toBe(true)
    expect(outputOf(student).shape).toEqual([2, 6, 20])
    const wide = await narrow(new LlamaForCausalLM(llama), { width: 10 })
    expect(outputOf(wide).shape).toEqual([2, 6, 20])
    await expect(narrow(teacher, { width: 10 })).rejects.toThrow(StudentError)
    await expect(narrow(teacher, { heads: 5, inner: 0 })).rejects.toThrow(
      /heads: 4 -> 5: an integer from 1 to 4 is possible\n {2}inner: 24 -> 0/,
    )
    await expect(narrow(new LlamaForCausalLM(llama), { heads: 3 })).rejects.toThrow(/2 heads share keys and values/)
  })

  test('a student with fewer heads writes with its cache', async () => {
    seed(6)
    const student = (await narrow(new GPT2LMHeadModel(gpt2), { heads: 2 })).eval()
    const [made] = await generate(student, [[1, 2, 3]], { maxTokens: 6 })
    const row = [1, 2, 3]
    for (let i = 0; i < 6; i++) {
      const logits = student.forward(tensor(Int32Array.from(row), { shape: [1, row.length] }))
      const last = (await numbers(logits)).slice(-20)
      row.push(last.indexOf(Math.max(...last)))
    }
    expect([...(made as Int32Array)]).toEqual(row.slice(3))
  })

  test('channels go with their norms and with what takes them', async () => {
    seed(7)
    const block = new nn.Sequential(new nn.Conv2d(1, 6, 3, { padding: 1 }), new nn.BatchNorm2d(6), new nn.ReLU())
    const teacher = new nn.Sequential(
      block,
      new nn.MaxPool2d(2),
      new nn.Conv2d(6, 4, 3, { padding: 1, bias: false }),
      new nn.GELU(),
      new nn.Flatten(),
      new nn.Linear(4 * 4 * 4, 10),
      new nn.LayerNorm(10),
      new nn.Linear(10, 3),
    ).eval()
    // Channels 1 and 4 of the first convolution and 2 of the second count nothing.
    const zero = async (
      parameter: nn.Module['parameters'] extends () => (infer P)[] ? P : never,
      keep: (i: number) => boolean,
    ) => {
      const data = (await parameter.data()).slice() as Float32Array
      parameter.write(data.map((x, i) => (keep(i) ? x : 0)))
    }
    const [first, second] = [block[0] as nn.Conv2d, teacher[2] as nn.Conv2d]
    await zero(first.weight, (i) => ![1, 4].includes(Math.floor(i / 9)))
    await zero(second.weight, (i) => ![1, 4].includes(Math.floor(i / 9) % 6) && Math.floor(i / 54) !== 2)
    await zero((teacher[5] as nn.Linear).weight, (i) => Math.floor((i % 64) / 16) !== 2)
    const student = await narrow(teacher, { '0.0': 4, '2': 3 })
    const x = tensor(
      Float32Array.from({ length: 2 * 64 }, (_, i) => Math.sin(i)),
      { shape: [2, 1, 8, 8] },
    )
    await same(student.forward(x), teacher.forward(x))
    expect(student.namedParameters().map(([name, { shape }]) => `${name} ${shape}`)).toContain('5.weight 10,48')
    const half = await narrow(teacher, 0.5)
    expect(half.forward(x).shape).toEqual([2, 3])
    await expect(narrow(teacher, { '7': 2 })).rejects.toThrow(/layers that can be narrowed are 0\.0 \(6\), 2 \(4\)/)
  })

  test('Taylor scores choose what the loss needs', async () => {
    seed(8)
    const teacher = new nn.Sequential(new nn.Linear(2, 3, { bias: false }), new nn.Linear(3, 1, { bias: false }))
    const [first, second] = [teacher[0] as nn.Linear, teacher[1] as nn.Linear]
    // The first neuron is large, and sees an input that is always nearly 0.
    first.weight.write(Float32Array.of(5, 0, 0, 1, 0, 0.5))
    second.weight.write(Float32Array.of(1, 1, 1))
    const x = tensor([
      [0.001, 1],
      [0.001, -2],
    ])
    async function* data() {
      yield { x, y: tensor([[0], [0]]) }
    }
    const scores = await taylorScores(teacher, data(), {
      loss: (model, { x: inputs, y }) => mseLoss(model.forward(inputs), y),
    })
    const weightsOf = async (student: nn.Sequential) => numbers((student[0] as nn.Linear).weight)
    expect(await weightsOf(await narrow(teacher, { '0': 2 }))).toEqual([5, 0, 0, 1])
    expect(await weightsOf(await narrow(teacher, { '0': 2 }, { scores }))).toEqual([0, 1, 0, 0.5])
  })

  test('a layer that is none of ours is an error that names it', async () => {
    class Odd extends nn.Module {
      forward(x: Tensor): Tensor {
        return x
      }
    }
    const teacher = new nn.Sequential(
      new nn.Linear(2, 4),
      new nn.ReLU(),
      new nn.Linear(4, 4),
      new Odd(),
      new nn.Linear(4, 2),
    )
    await expect(narrow(teacher, 0.5)).rejects.toThrow(/Odd is none of them/)
  })
})

test('queries, keys and values are those of the layers', async () => {
  seed(9)
  const [teacher, student] = [new BertModel(bert).eval(), new BertModel({ ...bert, num_hidden_layers: 2 }).eval()]
  const [theirs, mine] = [teacher.forward(tokens), student.forward(tokens)]
  const [q] = attentionInputs(teacher, theirs.hiddenStates, -1)
  const layer = teacher.encoder.layer[3]
  await same(
    q,
    (layer as unknown as { attention: { self: { query: nn.Linear } } }).attention.self.query.forward(
      theirs.hiddenStates[3] as Tensor,
    ),
  )
  const loss = relationsTransfer(
    attentionInputs(student, mine.hiddenStates, -1),
    attentionInputs(teacher, theirs.hiddenStates, -1),
    { heads: 4 },
  )
  expect(Number(await loss.item())).toBeGreaterThan(0)
  const decoder = new GPT2LMHeadModel(gpt2)
  expect(
    attentionInputs(decoder, decoder.transformer.forward(tokens).hiddenStates, 0).map(({ shape }) => shape[2]),
  ).toEqual([16, 16, 16])
  expect(() => attentionInputs(teacher, theirs.hiddenStates, 4)).toThrow(/no layer 4 of 4/)
})
