// Language models: sequences that a teacher writes, sequences that the student writes itself.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { DataLoader } from '../../lib/data/index.js'
import { distillOnPolicy, SEQUENCE_PADDING, sequenceLoss, teacherSequences } from '../../lib/distill/index.js'
import { ArgumentError, optim, seed } from '../../lib/index.js'
import { GPT2LMHeadModel, generate } from '../../lib/models/index.js'
import { train } from '../../lib/train/index.js'

const config = {
  vocab_size: 12,
  n_embd: 16,
  n_layer: 1,
  n_head: 2,
  n_positions: 48,
  eos_token_id: 11,
  resid_pdrop: 0,
  embd_pdrop: 0,
  attn_pdrop: 0,
  initializer_range: 0.4,
}
const prompts = Array.from({ length: 16 }, (_, i) => [i % 11, (3 * i) % 11])
const adamw = (parameters: ConstructorParameters<typeof optim.AdamW>[0]) => new optim.AdamW(parameters, { lr: 0.01 })

function pair(): readonly [GPT2LMHeadModel, GPT2LMHeadModel] {
  seed(5)
  return [new GPT2LMHeadModel({ ...config, n_layer: 2 }).eval(), new GPT2LMHeadModel(config)]
}

test('a student learns to write what its teacher writes', async () => {
  const [teacher, student] = pair()
  const written = await teacherSequences(teacher, prompts, { maxTokens: 8, batchSize: 5, progress: false })
  const expected = await generate(teacher, prompts, { maxTokens: 8 })
  written.forEach(({ tokens, learns }, i) => {
    const made = expected[i] as Int32Array
    // The end is learnt where the teacher came to one.
    const ended = made.length < 8 ? [11] : []
    expect([...tokens]).toEqual([...(prompts[i] as number[]), ...made, ...ended])
    expect([...learns]).toEqual([0, 0, ...tokens.subarray(2).map(() => 1)])
  })
  const loader = new DataLoader(written, {
    batchSize: 16,
    pad: SEQUENCE_PADDING,
    dtypes: { tokens: 'i32', learns: 'bool' },
  })
  await train(student, loader, { loss: sequenceLoss, optimizer: adamw, epochs: 120, progress: false })
  const found = await generate(student.eval(), prompts, { maxTokens: 8 })
  const same = found.filter((row, i) => String(row) === String(expected[i])).length
  expect(same).toBeGreaterThanOrEqual(14)
})

test.each(['forward', 'reverse', 'jensenShannon'] as const)(
  'on-policy: what the student writes comes nearer to the teacher (%s)',
  async (kind) => {
    const [teacher, student] = pair()
    const run = await distillOnPolicy(student, teacher, prompts, {
      batchSize: 16,
      generation: { maxTokens: 8 },
      divergence: { kind },
      optimizer: adamw,
      epochs: 25,
      progress: false,
    })
    const losses = run.history.map(({ figures }) => figures['epoch/loss'] as number)
    expect(losses.at(-1)).toBeLessThan((losses[0] as number) * 0.6)
    expect(student.training).toBe(true)
  },
)

test('on-policy: a run that is gone on with comes to the same', { timeout: 60_000 }, async () => {
  const folder = await mkdtemp(join(tmpdir(), 'heddle-onpolicy-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  const run = async (place: string, steps: readonly number[]): Promise<string> => {
    for (const count of steps) {
      const [teacher, student] = pair()
      const written = await teacherSequences(teacher, prompts, { maxTokens: 6, progress: false })
      await distillOnPolicy(student, teacher, prompts, {
        batchSize: 5,
        generation: { maxTokens: 6 },
        onPolicyShare: 0.5,
        sequences: written,
        optimizer: adamw,
        steps: count,
        checkpoint: join(folder, place),
        handleSignals: false,
        progress: false,
      })
      if (count === steps.at(-1)) return JSON.stringify(await student.stateDict())
    }
    throw new Error('never')
  }
  expect(await run('cut', [3, 9])).toBe(await run('whole', [9]))
})

test('what does not fit is said', async () => {
  const [teacher, student] = pair()
  const options = { optimizer: adamw, steps: 1 }
  await expect(distillOnPolicy(student, teacher, [], options)).rejects.toThrow(ArgumentError)
  await expect(distillOnPolicy(student, teacher, prompts, { ...options, onPolicyShare: 0.5 })).rejects.toThrow(
    /a sequence for each of 16 prompts/,
  )
  const other = new GPT2LMHeadModel({ ...config, vocab_size: 13 })
  await expect(distillOnPolicy(other, teacher, prompts, options)).rejects.toThrow(/one vocabulary/)
})
