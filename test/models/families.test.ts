// Every family of texts: outputs and gradients against transformers and PyTorch, and folders written back as transformers has them.
import { describe, expect, test } from 'vitest'
import { cast, mul, type Tensor, tensor, unsqueeze } from '../../lib/index.js'
import { fromPretrained, type PretrainedModel } from '../../lib/models/index.js'
import { expectReference, expectWritten } from './compare.js'
import { reference, referenceNames } from './reference.js'
import { folderOf, weightsOf } from './weights.js'

type Runs = PretrainedModel & {
  forward(tokens: Tensor, inputs: Readonly<Record<string, Tensor>>): Tensor | Readonly<Record<string, Tensor>>
}

describe.each(referenceNames)('%s', (name) => {
  const found = reference(name)
  const { config, weights, tokens, mask, tokenTypes } = found
  const state = weightsOf(weights)

  test('gives the outputs and gradients of the reference', async () => {
    const model = await fromPretrained<Runs>(await folderOf(config, state))
    expect(model.training).toBe(false)
    const ids = tensor(tokens, { dtype: 'i32' })
    const real = tensor(mask, { dtype: 'i32' })
    const inputs = { mask: real, ...(tokenTypes ? { tokenTypes: tensor(tokenTypes, { dtype: 'i32' }) } : {}) }
    const shown = (x: Tensor): Tensor => (x.rank === 3 ? mul(x, unsqueeze(cast(real, 'f32'), -1)) : x)
    await expectReference(model, found, () => {
      const output = model.forward(ids, inputs)
      const all =
        (output as Tensor).rank === undefined ? (output as Record<string, Tensor>) : { logits: output as Tensor }
      return Object.fromEntries(Object.keys(found.outputs).map((key) => [key, shown(all[key] as Tensor)]))
    })
  })

  test('is written with the names, shapes and elements of transformers', async () => {
    const model = await fromPretrained<Runs>(await folderOf(config, state))
    const text = await expectWritten(model, weights, state)
    expect(JSON.parse(text)).toEqual(config)
    // transformers takes no integer for it.
    expect(text).not.toMatch(/factor": \d+,?\n/)
  })
})
