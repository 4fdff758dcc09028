// Prompts and prefixes: outputs and gradients against PEFT, folders, generation.
import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { arange, cast, compile, cos, grad, mul, reshape, sum, type Tensor, tensor } from '../../lib/index.js'
import { type CausalLanguageModel, fromPretrained, generate } from '../../lib/models/index.js'
import { loadPrompt, PrefixTuning, prefixTuning, promptTuning, savePrompt } from '../../lib/transfer/index.js'
import { temporaryFolder } from '../io/folder.js'
import { folderOf, type Shapes, waves, weight, weightsOf } from '../models/weights.js'

interface Case {
  readonly kind: 'PROMPT_TUNING' | 'PREFIX_TUNING'
  readonly config: Readonly<Record<string, unknown>>
  readonly weights: Shapes
  readonly shape: readonly [number, number]
  readonly tokens: readonly (readonly number[])[]
  readonly output: readonly number[]
  readonly gradient: readonly [number, number]
}
const cases = JSON.parse(readFileSync(fileURLToPath(new URL('prompts.json', import.meta.url)), 'utf8')) as Case[]
const modelOf = async ({ config, weights }: Case): Promise<CausalLanguageModel> =>
  fromPretrained<CausalLanguageModel>(await folderOf(config, weightsOf(weights)))
const make = (model: CausalLanguageModel, { kind, shape }: Case) => {
  const made = (kind === 'PREFIX_TUNING' ? prefixTuning : promptTuning)(model, { tokens: shape[0] })
  made.parameters()[0]?.write(weight('prompt_embeddings', shape))
  return made
}
const largest = (found: ArrayLike<number>, expected: ArrayLike<number>): number => {
  expect(found.length).toBe(expected.length)
  return Math.max(...Array.from(found, (x, i) => Math.abs(x - (expected[i] as number))))
}

describe.each(cases.map((one) => [`${String(one.config['model_type'])} ${one.kind}`, one] as const))('%s', (_, one) => {
  it('gives the output and the gradient of PEFT', async () => {
    const model = await modelOf(one)
    const tuned = make(model, one)
    expect(model.parameters({ trainable: true }).length).toBe(one.kind === 'PREFIX_TUNING' ? 0 : 1)
    const run = compile((x: Tensor) => {
      const output = tuned.forward(x)
      const flat = reshape(output, [-1])
      const found = grad(sum(mul(flat, cos(cast(arange(flat.size), 'f32')))), tuned.parameters())
      return { output, gradient: found.get(tuned.parameters()[0] as Tensor) }
    })
    const { output, gradient } = await run(tensor(one.tokens, { dtype: 'i32' }))
    expect(largest((await output.data()) as Float32Array, one.output)).toBeLessThan(1e-4)
    const data = (await gradient.data()) as Float32Array
    const along = data.reduce((total, x, i) => total + x * (waves(data.length, 1)[i] as number), 0)
    expect(largest([Math.hypot(...data), along], one.gradient)).toBeLessThan(1e-4 * one.gradient[0])
  })

  it('is written and read', async () => {
    const folder = join(await temporaryFolder(), 'prompt')
    await savePrompt(make(await modelOf(one), one), folder)
    const model = await modelOf(one)
    const read = await loadPrompt(model, folder)
    const output = (await read.forward(tensor(one.tokens, { dtype: 'i32' })).data()) as Float32Array
    expect(largest(output, one.output)).toBeLessThan(1e-4)
    read.remove()
    expect(model.parameters({ trainable: false })).toEqual([])
    const other = cases.find(
      ({ config, kind }) =>
        config !== one.config && kind === one.kind && config['model_type'] !== one.config['model_type'],
    )
    expect(other).toBeDefined()
    await writeFile(join(folder, 'adapter_config.json'), JSON.stringify({ peft_type: one.kind, num_virtual_tokens: 4 }))
    await expect(loadPrompt(await modelOf(one), folder)).rejects.toThrow(/nothing was loaded[\s\S]*expected 4 rows/)
    await writeFile(join(folder, 'adapter_config.json'), JSON.stringify({ peft_type: 'LORA' }))
    await expect(loadPrompt(await modelOf(one), folder)).rejects.toThrow(/peft_type in the config must be/)
  })
})

it('a prompt is text to generate behind', async () => {
  const one = cases[0] as Case
  const model = await modelOf(one)
  const prompt = promptTuning(model, { tokens: 3, initialTokens: tensor([4, 9], { dtype: 'i32' }) })
  const text = [5, 3, 17]
  const [made] = await generate(model, [[...prompt.tokens, ...text]], { maxTokens: 4 })
  // The rows start as the embeddings of those tokens.
  const [same] = await generate(model, [[4, 9, 4, ...text]], { maxTokens: 4 })
  expect(made).toEqual(same)
  expect(prompt).not.toBeInstanceOf(PrefixTuning)
})
