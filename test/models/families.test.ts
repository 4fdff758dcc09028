// Every family: outputs and gradients against transformers and PyTorch, and folders written back as transformers has them.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { arange, cast, compile, cos, grad, mul, reshape, sum, type Tensor, tensor, unsqueeze } from '../../lib/index.js'
import { readSafetensors } from '../../lib/io/index.js'
import { fromPretrained, type PretrainedModel, savePretrained } from '../../lib/models/index.js'
import { temporaryFolder } from '../io/folder.js'
import { reference, referenceNames } from './reference.js'
import { folderOf, waves, weightsOf } from './weights.js'

type Runs = PretrainedModel & {
  forward(tokens: Tensor, inputs: Readonly<Record<string, Tensor>>): Tensor | Readonly<Record<string, Tensor>>
}

const TOLERANCE = 1e-4

function expectNear(what: string, found: ArrayLike<number>, expected: ArrayLike<number>, scale = 1): void {
  expect(found.length, what).toBe(expected.length)
  for (let i = 0; i < expected.length; i++)
    expect(Math.abs((found[i] as number) - (expected[i] as number)), `${what} at ${i}`).toBeLessThan(TOLERANCE * scale)
}

const sumOf = (tensors: readonly Tensor[]): Tensor =>
  tensors.map((x) => sum(mul(reshape(x, [-1]), cos(cast(arange(x.size), 'f32'))))).reduce((a, b) => a.add(b))

describe.each(referenceNames)('%s', (name) => {
  const { config, weights, tokens, mask, tokenTypes, outputs, gradients } = reference(name)
  const state = weightsOf(weights)

  test('gives the outputs and gradients of the reference', async () => {
    const model = await fromPretrained<Runs>(await folderOf(config, state))
    expect(model.training).toBe(false)
    const inputs = {
      mask: tensor(mask, { dtype: 'i32' }),
      ...(tokenTypes ? { tokenTypes: tensor(tokenTypes, { dtype: 'i32' }) } : {}),
    }
    const parameters = model.namedParameters()
    const run = compile((ids: Tensor, real: Tensor) => {
      const output = model.forward(ids, inputs)
      const all =
        (output as Tensor).rank === undefined ? (output as Record<string, Tensor>) : { logits: output as Tensor }
      const found = Object.keys(outputs).map((key) => {
        const x = all[key] as Tensor
        return x.rank === 3 ? mul(x, unsqueeze(cast(real, 'f32'), -1)) : x
      })
      const found_ = grad(sumOf(found), model.parameters())
      return { found, gradients: parameters.map(([, parameter]) => found_.get(parameter) as Tensor) }
    })
    const result = await run(tensor(tokens, { dtype: 'i32' }), inputs.mask)
    for (const [i, [key, expected]] of Object.entries(outputs).entries())
      expectNear(key, (await (result.found[i] as Tensor).data()) as Float32Array, expected)
    expect(parameters.map(([key]) => key).sort()).toEqual(Object.keys(gradients).sort())
    for (const [i, [key]] of parameters.entries()) {
      const data = (await (result.gradients[i] as Tensor).data()) as Float32Array
      const direction = waves(data.length, 1)
      const length = Math.sqrt(data.reduce((total, x) => total + x * x, 0))
      const along = data.reduce((total, x, j) => total + x * (direction[j] as number), 0)
      const expected = gradients[key] as readonly [number, number]
      expectNear(`gradient of ${key}`, [length, along], expected, Math.max(1, expected[0]))
    }
  })

  test('is written with the names, shapes and elements of transformers', async () => {
    const model = await fromPretrained<Runs>(await folderOf(config, state))
    const folder = await temporaryFolder()
    await savePretrained(model, folder)
    const written = await readSafetensors(folder)
    expect(Object.keys(written).sort()).toEqual(Object.keys(weights).sort())
    for (const [key, { data, shape }] of Object.entries(written)) {
      expect(shape, key).toEqual(weights[key])
      expect(data, key).toEqual(state[key]?.data)
    }
    const text = await readFile(join(folder, 'config.json'), 'utf8')
    expect(JSON.parse(text)).toEqual(config)
    // transformers takes no integer for it.
    expect(text).not.toMatch(/factor": \d+,?\n/)
  })
})
